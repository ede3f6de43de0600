//! The best-fit algorithm over one range of granules.
//!
//! ```text
//!  lists     free blocks by size                               (`Lists`)
//!  edges     where free memory begins and ends                 (`Edges`)
//!  parked    blocks that were freed and are not joined yet     (`Parked`)
//!
//!  granules  │ used │ free │ used │ parked │ used │ tail …     │
//! ```
//!
//! *Allocate*: a parked block of the size, or else the free block that fits best, cut at its low
//! end; the remainder stays free. *Free*: the block is parked, or else joined with the neighbours
//! that the edges on both its sides tell of. The *tail* is the free block that ends where the space
//! does, as long as it is a quarter of it: it is in no list, serves what nothing else can, and
//! cutting it moves one number. Only while there is one are blocks parked.
//!
//! # Invariants
//!
//! 1. An edge is set if and only if of the granules before and after it one is free. (Parked blocks
//!    are not.)
//! 2. The table holds the size and the links of every free block but the tail, and nothing of
//!    others.
//! 3. No two free blocks are neighbours.
//! 4. Every free block but the tail is in the list of its bin.
//! 5. Granules from [`touched`](Space::touched) on were never used, and nothing was written to
//!    them, save where a free block that ends with the last one keeps its size. Free blocks of less
//!    than [`FIRST_STEPPED`] granules lie below it.

mod cut;
mod grow;
mod tail;
mod walk;

use core::hint::assert_unchecked;

use allotrope_sync::fatal::promised;

use super::edges::Edges;
use super::lists::Lists;
use super::parked::Parked;
use super::table::{NONE, Table, is_block};
use crate::layout::bins::{FIRST_STEPPED, stepped_bin_of};
use crate::layout::granule::BlockSize;

/// One range of granules, and the free blocks in it.
#[derive(Debug)]
pub struct Space<T> {
    pub(super) table: T,
    pub(super) edges: Edges,
    /// How many granules there are, from granule 0 on.
    granules: u32,
    /// Where the tail starts, or [`NONE`].
    tail: u32,
    /// The fewest granules at the end that are a tail.
    shortest_tail: u32,
    pub(super) parked: Parked,
    pub(super) lists: Lists,
}

/// A free block, or a part of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// Its first granule.
    pub start: u32,
    /// How many granules it has.
    pub size: u32,
}

impl Run {
    /// No block at all.
    pub const NOWHERE: Self = Self { start: NONE, size: 0 };

    /// The run, unless it is [`NOWHERE`](Self::NOWHERE).
    #[inline(always)]
    pub const fn found(self) -> Option<Self> {
        if is_block(self.start) { Some(self) } else { None }
    }

    #[inline(always)]
    /// The granule behind its last.
    pub const fn end(self) -> u32 {
        self.start + self.size
    }
}

impl<T: Table> Space<T> {
    /// A space of no granules yet. It becomes one of some by [`extend`](Self::extend).
    ///
    /// Nothing is touched until then, so `table` and `edges` may dangle.
    ///
    /// # Safety
    ///
    /// Nobody walks the free blocks of a space that was never extended. Sizes that are asked for are
    /// above 0 and in the range of [`granule`](crate::layout::granule), alignments powers of two in it.
    /// Table and edges stay valid, and nobody else's, for as long as the space is used.
    pub const unsafe fn new(table: T, edges: Edges) -> Self {
        const { assert!(T::SHORTEST_TAIL > FIRST_STEPPED, "a tail as short as what is parked") };
        let (parked, lists) = (Parked::new(), Lists::new());
        Self { table, edges, granules: 0, tail: NONE, shortest_tail: 0, parked, lists }
    }

    /// How many granules there are.
    #[inline(always)]
    pub const fn granules(&self) -> u32 {
        self.granules
    }

    /// Granules from this one on were never used.
    #[inline(always)]
    pub const fn touched(&self) -> u32 {
        self.edges.valid()
    }

    /// Adds `by` free granules at the end, and returns the free block that they are in.
    ///
    /// # Safety
    ///
    /// The table and the edges reach as far, and the granules belong to nobody else.
    pub unsafe fn extend(&mut self, by: u32) -> Run {
        let (old, new) = (self.granules, self.granules + by);
        self.granules = new;
        self.shortest_tail = T::SHORTEST_TAIL.max(new / 4);
        // SAFETY: the edges reach as far (caller). The tail, if there is one, ends with the last
        // edge; else all below the new granules counts as touched, and they are nobody's, to join.
        unsafe {
            if self.tail != NONE {
                self.edges.toggle(old);
                self.edges.extend(new);
                self.edges.toggle(new);
                return Run { start: self.tail, size: new - self.tail };
            }
            self.edges.validate(old);
            self.edges.extend(new);
            let run = self.join(self.table.place(old), Run { start: old, size: by });
            if self.tail == NONE {
                self.touch(run, 0);
            }
            run
        }
    }

