//! What finds the slabs of many blocks, one after the other: when a list goes back to its slabs.
//!
//! ```text
//! block ─▶ page ─┬─ the same as before ─────────────────────────▶ slab
//!                └─ another ─▶ its entry ─▶ the slab's first page ─▶ slab
//! ```
//!
//! It is a copy of what a region knows, so that the compiler may keep it in registers while blocks are
//! written to.

use core::ptr::NonNull;

use crate::entries::Entries;
use crate::route::PAGE;
use crate::slab::Slab;

/// Finds the slabs of one region, for many blocks one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabFinder {
    base: NonNull<u8>,
    pages: usize,
    entries: Entries,
    slabs: NonNull<Slab>,
    /// The page of the last block, or one that there is not, and its slab.
    last: (usize, NonNull<Slab>),
}

impl SlabFinder {
    /// Finds none.
    pub(crate) const NOWHERE: Self = Self {
        base: NonNull::dangling(),
        pages: 0,
        entries: Entries::new(NonNull::dangling()),
        slabs: NonNull::dangling(),
        last: (usize::MAX, NonNull::dangling()),
    };

    /// Finds those of a region: its first page, how many there are, and its tables.
    #[inline(always)]
    pub(crate) fn new(
        base: NonNull<u8>,
        pages: u32,
        entries: Entries,
        slabs: NonNull<Slab>,
    ) -> Self {
        Self { base, pages: pages as usize, entries, slabs, ..Self::NOWHERE }
    }

    /// The slab that a block lies in, if it is one of this region.
    ///
    /// # Safety
    ///
    /// The block is one of a slab; no slab that was found was given back since, or `forget` was called.
    #[inline(always)]
    pub(crate) unsafe fn slab_of(&mut self, block: NonNull<u8>) -> Option<NonNull<Slab>> {
        let page = block.addr().get().wrapping_sub(self.base.addr().get()) / PAGE;
        if page != self.last.0 {
            if page >= self.pages {
                return None;
            }
            // SAFETY: the page is one of the region's, and of a slab (caller).
            let first = unsafe { self.entries.first_of_slab(page as u32) };
            // SAFETY: as in `Pages::slab_of`.
            self.last = (page, unsafe { self.slabs.add(first as usize) });
        }
        Some(self.last.1)
    }

    /// Forgets the slab that was found last.
    pub(crate) const fn forget(&mut self) {
        self.last.0 = usize::MAX;
    }
}
