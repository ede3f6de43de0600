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
//!    size, and is which bin it is in a bin of several ([`before_first`]).
//! 3. The map has a bin's bit if and only if its list is not empty.
//! 4. All methods are called with the same table: that of the space that the lists are of. Those that
//!    read it are `unsafe` for that.

use core::hint::assert_unchecked;

use allotrope_sync::fatal::promised;

use super::space::Run;
use super::table::{NONE, Table, is_block};
use crate::layout::bins::{BINS, BinMap, FIRST_STEPPED, bin_of, stepped_bin_of};
use crate::layout::granule::{BlockSize, MAX_GRANULES, padding};

/// How many blocks of one bin are looked at for the one that fits best.
const LOOK: u32 = 4;

/// How many blocks are looked at in a bin all of whose blocks are long enough.
const LOOK_ABOVE: u32 = 2;

/// More than the sizes in a bin differ by, and less than a difference of theirs that wrapped around.
const SHORT: u32 = 1 << 31;

/// What the table has for the block before the first of a bin of several sizes: no granule.
#[inline(always)]
pub(super) const fn before_first(bin: u32) -> u32 {
    FIRST | bin
}

/// The bin whose first block has this before it, or `None` if a block is before it.
#[inline(always)]
const fn bin_before(prev: u32) -> Option<u32> {
    if is_block(prev) { None } else { Some(prev - FIRST) }
}