    /// Forgets all blocks, so that everything is one free block.
    ///
    /// # Safety
    ///
    /// Nobody accesses any block afterwards.
    pub unsafe fn reset(&mut self) {
        (self.lists, self.parked, self.tail) = (Lists::new(), Parked::new(), NONE);
        let size = self.granules;
        if size > 0 {
            // SAFETY: the bitmap is ours, and so are all granules (caller).
            unsafe {
                self.edges.clear();
                self.edges.toggle(0);
                self.edges.toggle(size);
                let (place, run) = (self.table.place(0), Run { start: 0, size });
                self.table.take(place, size);
                self.touch(run, 0);
                if !self.begin_tail(place, run) {
                    self.link(place, run);
                }
            }
        }
    }

    /// Takes a block of `size` granules out, and returns the free block that it was cut from.
    /// The block is at its start.
    #[inline(always)]
    pub fn allocate(&mut self, wanted: BlockSize) -> Option<Run> {
        let size = wanted.get();
        if size >= FIRST_STEPPED {
            return self.allocate_large(wanted).found();
        }
        if let Some(start) = self.parked.take(size) {
            // SAFETY: the block is in range, and ours until now.
            unsafe { self.table.take(self.table.place(start), size) };
            return Some(Run { start, size });
        }
        // SAFETY: the lists are of this table, and the size is below `FIRST_STEPPED`.
        if let Some(start) = unsafe { self.lists.pop(&self.table, size) } {
            // SAFETY: the block was free and in no list any more; it is in use now.
            unsafe {
                self.edges.toggle(start);
                self.edges.toggle(start + size);
                self.table.take(self.table.place(start), size);
            }
            if self.parked.is_unsettled() {
                self.settle_one();
            }
            return Some(Run { start, size });
        }
        self.allocate_longer(wanted)
    }

    /// [`allocate`](Self::allocate), where no block is exactly as long.
    #[inline(always)]
    fn allocate_longer(&mut self, wanted: BlockSize) -> Option<Run> {
        let size = wanted.get();
        let Some(longer) = self.lists.next_exact(size) else {
            return self.allocate_large(wanted).found();
        };
        // SAFETY: the block was free and is in no list any more. Its front is in use now; the rest
        // is ours to link, and has no free neighbour, as the block had none (invariant 3).
        let start = unsafe {
            let start = self.lists.pop_first(&self.table, longer);
            let place = self.table.place(start);
            self.table.take(place, size);
            self.link_small(
                self.table.after(place, size),
                Run { start: start + size, size: longer - size },
            );
            self.edges.toggle(start);
            self.edges.toggle(start + size);
            start
        };
        Some(Run { start, size: longer })
    }

    /// [`allocate`](Self::allocate) from a bin of several sizes, or from the tail; [`Run::NOWHERE`]
    /// where there is none, which is returned in registers and an option is not.
    #[inline(never)]
    fn allocate_large(&mut self, wanted: BlockSize) -> Run {
        if self.lists.has_stepped() {
            return self.allocate_stepped(wanted);
        }
        let size = wanted.get();
        if self.is_tail_for(size) {
            // SAFETY: just asked.
            return unsafe { self.shorten_tail(size) };
        }
        self.allocate_last(size)
    }

    /// [`allocate`](Self::allocate) from a bin of several sizes, if any fits. What follows the search is
    /// a call in the last place each, so that little is saved on the stack, or nothing.
    #[inline(always)]
    fn allocate_stepped(&mut self, wanted: BlockSize) -> Run {
        let size = wanted.get();
        // SAFETY: the lists are of this table.
        let (found, bin) = unsafe { self.lists.find_stepped(&self.table, wanted) };
        if !is_block(found.start) {
            return self.allocate_last(size);
        }
        // SAFETY: it is free, in the list of that bin, and at least `size` granules long.
        unsafe {
            if found.size == size {
                self.take_stepped(found)
            } else {
                self.cut_stepped(found, bin, size)
            }
        }
    }

    /// [`allocate`](Self::allocate) where only the tail may be long enough.
    #[inline(never)]
    fn allocate_last(&mut self, size: u32) -> Run {
        if self.is_tail_for(size) {
            // SAFETY: just asked.
            return unsafe { self.shorten_tail(size) };
        }
        self.cut_tail(0, size)
    }

