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

mod grow;
mod walk;

use super::edges::Edges;
use super::lists::Lists;
use super::parked::Parked;
use super::table::{NONE, Table};
use crate::layout::bins::FIRST_STEPPED;
use crate::layout::granule::padding;

/// One range of granules, and the free blocks in it.
#[derive(Debug)]
pub struct Space<T> {
    pub(super) table: T,
    pub(super) edges: Edges,
    /// How many granules there are, from granule 0 on.
    granules: u32,
    /// Where the tail starts, or [`NONE`].
    tail: u32,
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
        if self.start == NONE { None } else { Some(self) }
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
    pub const fn new(table: T, edges: Edges) -> Self {
        const { assert!(T::SHORTEST_TAIL > FIRST_STEPPED, "a tail as short as what is parked") };
        let (parked, lists) = (Parked::new(), Lists::new());
        Self { table, edges, granules: 0, tail: NONE, parked, lists }
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
                self.link(place, run);
            }
        }
    }

    /// Takes a block of `size` granules out, and returns the free block that it was cut from.
    /// The block is at its start.
    #[inline(always)]
    pub fn allocate(&mut self, size: u32) -> Option<Run> {
        if size >= FIRST_STEPPED {
            return self.allocate_large(size).found();
        }
        if let Some(start) = self.parked.take(size) {
            // SAFETY: the block is in range, and ours until now.
            unsafe { self.table.take(self.table.place(start), size) };
            return Some(Run { start, size });
        }
        if let Some(start) = self.lists.pop(&self.table, size) {
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
        self.allocate_longer(size)
    }

    /// [`allocate`](Self::allocate), where no block is exactly as long.
    #[inline(always)]
    fn allocate_longer(&mut self, size: u32) -> Option<Run> {
        let Some(longer) = self.lists.next_exact(size) else {
            return self.allocate_large(size).found();
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
    fn allocate_large(&mut self, size: u32) -> Run {
        if self.lists.has_stepped() || !self.is_tail_for(size) {
            return self.allocate_any(size);
        }
        // SAFETY: the tail is as long, and still one without these granules.
        unsafe { self.shorten_tail(size) }
    }

    /// [`allocate`](Self::allocate) from whatever fits.
    #[inline(never)]
    fn allocate_any(&mut self, size: u32) -> Run {
        let Some(found) = self.lists.find(&self.table, size) else {
            if self.is_tail_for(size) {
                // SAFETY: just asked.
                return unsafe { self.shorten_tail(size) };
            }
            return self.cut_tail(0, size).unwrap_or(Run::NOWHERE);
        };
        // SAFETY: it is free, in its list, and at least `size` granules long.
        unsafe { self.cut_front(found, size) };
        found
    }

    /// Takes a block of `size` granules at a multiple of `align` granules out, and returns it with what
    /// was free behind it, or [`Run::NOWHERE`]. Granule 0 is at `phase`.
    #[inline(never)]
    pub fn allocate_aligned(&mut self, size: u32, align: u32, phase: u32) -> Run {
        if size.checked_add(align - 1).is_none() {
            return Run::NOWHERE;
        }
        let found = self.lists.find_aligned(&self.table, size, align, phase);
        if found.start != NONE {
            // SAFETY: it is free, in its list, and has room.
            return unsafe { self.cut_aligned(found, size, align, phase) };
        }
        let before = if self.tail == NONE { 0 } else { padding(phase, self.tail, align) };
        match self.cut_tail(before, size) {
            Some(tail) => Run { start: tail.start + before, size: tail.size - before },
            None => Run::NOWHERE,
        }
    }

    /// [`allocate_aligned`](Self::allocate_aligned) from any free block but the tail, however many
    /// are looked at.
    #[cold]
    pub fn allocate_anywhere(&mut self, size: u32, align: u32, phase: u32) -> Run {
        let found = self.lists.find_aligned_anywhere(&self.table, size, align, phase);
        if found.start == NONE {
            return Run::NOWHERE;
        }
        // SAFETY: it is free, in its list, and has room.
        unsafe { self.cut_aligned(found, size, align, phase) }
    }

    /// Takes an aligned block out of a free one.
    ///
    /// # Safety
    ///
    /// `found` is a free block, in its list, and has room for it.
    #[inline(always)]
    unsafe fn cut_aligned(&mut self, found: Run, size: u32, align: u32, phase: u32) -> Run {
        let before = padding(phase, found.start, align);
        // SAFETY: as the caller promises.
        unsafe { self.cut(found, found.start + before, size) };
        Run { start: found.start + before, size: found.size - before }
    }

    /// Gives a block back, and returns the free block that it is part of now, or itself where it
    /// is parked. `place` is its place.
    ///
    /// # Safety
    ///
    /// The granules of the block are in range, no part of a free block, and the caller's to give.
    #[inline(always)]
    pub unsafe fn free(&mut self, place: T::Place, block: Run) -> Run {
        debug_assert!(block.size > 0 && block.end() <= self.granules, "a block outside its space");
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
    unsafe fn join(&mut self, mut place: T::Place, block: Run) -> Run {
        let (end, mut run) = (block.end(), block);
        // SAFETY: for all below: the granules of the block are in range (caller), so both its ends
        // have edges; where these were set, they end and start free blocks (invariant 1), whose
        // sizes the table holds (invariant 2), unless it is the tail, which only starts.
        unsafe {
            let end_place = self.table.after(place, block.size);
            let is_below_free = self.edges.toggle(block.start);
            let is_above_free = self.edges.toggle(end);
            if is_below_free {
                let below = self.table.size_before(place);
                place = self.table.before(place, below);
                run = Run { start: run.start - below, size: run.size + below };
                self.unlink(place, Run { start: run.start, size: below });
            }
            if is_above_free {
                if end == self.tail {
                    self.table.hide(place, run.size);
                    self.tail = run.start;
                    return Run { start: run.start, size: self.granules - run.start };
                }
                let above = self.table.size(end_place);
                self.unlink(end_place, Run { start: end, size: above });
                run.size += above;
            }
            self.link(place, run);
        }
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

    /// Takes the first `size` granules out of a free block; what is left after them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block of at least `size` granules, and in its list.
    #[inline(always)]
    unsafe fn cut_front(&mut self, run: Run, size: u32) {
        self.touch(run, size);
        let rest = Run { start: run.start + size, size: run.size - size };
        // SAFETY: the run is a free block (caller), and the rest of it ours to link. Its
        // neighbours are not free: the run's are not (invariant 3), and the block is in use.
        unsafe {
            self.edges.toggle(run.start);
            self.edges.toggle(rest.start);
            let place = self.table.place(run.start);
            self.table.take(place, size);
            if rest.size == 0 {
                self.unlink(place, run);
            } else if !self.lists.replace(&mut self.table, place, run, rest) {
                self.unlink(place, run);
                self.link(self.table.after(place, size), rest);
            }
        }
    }

    /// Takes `size` granules from `start` on out of a free block; what is left before and after
    /// them stays free.
    ///
    /// # Safety
    ///
    /// `run` is a free block that the granules lie in, and in its list.
    #[inline(always)]
    unsafe fn cut(&mut self, run: Run, start: u32, size: u32) {
        let before = start - run.start;
        let rest = Run { start: start + size, size: run.size - before - size };
        self.touch(run, before + size);
        // SAFETY: as in `cut_front`.
        unsafe {
            let place = self.table.place(run.start);
            self.edges.toggle(rest.start);
            // Where the run started, free memory still does if any is left before the block.
            self.edges.toggle(start);
            let is_replaced =
                rest.size > 0 && self.lists.replace(&mut self.table, place, run, rest);
            if !is_replaced {
                self.unlink(place, run);
            }
            if before > 0 {
                self.link(place, Run { start: run.start, size: before });
            }
            self.table.take(self.table.place(start), size);
            if !is_replaced && rest.size > 0 {
                self.link(self.table.place(rest.start), rest);
            }
        }
    }

    /// Is there a tail, and will it be one without `size` granules?
    #[inline(always)]
    const fn is_tail_for(&self, size: u32) -> bool {
        self.tail != NONE
            && (self.granules - self.tail) as u64 >= size as u64 + self.shortest_tail() as u64
    }

    /// Takes `size` granules out of the tail, and returns what the tail was.
    ///
    /// # Safety
    ///
    /// [`is_tail_for`](Self::is_tail_for) says so.
    #[inline(always)]
    unsafe fn shorten_tail(&mut self, size: u32) -> Run {
        let run = Run { start: self.tail, size: self.granules - self.tail };
        // SAFETY: the granules lie in the tail, which is free, and starts behind them now.
        unsafe {
            self.tail += size;
            self.edges.validate(self.tail);
            self.edges.toggle(run.start);
            self.edges.toggle(self.tail);
            self.table.take(self.table.place(run.start), size);
        }
        run
    }

    /// Takes `size` granules out of the tail, and leaves `before` granules before them free;
    /// returns what the tail was.
    #[inline(always)]
    fn cut_tail(&mut self, before: u32, size: u32) -> Option<Run> {
        if self.tail == NONE {
            return None;
        }
        let run = Run { start: self.tail, size: self.granules - self.tail };
        let taken = before.checked_add(size).filter(|&taken| taken <= run.size)?;
        let rest = Run { start: run.start + taken, size: run.size - taken };
        let is_tail = rest.size >= self.shortest_tail();
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
        Some(run)
    }

    /// The fewest granules at the end that are a tail.
    const fn shortest_tail(&self) -> u32 {
        let share = self.granules / 4;
        if share > T::SHORTEST_TAIL { share } else { T::SHORTEST_TAIL }
    }

    /// Makes the tail, if there is one, a free block like all others.
    #[inline(never)]
    fn end_tail(&mut self) {
        if self.tail == NONE {
            return;
        }
        let run = Run { start: self.tail, size: self.granules - self.tail };
        self.tail = NONE;
        self.parked.end();
        self.touch(run, 0);
        // SAFETY: the granules of the tail are free, so ours, and in no list.
        unsafe {
            let place = self.table.place(run.start);
            self.table.put(place, run.size);
            self.lists.link_stepped(&mut self.table, place, run);
        }
    }

    /// Notes that `size` granules at the start of a run are used, and a free block starts behind them.
    #[inline(always)]
    fn touch(&mut self, run: Run, size: u32) {
        let rest = run.size - size;
        let touched = match rest {
            0..FIRST_STEPPED => run.end(),
            _ => run.start + size + 1,
        };
        // SAFETY: the run lies in the space.
        unsafe { self.edges.validate(touched) };
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

    /// Puts a run, whose edges are the caller's care, in the table and in its list; or makes it the tail.
    ///
    /// # Safety
    ///
    /// The granules are in range and ours, and `place` is the place of the first.
    #[inline(always)]
    unsafe fn link(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.size < FIRST_STEPPED {
                self.link_small(place, run);
            } else {
                self.link_large(place, run);
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

    /// [`link`](Self::link) in a bin of several sizes, or as the tail.
    ///
    /// # Safety
    ///
    /// As for `link`, the run is not shorter than [`FIRST_STEPPED`], and its first granule counts as
    /// touched.
    #[inline(never)]
    unsafe fn link_large(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.end() == self.granules && run.size >= self.shortest_tail() {
                self.table.hide(place, run.size);
                self.tail = run.start;
                self.parked.begin();
                return;
            }
            self.table.put(place, run.size);
            self.lists.link_stepped(&mut self.table, place, run);
        }
    }

    /// Takes a free block, whose edges are the caller's care, out of its list.
    ///
    /// # Safety
    ///
    /// `run` is a free block, in its list, and `place` the place of its first granule.
    #[inline(always)]
    unsafe fn unlink(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe {
            if run.size < FIRST_STEPPED {
                self.lists.unlink(&mut self.table, place, run.start, run.size);
            } else {
                self.unlink_large(place, run);
            }
        }
    }

    /// [`unlink`](Self::unlink) from a bin of several sizes.
    ///
    /// # Safety
    ///
    /// As for `unlink`.
    #[inline(never)]
    unsafe fn unlink_large(&mut self, place: T::Place, run: Run) {
        // SAFETY: as the caller promises.
        unsafe { self.lists.unlink_stepped(&mut self.table, place, run) };
    }
}
