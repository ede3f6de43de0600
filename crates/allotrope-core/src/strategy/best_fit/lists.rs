//! The bins' lists of free blocks, and the search in them.
//!
//! ```text
//!  map    which bins hold any                      (`BinMap`)
//!  heads  ──▶ free block ◀──▶ free block ◀──▶ …    (links: `Table`)
//! ```
//!
//! *Find*: the first bin whose blocks are large enough; in a bin of several sizes the best of the
//! first [`LOOK`] blocks.
//!
//! # Invariants
//!
//! 1. What is in a list is a free block that the table holds, of a size that belongs in that bin.
//! 2. Each block but the last is linked to the one after it, and each but the first to the one
//!    before it. What the table says of the block before the first means nothing in a bin of one
//!    size, and is that there is none in a bin of several.
//! 3. The map has a bin's bit if and only if its list is not empty.

use super::space::Run;
use super::table::{NONE, Table};
use crate::layout::bins::{
    BINS, BinMap, FIRST_STEPPED, bin_of, in_one_stepped_bin, stepped_bin_of,
};
use crate::layout::granule::padding;

/// How many blocks of one bin are looked at for the one that fits best.
const LOOK: u32 = 4;

/// How many blocks are looked at in a bin all of whose blocks are long enough.
const LOOK_ABOVE: u32 = 2;

/// The free blocks of a space, by size.
#[derive(Debug)]
pub struct Lists {
    map: BinMap,
    heads: [u32; BINS],
}

impl Lists {
    /// No free blocks.
    pub(super) const fn new() -> Self {
        Self { map: BinMap::new(), heads: [NONE; BINS] }
    }

    /// Takes out the block that was linked last among those of exactly `size` granules, which is
    /// less than [`FIRST_STEPPED`].
    #[inline(always)]
    pub(super) fn pop(&mut self, table: &impl Table, size: u32) -> Option<u32> {
        if self.head(size) == NONE {
            return None;
        }
        // SAFETY: there is a block.
        Some(unsafe { self.pop_first(table, size) })
    }

    /// [`pop`](Self::pop), where a block is known to be.
    ///
    /// # Safety
    ///
    /// There is a block of `size` granules, which is less than [`FIRST_STEPPED`].
    #[inline(always)]
    pub(super) unsafe fn pop_first(&mut self, table: &impl Table, size: u32) -> u32 {
        let head = self.head(size);
        // SAFETY: the head of a list is a free block (invariant 1).
        let next = unsafe { table.next(table.place(head)) };
        self.set_head(size, next);
        if next == NONE {
            self.map.remove_exact(size);
        }
        head
    }

    /// The next size above `size` and below [`FIRST_STEPPED`] of which there is a block, or `size`
    /// itself.
    #[inline(always)]
    pub(super) const fn next_exact(&self, size: u32) -> Option<u32> {
        match self.map.next_exact(size) {
            Some(more) => Some(size + more),
            None => None,
        }
    }