    /// Gives a block back, and returns the free block that it is part of now, or itself where it
    /// is parked. `place` is its place.
    ///
    /// # Safety
    ///
    /// The granules of the block are in range, no part of a free block, and the caller's to give.
    #[inline(always)]
    pub unsafe fn free(&mut self, place: T::Place, block: Run) -> Run {
        let is_inside = (1..=self.granules).contains(&block.size) && block.end() <= self.granules;
        promised!(is_inside, "a block outside its space, at granule", block.start as usize);
        // SAFETY: as the caller promises.
        unsafe {
            if self.parked.park(block) {
                self.table.hide(place, block.size);
                return block;
            }
            self.join(place, block)
        }
    }

    /// Joins a block with its free neighbours, and returns what it is part of now.
    ///
    /// # Safety
    ///
    /// As for `free`.
    #[inline(always)]
    unsafe fn join(&mut self, place: T::Place, block: Run) -> Run {
        let end = block.end();
        // SAFETY: for all below: the granules of the block are in range (caller), so both its ends
        // have edges; where these were set, they end and start free blocks (invariant 1), whose
        // sizes the table holds (invariant 2), unless it is the tail, which only starts. None is empty.
        unsafe {
            // A path for each case: what is not there need not be asked for again.
            if self.edges.toggle(block.start) {
                let below = self.table.size_before(place);
                let is_free = (1..=block.start).contains(&below);
                promised!(is_free, "a block is freed twice, at granule", block.start as usize);
                assert_unchecked(below > 0);
                if !self.edges.toggle(end) {
                    return self.join_both(place, block, below, 0);
                }
                if end == self.tail {
                    return self.join_tail(place, block, below);
                }
                let above = self.table.size(self.table.after(place, block.size));
                let is_free = (1..=self.granules - end).contains(&above);
                promised!(is_free, "a block is freed twice, at granule", block.start as usize);
                assert_unchecked(above > 0);
                return self.join_both(place, block, below, above);
            }
            if !self.edges.toggle(end) {
                self.link_freed(place, block);
                return block;
            }
            if end == self.tail {
                return self.join_tail(place, block, 0);
            }
            let above = self.table.size(self.table.after(place, block.size));
            let is_free = (1..=self.granules - end).contains(&above);
            promised!(is_free, "a block is freed twice, at granule", block.start as usize);
            assert_unchecked(above > 0);
            self.join_both(place, block, 0, above)
        }
    }

