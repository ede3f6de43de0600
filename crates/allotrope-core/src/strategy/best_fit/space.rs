//! The best-fit algorithm over one range of granules.
//!
//! ```text
//!  bins      heads ──▶ free block ◀──▶ free block ◀──▶ …      (links: `Table`)
//!  map       which bins hold any                              (`BinMap`)
//!  edges     where free blocks begin and end                  (`Edges`)
//! ```
//!
//! *Find*: the first bin whose blocks are large enough; in a bin of several sizes the best of the
//! first [`LOOK`] blocks. *Allocate*: cut the block from the free block's low end; the remainder
//! stays free. *Free*: the edge before and the edge after say whether the neighbours are free;
//! with those it is one block.
//!
//! # Invariants
//!
//! 1. A granule is marked as an edge if and only if it is the first or the last of a free block.
//! 2. The table holds the size and the links of every free block, and nothing of others.
//! 3. No two free blocks are neighbours.
//! 4. Every free block is in the list of its bin, and nothing else is in any list.
//! 5. The map has a bin's bit if and only if its list is not empty.

use super::edges::Edges;
use super::table::{NONE, Table};
use crate::layout::bins::{BINS, BinMap, FIRST_STEPPED, bin_of};
use crate::layout::granule::padding;

/// One range of granules, and the free blocks in it.
#[derive(Debug)]
pub(super) struct Space<T> {
    pub(super) table: T,
    pub(super) edges: Edges,
    /// How many granules there are, from granule 0 on.
    granules: u32,
    map: BinMap,
    heads: [u32; BINS],
}

/// How many blocks of one bin are looked at for the one that fits best.
pub(super) const LOOK: u32 = 4;

/// All blocks are looked at.
pub(super) const LOOK_AT_ALL: u32 = u32::MAX;

/// A free block, or a part of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) start: u32,
    pub(super) size: u32,
}

impl Run {
    #[inline(always)]
    pub(super) const fn end(self) -> u32 {
        self.start + self.size
    }
}

impl<T: Table> Space<T> {
    /// A space of no granules yet. It becomes one of some by [`extend`](Self::extend).
    ///
    /// Nothing is touched until then, so `table` and `edges` may dangle.
    pub(super) const fn new(table: T, edges: Edges) -> Self {
        Self { table, edges, granules: 0, map: BinMap::new(), heads: [NONE; BINS] }
    }

    /// How many granules there are.
    #[inline(always)]
    pub(super) const fn granules(&self) -> u32 {
        self.granules
    }

    /// Adds `by` free granules at the end, and returns the free block that they are in.
    ///
    /// # Safety
    ///
    /// The table and the edges reach as far, the new edges are zero, and the granules belong to
    /// nobody else.
    pub(super) unsafe fn extend(&mut self, by: u32) -> Run {
        let start = self.granules;
        self.granules += by;
        // SAFETY: the new granules are in range now, no part of a free block, and nobody's.
        unsafe { self.free(start, by) }
    }

    /// Forgets all blocks, so that everything is one free block.
    ///
    /// # Safety
    ///
    /// Nobody accesses any block afterwards.
    pub(super) unsafe fn reset(&mut self) {
        (self.map, self.heads) = (BinMap::new(), [NONE; BINS]);
        let granules = self.granules;
        if granules > 0 {
            // SAFETY: the bitmap is ours, and has room for all granules.
            unsafe { self.edges.wipe(0, granules) };
            // SAFETY: the granules are ours alone (caller).
            unsafe {
                self.table.take(0, granules);
                self.insert(Run { start: 0, size: granules });
            }
        }
    }

    /// Takes a block of `size` granules out, and returns the free block that it was cut from.
    /// The block is at its start.
    #[inline(always)]
    pub(super) fn allocate(&mut self, size: u32) -> Option<Run> {
        let (found, bin) = self.find(size)?;
        // SAFETY: it is free and at least `size` granules long.
        unsafe { self.cut_front(found, bin, size) };
        Some(found)
    }

    /// Takes a block of `size` granules out whose address is a multiple of `align` granules, and
    /// returns its first granule and the free block that it was cut from. `phase` is the address
    /// of granule 0, in granules. Of the blocks that may happen to have room, about `look` are
    /// looked at.
    pub(super) fn allocate_aligned(
        &mut self,
        size: u32,
        align: u32,
        phase: u32,
        look: u32,
    ) -> Option<(u32, Run)> {
        let found = match self.find_aligned(size, align, phase, look) {
            Some(found) => found,
            None => self.find(size.checked_add(align - 1)?)?.0,
        };
        let start = found.start + padding(phase, found.start, align);
        // SAFETY: `found` is free, and long enough wherever the aligned granule lies in it.
        unsafe { self.cut(found, start, size) };
        Some((start, found))
    }