    /// [`link`](Self::link) in a bin of several sizes.
    ///
    /// # Safety
    ///
    /// As for `link`, and the block is not shorter than [`FIRST_STEPPED`].
    #[inline(always)]
    pub(super) unsafe fn link_stepped<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        run: Run,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            table.set_prev(place, NONE);
            self.link(table, place, run.start, stepped_bin_of(run.size));
        }
    }

    /// [`unlink`](Self::unlink) from a bin of several sizes, which need not be known for most blocks.
    ///
    /// # Safety
    ///
    /// As for `unlink`, and the block is not shorter than [`FIRST_STEPPED`].
    #[inline(always)]
    pub(super) unsafe fn unlink_stepped<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        run: Run,
    ) {
        // SAFETY: the block is free (caller), and so are those it is linked to (invariants 1, 2).
        unsafe {
            let (next, prev) = (table.next(place), table.prev(place));
            if prev == NONE {
                let bin = stepped_bin_of(run.size);
                self.set_head(bin, next);
                if next == NONE {
                    self.map.remove_stepped(bin);
                    return;
                }
            } else {
                table.set_next(table.place(prev), next);
            }
            if next != NONE {
                table.set_prev(table.place(next), prev);
            }
        }
    }

    /// Puts a free block, which the table holds, in the list of its bin.
    ///
    /// # Safety
    ///
    /// It is one, `place` is its place, `bin` its bin, and it is in no list.
    #[inline(always)]
    pub(super) unsafe fn link<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        block: u32,
        bin: u32,
    ) {
        let head = self.head(bin);
        // SAFETY: both are free blocks (caller, invariant 1).
        unsafe {
            table.set_next(place, head);
            if head == NONE {
                self.map.insert(bin);
            } else {
                table.set_prev(table.place(head), block);
            }
        }
        self.set_head(bin, block);
    }

    /// Takes a free block out of the list of its bin of one size.
    ///
    /// # Safety
    ///
    /// It is in that list, `place` is its place, and `bin` its bin.
    #[inline(always)]
    pub(super) unsafe fn unlink<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        block: u32,
        bin: u32,
    ) {
        // SAFETY: the block is free (caller), and so are those it is linked to (invariants 1, 2).
        unsafe {
            let next = table.next(place);
            if self.head(bin) == block {
                self.set_head(bin, next);
                if next == NONE {
                    self.map.remove_exact(bin);
                }
                return;
            }
            let prev = table.prev(place);
            table.set_next(table.place(prev), next);
            if next != NONE {
                table.set_prev(table.place(next), prev);
            }
        }
    }

    /// Puts the rest of a free block in its place in the list, if both are of one bin that holds
    /// several sizes; the table holds the rest then.
    ///
    /// # Safety
    ///
    /// `run` is in the list of its bin, `place` its place, and the granules of `rest`, which is its
    /// end, are nobody's.
    #[inline(always)]
    pub(super) unsafe fn replace<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        run: Run,
        rest: Run,
    ) -> bool {
        if run.size < FIRST_STEPPED || !in_one_stepped_bin(run.size, rest.size) {
            return false;
        }
        // SAFETY: as in `unlink_stepped`.
        unsafe {
            let rest_place = table.after(place, rest.start - run.start);
            let (next, prev) = (table.next(place), table.prev(place));
            table.put(rest_place, rest.size);
            table.set_next(rest_place, next);
            table.set_prev(rest_place, prev);
            if next != NONE {
                table.set_prev(table.place(next), rest.start);
            }
            if prev == NONE {
                self.set_head(stepped_bin_of(run.size), rest.start);
            } else {
                table.set_next(table.place(prev), rest.start);
            }
        }
        true
    }

    /// The free blocks of a bin.
    pub(super) fn list(&self, table: &impl Table, bin: u32) -> impl Iterator<Item = Run> {
        let mut block = self.head(bin);
        core::iter::from_fn(move || {
            if block == NONE {
                return None;
            }
            // SAFETY: only free blocks are in lists, and the table holds them (invariant 1).
            unsafe {
                let place = table.place(block);
                let run = Run { start: block, size: table.size(place) };
                block = table.next(place);
                Some(run)
            }
        })
    }

    /// The size of the largest block in a list.
    pub(super) fn largest(&self, table: &impl Table) -> u32 {
        let Some(bin) = self.map.last() else { return 0 };
        self.list(table, bin).map(|run| run.size).max().unwrap_or(0)
    }

    /// Is there any block of [`FIRST_STEPPED`] granules or more?
    #[inline(always)]
    pub(super) const fn has_stepped(&self) -> bool {
        self.map.has_stepped()
    }

    /// Is the bin marked as one that holds blocks? For checks.
    pub(super) fn is_marked(&self, bin: u32) -> bool {
        self.map.contains(bin)
    }

    /// The free block that fits `size` granules best, among those looked at.
    #[inline(always)]
    pub(super) fn find(&self, table: &impl Table, size: u32) -> Option<Run> {
        if size >= FIRST_STEPPED {
            return self.find_stepped(table, size).found();
        }
        let bin = self.map.first_from(size)?;
        if bin < FIRST_STEPPED {
            return Some(Run { start: self.head(bin), size: bin });
        }
        self.best_of(table, bin, size, LOOK).found()
    }

    /// [`find`](Self::find) where bins hold several sizes: in the bin of `size` some blocks are too
    /// short, in all above none is.
    #[inline(always)]
    fn find_stepped(&self, table: &impl Table, size: u32) -> Run {
        let bin = stepped_bin_of(size);
        let best = self.best_of(table, bin, size, LOOK);
        if best.start != NONE {
            return best;
        }
        match self.map.first_from(bin + 1) {
            Some(above) => self.best_of(table, above, size, LOOK_ABOVE),
            None => Run::NOWHERE,
        }
    }

    /// The shortest block of at least `size` granules among the first `look` of a bin, or
    /// [`Run::NOWHERE`], which unlike an option is returned in registers.
    #[inline]
    fn best_of(&self, table: &impl Table, bin: u32, size: u32, look: u32) -> Run {
        let mut best = Run { size: u32::MAX, ..Run::NOWHERE };
        let (mut block, mut left) = (self.head(bin), look);
        while block != NONE && left > 0 {
            // SAFETY: only free blocks are in lists, and the table holds them (invariant 1).
            let (found, next) = unsafe {
                let place = table.place(block);
                (table.size(place), table.next(place))
            };
            if found >= size && found < best.size {
                best = Run { start: block, size: found };
                if found == size {
                    break;
                }
            }
            (block, left) = (next, left - 1);
        }
        best
    }

    /// A free block in which an aligned block of `size` granules has room, or [`Run::NOWHERE`]: the
    /// first that may happen to have room, or else one that is long enough wherever it starts.
    /// `size + align` is a size.
    #[inline(always)]
    pub(super) fn find_aligned(
        &self,
        table: &impl Table,
        size: u32,
        align: u32,
        phase: u32,
    ) -> Run {
        let Some(bin) = self.map.first_from(bin_of(size)) else { return Run::NOWHERE };
        let first = self.first_of(table, bin);
        if has_room(first, size, align, phase) {
            return first;
        }
        let longest = size + (align - 1);
        // From this bin on all blocks are as long.
        let sure = bin_of(longest) + u32::from(longest >= FIRST_STEPPED);
        match self.map.first_from(sure) {
            Some(bin) => self.first_of(table, bin),
            None => Run::NOWHERE,
        }
    }

    /// The same, where all blocks are looked at that may happen to have room.
    #[cold]
    pub(super) fn find_aligned_anywhere(
        &self,
        table: &impl Table,
        size: u32,
        align: u32,
        phase: u32,
    ) -> Run {
        let mut bin = bin_of(size);
        while let Some(next) = self.map.first_from(bin) {
            let mut list = self.list(table, next);
            if let Some(run) = list.find(|&run| has_room(run, size, align, phase)) {
                return run;
            }
            bin = next + 1;
        }
        Run::NOWHERE
    }

    /// The first block of a bin that holds some.
    #[inline(always)]
    fn first_of(&self, table: &impl Table, bin: u32) -> Run {
        let start = self.head(bin);
        // SAFETY: only free blocks are in lists, and the table holds them (invariant 1).
        Run { start, size: unsafe { table.size(table.place(start)) } }
    }

    /// The first block of a bin.
    #[inline(always)]
    fn head(&self, bin: u32) -> u32 {
        debug_assert!((bin as usize) < BINS);
        // SAFETY: bins come from `bin_of`, which stays below `BINS` for every size that a block
        // can have (tested: it is monotone, and `BINS` is one above the largest size's), or from
        // the map, which has bits for bins of blocks only (invariant 3).
        unsafe { *self.heads.get_unchecked(bin as usize) }
    }

    #[inline(always)]
    fn set_head(&mut self, bin: u32, block: u32) {
        debug_assert!((bin as usize) < BINS);
        // SAFETY: as in `head`.
        unsafe { *self.heads.get_unchecked_mut(bin as usize) = block };
    }
}

/// Does an aligned block of `size` granules have room in a free block?
#[inline(always)]
fn has_room(run: Run, size: u32, align: u32, phase: u32) -> bool {
    run.size.saturating_sub(padding(phase, run.start, align)) >= size
}