    /// [`join`](Self::join), where neither neighbour is free.
    ///
    /// # Safety
    ///
    /// As for `free`, and all edges are set right.
    #[inline(always)]
    unsafe fn link_freed(&mut self, place: T::Place, block: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if block.size < FIRST_STEPPED {
                self.link_small(place, block);
            } else {
                self.link_large(place, block);
            }
        }
    }

    /// Puts a run, whose edges are the caller's care, in the list of a bin of several sizes, unless it
    /// is a tail.
    ///
    /// # Safety
    ///
    /// As for `link`, and the run is not shorter than [`FIRST_STEPPED`].
    #[inline(always)]
    unsafe fn link_or_begin_tail(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.end() != self.granules || !self.begin_tail(place, run) {
                self.link_stepped(place, run);
            }
        }
    }

    /// [`link_or_begin_tail`](Self::link_or_begin_tail), behind a call.
    ///
    /// # Safety
    ///
    /// As for that.
    #[inline(never)]
    unsafe fn link_large(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            self.link_or_begin_tail(place, run);
        }
    }

    /// [`join`](Self::join) with blocks of as many granules before and behind, where 0 is none.
    ///
    /// # Safety
    ///
    /// There are such blocks, in their lists, and all edges are set right.
    #[inline(always)]
    unsafe fn join_both(&mut self, place: T::Place, block: Run, below: u32, above: u32) -> Run {
        let run = Run { start: block.start - below, size: below + block.size + above };
        // SAFETY: as the caller promises.
        unsafe {
            let start = self.table.before(place, below);
            if run.size >= FIRST_STEPPED {
                self.join_large(start, run.start, below, run.size, above);
                return run;
            }
            if below > 0 {
                self.lists.unlink(&mut self.table, start, run.start, below);
            }
            if above > 0 {
                let place = self.table.after(place, block.size);
                self.lists.unlink(&mut self.table, place, block.end(), above);
            }
            self.link_small(start, run);
        }
        run
    }

    /// Makes one block of `size` granules, which belongs in a bin of several sizes, from `start` on:
    /// of a free block of `below` granules, one that is freed, and a free one of `above`.
    ///
    /// # Safety
    ///
    /// As for `join_both`, and `place` is the place of `start`.
    #[inline(never)]
    unsafe fn join_large(
        &mut self,
        place: T::Place,
        start: u32,
        below: u32,
        size: u32,
        above: u32,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            self.unlink(place, Run { start, size: below });
            let before = size - above;
            let end_place = self.table.after(place, before);
            self.unlink(end_place, Run { start: start + before, size: above });
            let run = Run { start, size };
            self.link_or_begin_tail(place, run);
        }
    }

    /// [`join`](Self::join) with the tail and a block of as many granules before, where 0 is none.
    ///
    /// # Safety
    ///
    /// As for `join_both`, and the tail is behind the block.
    #[inline(never)]
    unsafe fn join_tail(&mut self, place: T::Place, block: Run, below: u32) -> Run {
        let start = block.start - below;
        let run = Run { start, size: self.granules - start };
        // SAFETY: as the caller promises.
        unsafe {
            let place = self.table.before(place, below);
            self.unlink(place, Run { start, size: below });
            self.table.hide(place, below + block.size);
        }
        self.tail = start;
        run
    }

    /// Joins a parked block that waits for it with its neighbours, if one is found soon.
    #[inline(never)]
    fn settle_one(&mut self) {
        if let Some(block) = self.parked.take_unsettled() {
            // SAFETY: the block was parked, so it is ours, and in use to all others.
            unsafe { self.join(self.table.place(block.start), block) };
        }
    }

    /// Joins all parked blocks with their neighbours; true if there were any.
    pub fn settle(&mut self) -> bool {
        let mut is_any = false;
        while let Some(block) = self.parked.take_any() {
            // SAFETY: the block was parked, so it is ours, and in use to all others.
            unsafe { self.join(self.table.place(block.start), block) };
            is_any = true;
        }
        is_any
    }

    /// Notes that `size` granules at the start of a run are used, and a free block starts behind them.
    ///
    /// # Safety
    ///
    /// The run lies in the space, and has as many granules.
    #[inline(always)]
    unsafe fn touch(&mut self, run: Run, size: u32) {
        // SAFETY: the edges have a bit for each granule and for the end of the last (`extend`);
        // this is one of them (caller).
        unsafe { self.edges.validate(Self::touched_by(run, size)) };
    }

    /// Would [`touch`](Self::touch) change anything?
    #[inline(always)]
    fn touches(&self, run: Run, size: u32) -> bool {
        Self::touched_by(run, size) > self.edges.valid()
    }

    /// Up to where all counts as touched when `size` granules at the start of a run are used.
    #[inline(always)]
    fn touched_by(run: Run, size: u32) -> u32 {
        let is_whole = size <= run.size;
        promised!(is_whole, "a free block was written to, at granule", run.start as usize);
        match run.size - size {
            0..FIRST_STEPPED => run.end(),
            _ => run.start + size + 1,
        }
    }

    /// Makes a free block, whose edges are not set, a run of granules that are nobody's.
    ///
    /// # Safety
    ///
    /// `run` is a free block, in its list.
    unsafe fn remove(&mut self, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            let place = self.table.place(run.start);
            self.unlink(place, run);
            self.edges.toggle(run.start);
            self.edges.toggle(run.end());
            self.table.take(place, run.size);
        }
    }

    /// Puts a run, whose edges are the caller's care, in the table and in its list.
    ///
    /// # Safety
    ///
    /// The granules are in range and ours, `place` is the place of the first, which counts as
    /// touched.
    #[inline(always)]
    unsafe fn link(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.size < FIRST_STEPPED {
                self.link_small(place, run);
            } else {
                self.link_stepped(place, run);
            }
        }
    }

    /// [`link`](Self::link) in a bin of one size.
    ///
    /// # Safety
    ///
    /// As for `link`, and the run is shorter than [`FIRST_STEPPED`].
    #[inline(always)]
    unsafe fn link_small(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            self.table.put(place, run.size);
            self.lists.link(&mut self.table, place, run.start, run.size);
        }
    }

    /// [`link`](Self::link) in a bin of several sizes.
    ///
    /// # Safety
    ///
    /// As for `link`, and the run is not shorter than [`FIRST_STEPPED`].
    #[inline(always)]
    unsafe fn link_stepped(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            let is_large = run.size >= FIRST_STEPPED;
            promised!(is_large, "a size that has a list to itself", run.size as usize);
            assert_unchecked(is_large);
            self.table.put(place, run.size);
            let bin = stepped_bin_of(run.size);
            self.lists.link_stepped(&mut self.table, place, run.start, bin);
        }
    }

    /// Takes a free block, whose edges are the caller's care, out of its list; one of no granules is
    /// in none.
    ///
    /// # Safety
    ///
    /// `run` is a free block, in its list, and `place` the place of its first granule.
    #[inline(always)]
    unsafe fn unlink(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.size >= FIRST_STEPPED {
                self.lists.unlink_stepped(&mut self.table, place);
            } else if run.size > 0 {
                self.lists.unlink(&mut self.table, place, run.start, run.size);
            }
        }
    }
}