    /// Gives a block back, and returns the free block that it is part of now.
    ///
    /// # Safety
    ///
    /// The `size` granules from `start` on are in range, no part of a free block, and the
    /// caller's to give.
    #[inline(always)]
    pub(super) unsafe fn free(&mut self, start: u32, size: u32) -> Run {
        let mut run = Run { start, size };
        debug_assert!(size > 0 && run.end() <= self.granules, "a block outside of its space");
        // SAFETY: for all below: the granules of the run are in range (caller), so the one before
        // it and the one after it have edges; where these are set, they end and start free blocks
        // (invariant 1), whose sizes the table holds (invariant 2).
        unsafe {
            debug_assert!(!self.edges.is_edge(start), "a block is freed twice");
            debug_assert!(!self.edges.is_edge(start + size - 1), "a block is freed twice");
            if self.edges.ends_before(start) {
                let below = self.table.size_ending_with(start - 1);
                run = Run { start: start - below, size: size + below };
                self.unlink(Run { start: run.start, size: below }, bin_of(below));
                if below > 1 {
                    self.edges.clear(start - 1);
                }
            } else {
                self.edges.set(start);
            }
            if self.edges.is_edge(start + size) {
                let above = self.table.size(start + size);
                self.unlink(Run { start: start + size, size: above }, bin_of(above));
                run.size += above;
                if above > 1 {
                    self.edges.clear(start + size);
                }
            } else {
                self.edges.set(start + size - 1);
            }
            self.link(run, bin_of(run.size));
        }
        run
    }

