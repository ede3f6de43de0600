//! Views: a heap as an allocator that takes one strategy whatever the layout.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use allotrope_core::api::impl_allocator;
use allotrope_core::{AllocError, Hook, Independent, Policy, Source};

use crate::engine::Engine;
use crate::local_heap::LocalHeap;
use crate::route::{Strategy, Way};

/// A heap as an allocator that takes one [`Strategy`] whatever the layout; see
/// [`LocalHeap::with`].
///
/// | strategy | a block takes | refuses |
/// |---|---|---|
/// | `Slabs` | its class's size | more than 8 KiB, or aligned to more |
/// | `BestFit` | whole pages of the heap | what no region holds |
/// | `Extents` | whole pages of its own | what no address space holds |
///
/// A block is freed and resized through a view with the same strategy, of the same heap: how else
/// would be known which way it came?
pub struct View<'h, S: Source, P: Policy, H: Hook> {
    heap: &'h LocalHeap<S, P, H>,
    strategy: Strategy,
}

impl<S: Source, P: Policy, H: Hook> Clone for View<'_, S, P, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Source, P: Policy, H: Hook> Copy for View<'_, S, P, H> {}

impl<'h, S: Source, P: Policy, H: Hook> View<'h, S, P, H> {
    pub(crate) const fn new(heap: &'h LocalHeap<S, P, H>, strategy: Strategy) -> Self {
        Self { heap, strategy }
    }

    /// The strategy.
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// The heap.
    pub const fn heap(&self) -> &'h LocalHeap<S, P, H> {
        self.heap
    }

    #[inline(always)]
    const fn way(&self, layout: Layout) -> Way {
        Engine::<S, P, H>::way(Some(self.strategy), layout)
    }

    /// Allocates a block that fits `layout`.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no such block, or the strategy serves none of that size.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.heap.run(|engine| engine.allocate_by(self.way(layout), layout))
    }

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.heap.run(|engine| engine.allocate_zeroed_by(self.way(layout), layout))
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::deallocate`], with a block of a view of this heap with this strategy.
    #[inline]
    pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises; the block came this way.
        self.heap.run(|engine| unsafe { engine.deallocate_by(self.way(layout), start, layout) });
    }

    /// Makes a block that `old` fits into one for `new`, which is no smaller.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::grow`] and [`deallocate`](Self::deallocate).
    #[inline]
    pub unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let ways = (self.way(old), self.way(new));
        // SAFETY: as the caller promises.
        self.heap
            .run(|engine| unsafe { engine.grow_by(ways, start, old, new) })
            .map(|grown| grown.0)
    }

    /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Self::grow).
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    pub unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let ways = (self.way(old), self.way(new));
        // SAFETY: as the caller promises.
        self.heap.run(|engine| unsafe { engine.grow_zeroed_by(ways, start, old, new) })
    }

    /// Makes a block that `old` fits into one for `new`, which is no larger.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    /// [`Strategy::shrink`](allotrope_core::Strategy::shrink) says when that may be.
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::shrink`] and [`deallocate`](Self::deallocate).
    pub unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let ways = (self.way(old), self.way(new));
        // SAFETY: as the caller promises.
        self.heap.run(|engine| unsafe { engine.shrink_by(ways, start, old, new) })
    }
}

// SAFETY: blocks are the heap's, which is borrowed for as long as there is a view of it.
unsafe impl<'h, S: Source, P: Policy, H: Hook> allotrope_core::api::Sound for View<'h, S, P, H> {}
impl_allocator!(['h, S: Source, P: Policy, H: Hook] View<'h, S, P, H>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for View<'_, S, P, H> {}

impl<S: Source, P: Policy, H: Hook> fmt::Debug for View<'_, S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("View").field("strategy", &self.strategy).finish_non_exhaustive()
    }
}
