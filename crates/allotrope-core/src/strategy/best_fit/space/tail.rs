//! The tail: the free block at the end, while it is long.
//!
//! ```text
//! │ used │ free │ used │ tail                     │
//!                      │ block │ tail             │    cutting it moves one number
//! ```

use super::{Run, Space};
use crate::strategy::best_fit::table::{NONE, Table};

impl<T: Table> Space<T> {
    /// Is there a tail, and will it be one without `size` granules?
    #[inline(always)]
    pub(super) const fn is_tail_for(&self, size: u32) -> bool {
        self.tail != NONE
            && (self.granules - self.tail) as u64 >= size as u64 + self.shortest_tail as u64
    }

    /// Takes `size` granules out of the tail, and returns what the tail was.
    ///
    /// # Safety
    ///
    /// [`is_tail_for`](Self::is_tail_for) says so.
    #[inline(always)]
    pub(super) unsafe fn shorten_tail(&mut self, size: u32) -> Run {
        let run = Run { start: self.tail, size: self.granules - self.tail };
        let end = self.tail + size;
        // SAFETY: the granules lie in the tail, which is free, and starts behind them now.
        unsafe {
            if !self.edges.try_validate(end) {
                return self.shorten_unwiped_tail(size);
            }
            self.tail = end;
            self.edges.toggle(run.start);
            self.edges.toggle(self.tail);
            self.table.take(self.table.place(run.start), size);
        }
        run
    }

    /// [`shorten_tail`](Self::shorten_tail), where a part of the bitmap is to be wiped first.
    ///
    /// # Safety
    ///
    /// As for `shorten_tail`.
    #[inline(never)]
    unsafe fn shorten_unwiped_tail(&mut self, size: u32) -> Run {
        // SAFETY: the granules lie in the space; after this, there is nothing to wipe for them.
        unsafe {
            self.edges.validate_ahead(self.tail + size);
            self.shorten_tail(size)
        }
    }

    /// Takes `size` granules out of the tail, and leaves `before` granules before them free;
    /// returns what the tail was.
    #[inline(never)]
    pub(super) fn cut_tail(&mut self, before: u32, size: u32) -> Run {
        if self.tail == NONE {
            return Run::NOWHERE;
        }
        let run = Run { start: self.tail, size: self.granules - self.tail };
        let Some(taken) = before.checked_add(size).filter(|&taken| taken <= run.size) else {
            return Run::NOWHERE;
        };
        let rest = Run { start: run.start + taken, size: run.size - taken };
        let is_tail = rest.size >= self.shortest_tail;
        // SAFETY: the granules lie in the tail, which is free; its neighbour before is not
        // (invariant 3), and the block behind `before` is in use.
        unsafe {
            if is_tail {
                self.edges.validate(rest.start);
            } else {
                self.touch(run, taken);
            }
            // Where the tail started, free memory still does if any is left before the block.
            self.edges.toggle(run.start + before);
            self.edges.toggle(rest.start);
            let place = self.table.place(run.start);
            if before > 0 {
                self.link(place, Run { start: run.start, size: before });
            }
            self.table.take(self.table.after(place, before), size);
            if is_tail {
                self.tail = rest.start;
            } else {
                self.tail = NONE;
                self.parked.end();
                if rest.size > 0 {
                    self.link(self.table.place(rest.start), rest);
                }
            }
        }
        run
    }

    /// Makes a run the tail, if it is long enough and ends where the space does.
    ///
    /// # Safety
    ///
    /// Its granules are ours, in no list, and `place` is the place of the first.
    #[inline(always)]
    pub(super) unsafe fn begin_tail(&mut self, place: T::Place, run: Run) -> bool {
        let is_tail = run.end() == self.granules && run.size >= self.shortest_tail;
        if is_tail {
            // SAFETY: as the caller promises.
            unsafe { self.table.hide(place, run.size) };
            self.tail = run.start;
            self.parked.begin();
        }
        is_tail
    }

    /// Makes the tail, if there is one, a free block like all others.
    #[inline(never)]
    pub(super) fn end_tail(&mut self) {
        if self.tail == NONE {
            return;
        }
        let run = Run { start: self.tail, size: self.granules - self.tail };
        self.tail = NONE;
        self.parked.end();
        // SAFETY: the granules of the tail are free, so ours, and in no list.
        unsafe {
            self.touch(run, 0);
            let place = self.table.place(run.start);
            self.link_stepped(place, run);
        }
    }
}