    /// Lengthens a block from `old` to `new` granules in place, if the block after it is free and
    /// long enough; then returns how the free block is now, or an empty one.
    ///
    /// # Safety
    ///
    /// The `old` granules from `start` on are a block in use, and `new` is more.
    pub(super) unsafe fn grow(&mut self, start: u32, old: u32, new: u32) -> Option<Run> {
        let end = start + old;
        // SAFETY: `end` is in range or one past it; if it is an edge, a free block starts there.
        unsafe {
            if !self.edges.is_edge(end) {
                return None;
            }
            let above = Run { start: end, size: self.table.size(end) };
            let wanted = new - old;
            if above.size < wanted {
                return None;
            }
            self.cut_front(above, bin_of(above.size), wanted);
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
    pub(super) unsafe fn grow_down(&mut self, start: u32, old: u32, new: u32) -> Option<Run> {
        // SAFETY: as in `free`.
        unsafe {
            if !self.edges.ends_before(start) {
                return None;
            }
            let below = self.table.size_ending_with(start - 1);
            let end = start + old;
            let above = if self.edges.is_edge(end) { self.table.size(end) } else { 0 };
            let all = Run { start: start - below, size: below + old + above };
            if all.size < new {
                return None;
            }
            self.remove(Run { start: all.start, size: below });
            self.table.take(all.start, below);
            if above > 0 {
                self.remove(Run { start: end, size: above });
                self.table.take(end, above);
            }
            Some(all)
        }
    }

    /// Inserts what is left of `all` after its first `size` granules were taken.
    ///
    /// # Safety
    ///
    /// The granules of the rest are in range, the caller's to give, and no neighbour is free.
    pub(super) unsafe fn insert_rest(&mut self, all: Run, size: u32) {
        if all.size > size {
            // SAFETY: as the caller promises.
            unsafe { self.insert(Run { start: all.start + size, size: all.size - size }) };
        }
    }

    /// The size of the largest free block.
    pub(super) fn largest(&self) -> u32 {
        let Some(bin) = self.map.last() else { return 0 };
        self.list(bin).map(|run| run.size).max().unwrap_or(0)
    }

    /// The free blocks of a bin.
    pub(super) fn list(&self, bin: u32) -> impl Iterator<Item = Run> {
        let mut block = self.head(bin);
        core::iter::from_fn(move || {
            if block == NONE {
                return None;
            }
            // SAFETY: only free blocks are in lists (invariant 4), and the table holds them.
            let run = Run { start: block, size: unsafe { self.table.size(block) } };
            // SAFETY: as above.
            block = unsafe { self.table.next(block) };
            Some(run)
        })
    }

    /// The free blocks in address order.
    pub(super) fn free_runs(&self) -> impl Iterator<Item = Run> {
        let mut from = 0;
        core::iter::from_fn(move || {
            // SAFETY: `granules` is one past the range.
            let start = unsafe { self.edges.first_from(from, self.granules) }?;
            // SAFETY: coming from below, or from the end of a free block, the first edge met is
            // the first granule of a free block (invariant 1).
            let run = Run { start, size: unsafe { self.table.size(start) } };
            from = run.end();
            Some(run)
        })
    }

    /// How many granules are free.
    pub(super) fn free_granules(&self) -> u32 {
        self.free_runs().map(|run| run.size).sum()
    }

    /// Is the bin marked as one that holds blocks? For checks.
    pub(super) fn is_marked(&self, bin: u32) -> bool {
        self.map.contains(bin)
    }

    /// The free block that fits `size` granules best, among those looked at, and its bin.
    #[inline(always)]
    fn find(&self, size: u32) -> Option<(Run, u32)> {
        let bin = bin_of(size);
        if bin >= FIRST_STEPPED {
            return self.find_stepped(bin, size);
        }
        let found = self.map.first_from(bin)?;
        if found >= FIRST_STEPPED {
            return self.first_of(found, size);
        }
        // All blocks of such a bin are as long as its number.
        Some((Run { start: self.head(found), size: found }, found))
    }

    /// The best block of a bin in which all are large enough: often there is but one.
    #[inline(always)]
    fn first_of(&self, bin: u32, size: u32) -> Option<(Run, u32)> {
        let start = self.head(bin);
        // SAFETY: the bin is not empty, so its first block is a free one (invariant 4).
        let (only, run) = unsafe {
            (self.table.next(start) == NONE, Run { start, size: self.table.size(start) })
        };
        if only { Some((run, bin)) } else { self.best_of(bin, size, LOOK) }
    }

    /// [`find`](Self::find) where bins hold several sizes: in the bin of `size` some blocks are too
    /// short, in all above none is.
    #[inline(never)]
    fn find_stepped(&self, bin: u32, size: u32) -> Option<(Run, u32)> {
        if self.map.contains(bin)
            && let Some(best) = self.best_of(bin, size, LOOK)
        {
            return Some(best);
        }
        match self.map.first_from(bin + 1) {
            Some(above) => self.best_of(above, size, LOOK),
            // Before failing, all of the bin: what is there must be found.
            None => self.best_of(bin, size, LOOK_AT_ALL),
        }
    }

    /// The shortest block of at least `size` granules among the first `look` of a bin.
    #[inline(never)]
    fn best_of(&self, bin: u32, size: u32, look: u32) -> Option<(Run, u32)> {
        let mut best = Run { start: NONE, size: u32::MAX };
        for run in self.list(bin).take(look as usize) {
            if run.size >= size && run.size < best.size {
                best = run;
                if run.size == size {
                    break;
                }
            }
        }
        if best.start == NONE { None } else { Some((best, bin)) }
    }

    /// A free block in which an aligned block of `size` granules happens to have room, among some
    /// of those that are not long enough to have it anyway.
    fn find_aligned(&self, size: u32, align: u32, phase: u32, look: u32) -> Option<Run> {
        let fits = |run: &Run| {
            let start = padding(phase, run.start, align);
            start < run.size && run.size - start >= size
        };
        let mut looked = 0;
        let mut bin = self.map.first_from(bin_of(size))?;
        while looked < look && bin <= bin_of(size.saturating_add(align - 1)) {
            if let Some(run) =
                self.list(bin).take(look as usize).inspect(|_| looked += 1).find(fits)
            {
                return Some(run);
            }
            bin = self.map.first_from(bin + 1)?;
        }
        None
    }

    /// Takes the first `size` granules out of a free block; what is left after them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block of at least `size` granules, and `bin` its bin.
    #[inline(always)]
    unsafe fn cut_front(&mut self, run: Run, bin: u32, size: u32) {
        let rest = Run { start: run.start + size, size: run.size - size };
        // SAFETY: the run is a free block (caller), and the rest of it ours to link. Its
        // neighbours are not free: the run's are not (invariant 3), and the block is in use.
        unsafe {
            self.edges.clear(run.start);
            if rest.size == 0 {
                self.edges.clear(run.end() - 1);
                self.unlink(run, bin);
                self.table.take(run.start, run.size);
                return;
            }
            // The last granule stays an edge.
            self.edges.set(rest.start);
            let rest_bin = bin_of(rest.size);
            if rest_bin == bin {
                self.replace(run, rest, bin);
            } else {
                self.unlink(run, bin);
                self.table.take(run.start, run.size);
                self.link(rest, rest_bin);
            }
        }
    }

    /// Puts the rest of a free block, which is of the same bin, in its place in the list.
    ///
    /// # Safety
    ///
    /// `run` is a free block in `bin`, and `rest`, which is of the same bin, its end.
    #[inline(always)]
    unsafe fn replace(&mut self, run: Run, rest: Run, bin: u32) {
        // SAFETY: as in `unlink` and `link`.
        unsafe {
            let (next, prev) = (self.table.next(run.start), self.table.prev(run.start));
            self.table.take(run.start, run.size);
            self.table.put(rest.start, rest.size);
            self.table.set_next(rest.start, next);
            self.table.set_prev(rest.start, prev);
            if next != NONE {
                self.table.set_prev(next, rest.start);
            }
            if prev != NONE {
                self.table.set_next(prev, rest.start);
            } else {
                self.set_head(bin, rest.start);
            }
        }
    }

    /// Takes `size` granules from `start` on out of a free block; what is left before and after
    /// them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block that the granules lie in.
    unsafe fn cut(&mut self, run: Run, start: u32, size: u32) {
        let before = start - run.start;
        let after = run.size - before - size;
        // SAFETY: as in `cut_front`.
        unsafe {
            self.remove(run);
            self.table.take(run.start, run.size);
            if before > 0 {
                self.insert(Run { start: run.start, size: before });
            }
            if after > 0 {
                self.insert(Run { start: start + size, size: after });
            }
        }
    }

    /// Makes a run of granules a free block.
    ///
    /// # Safety
    ///
    /// The granules are in range and ours, and neither neighbour is free.
    unsafe fn insert(&mut self, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            self.edges.set(run.start);
            self.edges.set(run.end() - 1);
            self.link(run, bin_of(run.size));
        }
    }

    /// Makes a free block a run of granules that are nobody's.
    ///
    /// # Safety
    ///
    /// `run` is a free block.
    unsafe fn remove(&mut self, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            self.unlink(run, bin_of(run.size));
            self.edges.clear(run.start);
            self.edges.clear(run.end() - 1);
        }
    }

