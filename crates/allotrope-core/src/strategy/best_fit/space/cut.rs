//! Taking blocks out of free ones.
//!
//! ```text
//! run     │ free                          │
//!         │ before │ block │ rest         │    a block is cut at the low end, unless it is aligned
//! ```

use super::{Run, Space};
use crate::layout::bins::{FIRST_STEPPED, bin_of, stepped_bin_of};
use crate::layout::granule::{BlockSize, padding};
use crate::strategy::best_fit::table::{NONE, Table, is_block};

impl<T: Table> Space<T> {
    /// Takes a block of `size` granules at a multiple of `align` granules out, and returns it with what
    /// was free behind it, or [`Run::NOWHERE`]. Granule 0 is at `phase`.
    #[inline(never)]
    pub fn allocate_aligned(&mut self, wanted: BlockSize, align: u32, phase: u32) -> Run {
        let size = wanted.get();
        if size.checked_add(align - 1).is_none() {
            return Run::NOWHERE;
        }
        // SAFETY: the lists are of this table.
        let (found, bin) = unsafe { self.lists.find_aligned(&self.table, wanted, align, phase) };
        if !is_block(found.start) {
            return self.allocate_aligned_last(size, align, phase);
        }
        // SAFETY: it is free, in the list of that bin, and has room.
        unsafe { self.cut_aligned(found, bin, size, align, phase) }
    }

    /// [`allocate_aligned`](Self::allocate_aligned) from the tail.
    #[inline(never)]
    fn allocate_aligned_last(&mut self, size: u32, align: u32, phase: u32) -> Run {
        let before = if self.tail == NONE { 0 } else { padding(phase, self.tail, align) };
        match self.cut_tail(before, size).found() {
            Some(tail) => Run { start: tail.start + before, size: tail.size - before },
            None => Run::NOWHERE,
        }
    }

    /// [`allocate_aligned`](Self::allocate_aligned) from any free block but the tail, however many
    /// are looked at.
    #[cold]
    pub fn allocate_anywhere(&mut self, wanted: BlockSize, align: u32, phase: u32) -> Run {
        let size = wanted.get();
        // SAFETY: the lists are of this table.
        let found = unsafe { self.lists.find_aligned_anywhere(&self.table, wanted, align, phase) };
        if !is_block(found.start) {
            return Run::NOWHERE;
        }
        // SAFETY: it is free, in its list, and has room.
        unsafe { self.cut_aligned(found, bin_of(found.size), size, align, phase) }
    }

    /// Takes an aligned block out of a free one.
    ///
    /// # Safety
    ///
    /// `found` is a free block, in the list of `bin`, and has room for it.
    #[inline(always)]
    unsafe fn cut_aligned(
        &mut self,
        found: Run,
        bin: u32,
        size: u32,
        align: u32,
        phase: u32,
    ) -> Run {
        let before = padding(phase, found.start, align);
        // SAFETY: as the caller promises.
        unsafe { self.cut(found, bin, found.start + before, size) };
        Run { start: found.start + before, size: found.size - before }
    }

