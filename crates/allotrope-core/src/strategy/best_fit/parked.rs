//! Parked blocks: one of each small size that was freed and is as it was, for the next request.
//!
//! ```text
//! size     1     2     3     4          31
//! slot   │ · │ block │ · │ block │ … │  ·  │     the edges around these blocks say "used"
//! ```
//!
//! Programs free and allocate the same sizes in turns. A parked block comes back for two
//! instructions, instead of being joined with its neighbours and cut out again. What that costs in
//! packing is bounded: at most one block of each size is not joined, none while there is little
//! room, and all are joined (*settled*) before a request fails or asks for more memory.
//!
//! # Invariants
//!
//! 1. A slot holds the first granule of a block of its size that the space gave out and that was
//!    freed since, or none. To all others in the space the block is in use.

use allotrope_sync::fatal::promised;

use super::space::Run;
use super::table::NONE;
use crate::layout::bins::FIRST_STEPPED;

/// At most one parked block of every size below [`SIZES`].
#[derive(Debug)]
pub struct Parked {
    /// Of [`SIZES`] on always empty: they are there so that `take` need not ask.
    slots: [u32; FIRST_STEPPED as usize],
    /// Blocks of fewer granules than this may be parked: of none, or of all sizes in the table.
    below: u32,
    /// Slots below this one may hold blocks, though none is parked any more.
    unsettled: u32,
}

/// Blocks of as many granules, 512 bytes, and more are never parked.
const SIZES: u32 = 32;

/// How many slots are looked at for one block to settle.
const LOOK: u32 = 2;

impl Parked {
    /// No parked blocks, and none will be.
    pub(super) const fn new() -> Self {
        Self { slots: [NONE; FIRST_STEPPED as usize], below: 0, unsettled: 0 }
    }

    /// From now on, blocks are parked.
    pub(super) const fn begin(&mut self) {
        (self.below, self.unsettled) = (SIZES, 0);
    }

    /// From now on, none are; what is parked is to be settled little by little.
    pub(super) const fn end(&mut self) {
        if self.below > 0 {
            (self.below, self.unsettled) = (0, SIZES);
        }
    }

    /// Parks a block, if its size has room.
    #[inline(always)]
    pub(super) fn park(&mut self, block: Run) -> bool {
        if block.size >= self.below {
            return false;
        }
        promised!(self.below <= SIZES, "more sizes parked than there are", self.below as usize);
        // SAFETY: `below` is at most the number of slots.
        let slot = unsafe { self.slots.get_unchecked_mut(block.size as usize) };
        promised!(*slot != block.start, "a block is freed twice, at granule", block.start as usize);
        let is_empty = *slot == NONE;
        if is_empty {
            *slot = block.start;
        }
        is_empty
    }

    /// Takes back the parked block of `size` granules, which is less than [`FIRST_STEPPED`].
    #[inline(always)]
    pub(super) const fn take(&mut self, size: u32) -> Option<u32> {
        let slot = &mut self.slots[(size % FIRST_STEPPED) as usize];
        let block = *slot;
        if block == NONE {
            return None;
        }
        *slot = NONE;
        Some(block)
    }

    /// Takes back any parked block.
    pub(super) fn take_any(&mut self) -> Option<Run> {
        let size = (1..SIZES).find(|&size| self.slots[size as usize] != NONE)?;
        Some(Run { start: self.take(size)?, size })
    }

    /// May any parked block wait to be settled?
    #[inline(always)]
    pub(super) const fn is_unsettled(&self) -> bool {
        self.unsettled != 0
    }

    /// Takes back a parked block that waits to be settled, if one is found soon.
    #[inline(always)]
    pub(super) fn take_unsettled(&mut self) -> Option<Run> {
        for _ in 0..LOOK.min(self.unsettled) {
            self.unsettled -= 1;
            let size = self.unsettled;
            if let Some(start) = self.take(size) {
                return Some(Run { start, size });
            }
        }
        None
    }

    /// All parked blocks.
    pub(super) fn iter(&self) -> impl Iterator<Item = Run> {
        let all = self.slots.iter().zip(0..);
        all.filter(|(start, _)| **start != NONE).map(|(&start, size)| Run { start, size })
    }
}