/// The highest bit, which no granule has.
const FIRST: u32 = MAX_GRANULES + 1;
const _: () = assert!(FIRST == 1 << 31 && before_first(BINS as u32) < NONE);

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
    ///
    /// # Safety
    ///
    /// `size` is; and invariant 4.
    #[inline(always)]
    pub(super) unsafe fn pop(&mut self, table: &impl Table, size: u32) -> Option<u32> {
        // SAFETY: as the caller promises; where it is a block, there is one.
        unsafe {
            if !is_block(self.head(size)) {
                return None;
            }
            Some(self.pop_first(table, size))
        }
    }

    /// [`pop`](Self::pop), where a block is known to be.
    ///
    /// # Safety
    ///
    /// There is a block of `size` granules, which is less than [`FIRST_STEPPED`]; and invariant 4.
    #[inline(always)]
    pub(super) unsafe fn pop_first(&mut self, table: &impl Table, size: u32) -> u32 {
        // SAFETY: sizes below `FIRST_STEPPED` are bins; the head of a list is a free block (invariant 1).
        let (head, next) = unsafe {
            let head = self.head(size);
            let next = table.next(table.place(head));
            self.set_head(size, next);
            (head, next)
        };
        if !is_block(next) {
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

    /// Puts a free block, which the table holds, in the list of its bin of several sizes.
    ///
    /// # Safety
    ///
    /// It is one, `place` is its place, `bin` its bin, and it is in no list.
    #[inline(always)]
    pub(super) unsafe fn link_stepped<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        block: u32,
        bin: u32,
    ) {
        // SAFETY: both are free blocks (caller, invariant 1).
        unsafe {
            let head = self.head(bin);
            table.set_next(place, head);
            table.set_prev(place, before_first(bin));
            if !is_block(head) {
                self.map.insert_stepped(bin);
            } else {
                table.set_prev(table.place(head), block);
            }
            self.set_head(bin, block);
        }
    }

    /// Takes a free block out of the list of its bin of several sizes.
    ///
    /// # Safety
    ///
    /// It is in that list, and `place` is its place.
    #[inline(always)]
    pub(super) unsafe fn unlink_stepped<T: Table>(&mut self, table: &mut T, place: T::Place) {
        // SAFETY: the block is free (caller), and so are those it is linked to; what is before the
        // first is a bin (invariants 1, 2).
        unsafe {
            let (next, prev) = (table.next(place), table.prev(place));
            if let Some(bin) = bin_before(prev) {
                promised!((bin as usize) < BINS, "a bin for no size", bin as usize);
                assert_unchecked((bin as usize) < BINS);
                self.set_head(bin, next);
                if !is_block(next) {
                    self.map.remove_stepped(bin);
                    return;
                }
            } else {
                table.set_next(table.place(prev), next);
            }
            if is_block(next) {
                table.set_prev(table.place(next), prev);
            }
        }
    }

    /// Puts a free block, which the table holds, in the list of its bin of one size.
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
        // SAFETY: both are free blocks (caller, invariant 1).
        unsafe {
            let head = self.head(bin);
            table.set_next(place, head);
            if !is_block(head) {
                self.map.insert_exact(bin);
            } else {
                table.set_prev(table.place(head), block);
            }
            self.set_head(bin, block);
        }
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
                if !is_block(next) {
                    self.map.remove_exact(bin);
                }
                return;
            }
            let prev = table.prev(place);
            table.set_next(table.place(prev), next);
            if is_block(next) {
                table.set_prev(table.place(next), prev);
            }
        }
    }

    /// Puts the rest of a free block, which the table holds, in its place in the list of a bin that
    /// holds several sizes.
    ///
    /// # Safety
    ///
    /// The free block at `place` is in the list of that bin, the rest, which is its end, belongs in
    /// it as well, and `rest_place` is its place.
    #[inline(always)]
    pub(super) unsafe fn replace<T: Table>(
        &mut self,
        table: &mut T,
        place: T::Place,
        rest_place: T::Place,
        rest: u32,
    ) {
        // SAFETY: as in `unlink_stepped`.
        unsafe {
            let (next, prev) = (table.next(place), table.prev(place));
            table.set_next(rest_place, next);
            table.set_prev(rest_place, prev);
            if is_block(next) {
                table.set_prev(table.place(next), rest);
            }
            match bin_before(prev) {
                Some(bin) => self.set_head(bin, rest),
                None => table.set_next(table.place(prev), rest),
            }
        }
    }

    /// The free blocks of a bin.
    ///
    /// # Safety
    ///
    /// `bin` is one, below [`BINS`]; and invariant 4.
    pub(super) unsafe fn list(&self, table: &impl Table, bin: u32) -> impl Iterator<Item = Run> {
        // SAFETY: as the caller promises.
        let mut block = unsafe { self.head(bin) };
        core::iter::from_fn(move || {
            if !is_block(block) {
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
    ///
    /// # Safety
    ///
    /// Invariant 4.
    pub(super) unsafe fn largest(&self, table: &impl Table) -> u32 {
        let Some(bin) = self.map.last() else { return 0 };
        // SAFETY: as the caller promises; what is in the map is a bin.
        unsafe { self.list(table, bin) }.map(|run| run.size).max().unwrap_or(0)
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

    /// The free block that fits `size` granules best among those looked at in bins of several
    /// sizes, and its bin; or [`Run::NOWHERE`].
    ///
    /// # Safety
    ///
    /// Invariant 4.
    #[inline(always)]
    pub(super) unsafe fn find_stepped(&self, table: &impl Table, size: BlockSize) -> (Run, u32) {
        let size = size.get();
        // SAFETY: for all below: as the caller promises; what is in the map is a bin, as is that of a
        // `BlockSize`.
        unsafe {
            if size < FIRST_STEPPED {
                return match self.map.first_stepped() {
                    Some(bin) => (self.best_of::<LOOK>(table, bin, size, u32::MAX), bin),
                    None => (Run::NOWHERE, 0),
                };
            }
            // Some blocks here are too short, in all above none is.
            let bin = stepped_bin_of(size);
            let best = self.best_of::<LOOK>(table, bin, size, SHORT);
            if is_block(best.start) {
                return (best, bin);
            }
            match self.map.first_above(bin) {
                Some(bin) => (self.best_of::<LOOK_ABOVE>(table, bin, size, u32::MAX), bin),
                None => (Run::NOWHERE, 0),
            }
        }
    }

    /// The shortest block of at least `size` granules, and of less than `too_long` more, among the
    /// first `LOOK` of a bin, or [`Run::NOWHERE`], which unlike an option is returned in registers.
    ///
    /// # Safety
    ///
    /// As for [`list`](Self::list).
    #[inline(always)]
    unsafe fn best_of<const LOOK: u32>(
        &self,
        table: &impl Table,
        bin: u32,
        size: u32,
        too_long: u32,
    ) -> Run {
        let (mut best, mut least) = (NONE, too_long);
        // SAFETY: as the caller promises.
        let mut block = unsafe { self.head(bin) };
        for _ in 0..LOOK {
            if !is_block(block) {
                break;
            }
            // SAFETY: only free blocks are in lists, and the table holds them (invariant 1).
            let (found, next) = unsafe {
                let place = table.place(block);
                (table.size(place), table.next(place))
            };
            // What is too short wraps around, and is far too long.
            let more = found.wrapping_sub(size);
            if more < least {
                (best, least) = (block, more);
                if more == 0 {
                    break;
                }
            }
            block = next;
        }
        Run { start: best, size: size.wrapping_add(least) }
    }

    /// A free block in which an aligned block of `size` granules has room, and its bin, or
    /// [`Run::NOWHERE`]: the first that may happen to have room, or else one that is long enough
    /// wherever it starts. `size + align` is a size.
    ///
    /// # Safety
    ///
    /// Invariant 4.
    #[inline(always)]
    pub(super) unsafe fn find_aligned(
        &self,
        table: &impl Table,
        size: BlockSize,
        align: u32,
        phase: u32,
    ) -> (Run, u32) {
        let size = size.get();
        let Some(bin) = self.map.first_from(bin_of(size)) else { return (Run::NOWHERE, 0) };
        // SAFETY: as the caller promises; what is in the map is a bin that holds some.
        let first = unsafe { self.first_of(table, bin) };
        if has_room(first, size, align, phase) {
            return (first, bin);
        }
        let longest = size + (align - 1);
        // From here on all blocks are as long.
        let sure = if longest >= FIRST_STEPPED {
            self.map.first_above(stepped_bin_of(longest))
        } else {
            self.map.first_from(longest)
        };
        match sure {
            // SAFETY: as above.
            Some(bin) => (unsafe { self.first_of(table, bin) }, bin),
            None => (Run::NOWHERE, 0),
        }
    }

    /// The same, where all blocks are looked at that may happen to have room.
    ///
    /// # Safety
    ///
    /// Invariant 4.
    #[cold]
    pub(super) unsafe fn find_aligned_anywhere(
        &self,
        table: &impl Table,
        size: BlockSize,
        align: u32,
        phase: u32,
    ) -> Run {
        let size = size.get();
        let mut bin = bin_of(size);
        while let Some(next) = self.map.first_from(bin) {
            // SAFETY: as the caller promises; what is in the map is a bin.
            let mut list = unsafe { self.list(table, next) };
            if let Some(run) = list.find(|&run| has_room(run, size, align, phase)) {
                return run;
            }
            bin = next + 1;
        }
        Run::NOWHERE
    }

    /// The first block of a bin.
    ///
    /// # Safety
    ///
    /// As for [`list`](Self::list), and the bin holds some.
    #[inline(always)]
    unsafe fn first_of(&self, table: &impl Table, bin: u32) -> Run {
        // SAFETY: only free blocks are in lists, and the table holds them (invariant 1).
        unsafe {
            let start = self.head(bin);
            Run { start, size: table.size(table.place(start)) }
        }
    }

    /// The first block of a bin, or [`NONE`].
    ///
    /// # Safety
    ///
    /// `bin` is one: that of a [`BlockSize`] or of a free block, for which `bin_of` stays below [`BINS`]
    /// (tested: it is monotone, and `BINS` is one above the largest size's), or one of the map's, which
    /// has bits for bins of blocks only (invariant 3).
    #[inline(always)]
    unsafe fn head(&self, bin: u32) -> u32 {
        promised!((bin as usize) < BINS, "a bin for no size", bin as usize);
        // SAFETY: as the caller promises.
        unsafe { *self.heads.get_unchecked(bin as usize) }
    }

    /// Makes a block the first of a bin.
    ///
    /// # Safety
    ///
    /// As for `head`.
    #[inline(always)]
    unsafe fn set_head(&mut self, bin: u32, block: u32) {
        promised!((bin as usize) < BINS, "a bin for no size", bin as usize);
        // SAFETY: as the caller promises.
        unsafe { *self.heads.get_unchecked_mut(bin as usize) = block };
    }
}

/// Does an aligned block of `size` granules have room in a free block?
#[inline(always)]
fn has_room(run: Run, size: u32, align: u32, phase: u32) -> bool {
    u64::from(run.size) >= u64::from(size) + u64::from(padding(phase, run.start, align))
}