    /// Takes the first `size` granules out of a free block; what is left after them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block of at least `size` granules, and in its list.
    #[inline(always)]
    pub(super) unsafe fn cut_front(&mut self, run: Run, size: u32) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.size >= FIRST_STEPPED {
                self.cut_stepped(run, stepped_bin_of(run.size), size);
                return;
            }
            // A block of a bin of one size lies where all was used (invariant 5).
            let (place, rest) = self.take_front(run, size);
            self.lists.unlink(&mut self.table, place, run.start, run.size);
            if rest.size > 0 {
                self.link_small(self.table.after(place, size), rest);
            }
        }
    }

    /// [`cut_front`](Self::cut_front) of a block in a bin of several sizes; returns the block.
    ///
    /// # Safety
    ///
    /// As for `cut_front`, and the block is in the list of `bin`, which is one of several sizes.
    #[inline(never)]
    pub(super) unsafe fn cut_stepped(&mut self, run: Run, bin: u32, size: u32) -> Run {
        // SAFETY: as the caller promises.
        unsafe {
            if self.touches(run, size) {
                return self.cut_untouched(run, bin, size);
            }
            let (place, rest) = self.take_front(run, size);
            self.leave_rest(bin, place, run, rest);
        }
        run
    }

    /// [`cut_stepped`](Self::cut_stepped) of a block that was not used that far. Behind a call in the
    /// last place, it makes what is cut every day save nothing for it.
    ///
    /// # Safety
    ///
    /// As for `cut_stepped`.
    #[inline(never)]
    unsafe fn cut_untouched(&mut self, run: Run, bin: u32, size: u32) -> Run {
        // SAFETY: as the caller promises.
        unsafe {
            self.touch(run, size);
            self.cut_stepped(run, bin, size)
        }
    }

    /// [`cut_stepped`](Self::cut_stepped), where nothing is left.
    ///
    /// # Safety
    ///
    /// `run` is a free block, in the list of a bin of several sizes.
    #[inline(never)]
    pub(super) unsafe fn take_stepped(&mut self, run: Run) -> Run {
        // SAFETY: as the caller promises.
        unsafe {
            if self.touches(run, run.size) {
                return self.take_untouched(run);
            }
            let (place, _) = self.take_front(run, run.size);
            self.lists.unlink_stepped(&mut self.table, place);
        }
        run
    }

    /// [`take_stepped`](Self::take_stepped) of a block that was not used to its end.
    ///
    /// # Safety
    ///
    /// As for `take_stepped`.
    #[inline(never)]
    unsafe fn take_untouched(&mut self, run: Run) -> Run {
        // SAFETY: as the caller promises.
        unsafe {
            self.touch(run, run.size);
            self.take_stepped(run)
        }
    }

    /// Makes the first granules of a free block ones in use, whose list is the caller's care;
    /// returns the block's place, and what is left.
    ///
    /// # Safety
    ///
    /// As for `cut_front`, and all is [touched](Self::touches) that must be.
    #[inline(always)]
    unsafe fn take_front(&mut self, run: Run, size: u32) -> (T::Place, Run) {
        let rest = Run { start: run.start + size, size: run.size - size };
        // SAFETY: the run is a free block (caller), and the rest of it ours to link. Its
        // neighbours are not free: the run's are not (invariant 3), and the block is in use.
        unsafe {
            self.edges.toggle(run.start);
            self.edges.toggle(rest.start);
            let place = self.table.place(run.start);
            self.table.take(place, size);
            (place, rest)
        }
    }

    /// Takes a block out of its bin of several sizes, and puts the rest of it in its own.
    ///
    /// # Safety
    ///
    /// `run` is in the list of `bin`, which is one of several sizes, `place` is its place, and the
    /// granules of `rest`, which is its end, are nobody's.
    #[inline(always)]
    unsafe fn leave_rest(&mut self, bin: u32, place: T::Place, run: Run, rest: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            let rest_place = self.table.after(place, rest.start - run.start);
            if rest.size < FIRST_STEPPED {
                self.lists.unlink_stepped(&mut self.table, place);
                if rest.size > 0 {
                    self.link_small(rest_place, rest);
                }
                return;
            }
            let rest_bin = stepped_bin_of(rest.size);
            if rest_bin == bin {
                self.table.put(rest_place, rest.size);
                self.lists.replace(&mut self.table, place, rest_place, rest.start);
            } else {
                self.lists.unlink_stepped(&mut self.table, place);
                self.table.put(rest_place, rest.size);
                self.lists.link_stepped(&mut self.table, rest_place, rest.start, rest_bin);
            }
        }
    }

    /// Takes `size` granules from `start` on out of a free block; what is left before and after
    /// them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block that the granules lie in, and in the list of `bin`.
    #[inline(always)]
    unsafe fn cut(&mut self, run: Run, bin: u32, start: u32, size: u32) {
        let before = start - run.start;
        let rest = Run { start: start + size, size: run.size - before - size };
        // SAFETY: as in `cut_front`; the block lies in the run (caller).
        unsafe {
            self.touch(run, before + size);
            let place = self.table.place(run.start);
            self.edges.toggle(rest.start);
            // Where the run started, free memory still does if any is left before the block.
            self.edges.toggle(start);
            self.table.take(self.table.place(start), size);
            if bin >= FIRST_STEPPED {
                self.leave_rest(bin, place, run, rest);
            } else {
                self.lists.unlink(&mut self.table, place, run.start, bin);
                if rest.size > 0 {
                    self.link_small(self.table.place(rest.start), rest);
                }
            }
            if before > 0 {
                self.link(place, Run { start: run.start, size: before });
            }
        }
    }
}
