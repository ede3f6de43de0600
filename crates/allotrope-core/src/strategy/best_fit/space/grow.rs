//! Lengthening a block where it is.

use super::{Run, Space};
use crate::strategy::best_fit::table::Table;

impl<T: Table> Space<T> {
    /// Is it worth trying to lengthen a block of `old` granules in place? If not, what is behind it
    /// is in use.
    ///
    /// # Safety
    ///
    /// The `old` granules from `start` on are a block in use.
    #[inline(always)]
    pub unsafe fn may_grow(&self, start: u32, old: u32) -> bool {
        let end = start + old;
        // SAFETY: the end of a block in use has an edge.
        unsafe { self.edges.is_edge(end) || end == self.granules }
    }

    /// Lengthens a block from `old` to `new` granules in place, if the block after it is free and
    /// long enough; then returns how the free block is now, or an empty one.
    ///
    /// # Safety
    ///
    /// The `old` granules from `start` on are a block in use, and `new` is more.
    pub unsafe fn grow(&mut self, start: u32, old: u32, new: u32) -> Option<Run> {
        let (end, wanted) = (start + old, new - old);
        // SAFETY: `end` is in range or one past it; if it is an edge, a free block starts there.
        unsafe {
            if !self.edges.is_edge(end) {
                return None;
            }
            if end == self.tail {
                let found = self.cut_tail(0, wanted).found()?;
                return Some(Run { start: end + wanted, size: found.size - wanted });
            }
            let above = Run { start: end, size: self.table.size(self.table.place(end)) };
            if above.size < wanted {
                return None;
            }
            self.cut_front(above, wanted);
            Some(Run { start: end + wanted, size: above.size - wanted })
        }
    }

    /// Lengthens a block from `old` to `new` granules by as much of the free blocks on both its
    /// sides as it takes, and returns where it starts now: below `start`. What it holds is the
    /// caller's to move, to where it starts now.
    ///
    /// # Safety
    ///
    /// As for `grow`.
    pub unsafe fn grow_down(&mut self, start: u32, old: u32, new: u32) -> Option<Run> {
        self.end_tail();
        let end = start + old;
        // SAFETY: as in `join`.
        unsafe {
            if !self.edges.is_edge(start) {
                return None;
            }
            let below = self.table.size_before(self.table.place(start));
            let is_above_free = self.edges.is_edge(end);
            let above = if is_above_free { self.table.size(self.table.place(end)) } else { 0 };
            let all = Run { start: start - below, size: below + old + above };
            if all.size < new {
                return None;
            }
            self.remove(Run { start: all.start, size: below });
            if above > 0 {
                self.remove(Run { start: end, size: above });
            }
            self.touch(all, new);
            Some(all)
        }
    }

    /// Inserts what is left of `all` after its first `size` granules were taken.
    ///
    /// # Safety
    ///
    /// The granules of the rest are in range, the caller's to give, and no neighbour is free.
    pub unsafe fn insert_rest(&mut self, all: Run, size: u32) {
        if all.size > size {
            let rest = Run { start: all.start + size, size: all.size - size };
            // SAFETY: as the caller promises.
            unsafe { self.join(self.table.place(rest.start), rest) };
        }
    }
}
