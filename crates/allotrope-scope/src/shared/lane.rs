//! A lane: a frontier with chunks of its own, which one thread at a time uses.
//!
//! ```text
//! stock (locked)  │ Lane │ chunk of lane 1 ……… │ Lane │ chunk of lane 2 ……… │     room      │
//!                           ▲ cursor    ▲ limit           ▲ cursor    ▲ limit
//! ```
//!
//! A lane is an arena within the arena: its chunks are blocks of the [stock](super::stock).
//!
//! # Invariants
//!
//! 1. At most one thread is in [`Lane::with`], and what was done there happened before it is again:
//!    a lane belongs to a thread slot, or to a handle, or is vacant and touched by nobody.
//! 2. While the lane calls its source, that knows where the stock is.

use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Source};
use allotrope_sync::facade::cell::UnsafeCell;

use super::stock::{Lent, Stock};
use crate::places::Places;
use crate::space::Space;

/// Not within a cache line of another.
#[repr(align(128))]
pub(crate) struct Lane<S: Source> {
    space: UnsafeCell<Space<Lent<S>>>,
    /// The lane that was made before; the stock's.
    pub(super) older: Cell<Option<NonNull<Self>>>,
    /// The next lane that nobody has; the stock's.
    pub(super) next_vacant: Cell<Option<NonNull<Self>>>,
}

impl<S: Source> Lane<S> {
    pub(super) fn new(cap: usize) -> Self {
        let space = Space::new(Lent::nowhere());
        space.chunks.set_cap(cap);
        Self { space: UnsafeCell::new(space), older: Cell::new(None), next_vacant: Cell::new(None) }
    }

    /// Calls `work` with the space.
    ///
    /// # Safety
    ///
    /// The lane is the caller's (invariant 1). If `work` takes or releases chunks, the stock that
    /// [`with_stock`](Self::with_stock) was told of last is there.
    #[inline(always)]
    pub(super) unsafe fn with<R>(&self, work: impl FnOnce(&Space<Lent<S>>) -> R) -> R {
        // SAFETY: as the caller promises.
        self.space.with_mut(|space| work(unsafe { &*space }))
    }

    /// The same, and `stock` lends it chunks.
    ///
    /// # Safety
    ///
    /// The lane is the caller's (invariant 1), and in the memory of this stock.
    #[inline(always)]
    pub(super) unsafe fn with_stock<R>(
        &self,
        stock: &Stock<S>,
        work: impl FnOnce(&Space<Lent<S>>) -> R,
    ) -> R {
        // SAFETY: as the caller promises; the stock is borrowed for this call.
        unsafe {
            self.with(|space| {
                space.chunks.source().lend_from(stock);
                work(space)
            })
        }
    }
}

/// A lane that somebody has for `'a`.
pub(crate) struct Held<'a, S: Source> {
    lane: NonNull<Lane<S>>,
    arena: PhantomData<&'a Lane<S>>,
}

impl<'a, S: Source> Held<'a, S> {
    /// # Safety
    ///
    /// The lane at `place` is the caller's, who makes one of these, until they
    /// [give](Self::place) it back. It lies in the memory of `stock`.
    pub(super) unsafe fn new(place: NonNull<Lane<S>>, stock: &'a Stock<S>) -> Self {
        // SAFETY: as the caller promises.
        unsafe { place.as_ref().with_stock(stock, |_| ()) };
        Self { lane: place, arena: PhantomData }
    }

    /// Where the lane is.
    pub(super) fn place(&self) -> NonNull<Lane<S>> {
        self.lane
    }

    /// Calls `work` with the space.
    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&Space<Lent<S>>) -> R) -> R {
        // SAFETY: the lane is there, and is had for as long as this is, by one thread, for this is not
        // `Sync`. Its stock stays where it is for `'a` (`new`).
        unsafe { self.lane.as_ref().with(work) }
    }
}

// SAFETY: blocks come from a space.
unsafe impl<S: Source> Places for Held<'_, S> {
    #[inline(always)]
    fn place_here<T>(&self) -> Option<NonNull<T>> {
        self.with(|space| space.place_here())
    }

    #[inline(always)]
    fn allocate_here(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.with(|space| space.allocate_here(layout))
    }

    #[inline(always)]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.with(|space| space.allocate_elsewhere(layout))
    }

    #[inline(always)]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.with(|space| space.allocate_zeroed(layout))
    }

    #[inline(always)]
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises; see `Stock::lend` for blocks of other lanes.
        self.with(|space| unsafe { space.deallocate(start, layout) });
    }

    #[inline(always)]
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as above.
        self.with(|space| unsafe { space.grow(start, old, new) })
    }

    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as above.
        self.with(|space| unsafe { space.grow_zeroed(start, old, new) })
    }

    #[inline(always)]
    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as above.
        self.with(|space| unsafe { space.shrink(start, old, new) })
    }
}
