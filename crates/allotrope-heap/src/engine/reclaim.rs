//! What a heap does before it refuses a request: it gives back all that it holds free, and tries
//! once more.
//!
//! ```text
//! request ─▶ refused: by the limit, or by the source
//!              └─▶ reclaim: free lists to their slabs, empty slabs to their pages, memory behind
//!                  free pages, empty regions and the table of large blocks to the source
//!                    └─▶ the same request ─▶ refused
//! ```
//!
//! Free memory is often of the wrong kind: blocks of another class, pages for a large block, or dirty
//! pages, where the best fit is a clean run that the limit does not allow. After this, all that is
//! held has blocks in it, up to what fragments of slabs keep. Blocks in use stay as they are.
//! It is O(free blocks), as [`trim`](crate::LocalHeap::trim), for each request that is refused.

use core::alloc::Layout;
use core::ptr::NonNull;

use allotrope_core::parts::SizeClass;
use allotrope_core::{AllocError, Hook, Policy, Source};

use super::Engine;
use crate::route::Way;

impl<S: Source, P: Policy, H: Hook> Engine<S, P, H> {
    /// Gives everything that is free back to the source.
    pub(crate) fn reclaim(&mut self) {
        self.flush_all();
        self.store.trim();
    }

    /// [`refill`](Self::refill), when it was refused.
    #[cold]
    #[inline(never)]
    pub(super) fn refill_at_last(&mut self, class: SizeClass) -> Option<NonNull<u8>> {
        self.reclaim();
        let Self { classes, store, .. } = self;
        // SAFETY: as in `refill`.
        unsafe { classes[class.index()].refill(class, store) }.ok()
    }

    /// [`take_block`](Self::take_block), when it was refused.
    #[cold]
    #[inline(never)]
    pub(super) fn take_block_at_last(
        &mut self,
        extent: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, bool), AllocError> {
        self.reclaim();
        self.store.take_block(extent, align)
    }

    /// [`allocate_large`](Self::allocate_large), when it was refused.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_large_at_last(
        &mut self,
        extent: usize,
        layout: Layout,
        is_zeroed: bool,
    ) -> Result<(NonNull<u8>, usize, bool), AllocError> {
        self.reclaim();
        if let Ok(start) = self.allocate_extent(extent, layout, is_zeroed) {
            return Ok((start, extent, true));
        }
        let (start, is_zero) = self.store.take_block(extent, layout.align())?;
        Ok((start, extent, is_zero))
    }

    /// [`grow_by`](Self::grow_by), when there was no other block to move to: what was reclaimed for
    /// that may be enough for the part that is added.
    ///
    /// # Safety
    ///
    /// As for [`grow_by`](Self::grow_by).
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn grow_at_last(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_in_place(ways, start, old, new) }.ok_or(AllocError)
    }
}