    /// Puts a run of granules, whose edges are the caller's care, in the table and in its bin.
    ///
    /// # Safety
    ///
    /// The granules are in range and ours, and `bin` is the bin of their number.
    #[inline(always)]
    unsafe fn link(&mut self, run: Run, bin: u32) {
        let head = self.head(bin);
        // SAFETY: the granules are ours (caller), and `head` is a free block (invariant 4).
        unsafe {
            self.table.put(run.start, run.size);
            self.table.set_next(run.start, head);
            self.table.set_prev(run.start, NONE);
            if head == NONE {
                self.map.insert(bin);
            } else {
                self.table.set_prev(head, run.start);
            }
        }
        self.set_head(bin, run.start);
    }

    /// Takes a free block, whose edges are the caller's care, out of its bin.
    ///
    /// # Safety
    ///
    /// `run` is a free block, and `bin` its bin.
    #[inline(always)]
    unsafe fn unlink(&mut self, run: Run, bin: u32) {
        // SAFETY: the run is a free block (caller), and so are those it is linked to
        // (invariant 4).
        unsafe {
            let (next, prev) = (self.table.next(run.start), self.table.prev(run.start));
            if next != NONE {
                self.table.set_prev(next, prev);
            }
            if prev != NONE {
                self.table.set_next(prev, next);
            } else {
                self.set_head(bin, next);
                if next == NONE {
                    self.map.remove(bin);
                }
            }
        }
    }

    /// The first block of a bin.
    #[inline(always)]
    fn head(&self, bin: u32) -> u32 {
        debug_assert!((bin as usize) < BINS);
        // SAFETY: bins come from `bin_of`, which stays below `BINS` for every size that a block
        // can have (tested: it is monotone, and `BINS` is one above the largest size's), or from
        // the map, which has bits for bins of blocks only (invariant 5).
        unsafe { *self.heads.get_unchecked(bin as usize) }
    }

    #[inline(always)]
    fn set_head(&mut self, bin: u32, block: u32) {
        debug_assert!((bin as usize) < BINS);
        // SAFETY: as in `head`.
        unsafe { *self.heads.get_unchecked_mut(bin as usize) = block };
    }
}
