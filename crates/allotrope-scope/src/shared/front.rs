//! The front of a shared arena: each call finds the caller's lane, or goes to the stock.
//!
//! A thread that has no lane yet gets one with its first block; one without a slot works in the
//! stock itself, under its lock. No call runs the user's code while it has the lock.

use core::alloc::Layout;
use core::num::NonZero;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Contents, Source};
use allotrope_sync::slots::{self, Slot};

use super::SharedArena;
use super::lane::Lane;
use crate::blocks::{block, clear, is_aligned};
use crate::frontier::STEP;
use crate::places::Places;
use crate::space::Space;

/// A shared arena as a thread sees it.
pub(super) struct Front<'a, S: Source>(pub(super) &'a SharedArena<S>);

impl<S: Source> Front<'_, S> {
    /// The lane of the current thread, if it has one already.
    #[inline(always)]
    fn here(&self) -> Option<&Lane<S>> {
        // SAFETY: a slot that is known is the thread's, for this call.
        unsafe { self.lane_of(slots::known()) }
    }

    /// # Safety
    ///
    /// The slot is the caller's.
    #[inline(always)]
    unsafe fn lane_of(&self, slot: usize) -> Option<&Lane<S>> {
        // SAFETY: as the caller promises; what is in the table is a lane, and stays.
        unsafe { self.0.table.get(slot).map(|lane| lane.as_ref()) }
    }

    /// A block that reads as `contents` says, as for a thread with this slot.
    ///
    /// # Safety
    ///
    /// The slot is the caller's.
    pub(super) unsafe fn allocate_in(
        &self,
        slot: usize,
        contents: Contents,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if slot >= slots::CAPACITY {
            let stock = &self.0.stock;
            return stock.locked(|shelves| allocate_reading_as(&shelves.space, contents, layout));
        }
        // SAFETY: as the caller promises.
        let lane = match unsafe { self.lane_of(slot) } {
            Some(lane) => lane,
            // SAFETY: as above.
            None => unsafe { self.add_lane(slot) }?,
        };
        // SAFETY: as above; the stock is borrowed.
        unsafe {
            lane.with_stock(&self.0.stock, |space| allocate_reading_as(space, contents, layout))
        }
    }

    /// A block that reads as `contents` says, where the thread has no room at hand.
    #[cold]
    #[inline(never)]
    fn allocate_reading_as(
        &self,
        contents: Contents,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty_block(layout.align()));
        }
        let slot = match slots::current() {
            Slot::Owned(slot) => slot,
            Slot::Orphan => slots::CAPACITY,
        };
        // SAFETY: the slot is the thread's, for this call.
        unsafe { self.allocate_in(slot, contents, layout) }
    }

    /// Gives a slot that has none a lane.
    ///
    /// # Safety
    ///
    /// The slot is the caller's.
    unsafe fn add_lane(&self, slot: usize) -> Result<&Lane<S>, AllocError> {
        self.0.stock.locked(|shelves| {
            let lane = shelves.take_lane()?;
            // SAFETY: the slot is the caller's; what the stock allocates stays.
            let put =
                unsafe { self.0.table.put(slot, lane, |table| shelves.space.allocate(table)) };
            match put {
                // SAFETY: lanes stay.
                Ok(()) => Ok(unsafe { lane.as_ref() }),
                Err(error) => {
                    // SAFETY: taken just above, and not used.
                    unsafe { shelves.vacate(lane) };
                    Err(error)
                }
            }
        })
    }

    /// What a thread without a lane does with a block that it has not allocated in one: in the stock
    /// if it has no slot.
    #[cold]
    #[inline(never)]
    fn without_lane<R>(&self, work: impl FnOnce(&Space<S>) -> R) -> Option<R> {
        match slots::current() {
            Slot::Orphan => Some(self.0.stock.locked(|shelves| work(&shelves.space))),
            Slot::Owned(_) => None,
        }
    }

    /// Moves a block to a new place, where what is behind it reads as `contents` says.
    ///
    /// # Safety
    ///
    /// As for [`Places::grow`], save that `new` is of any size; the block is no lane's of this thread.
    #[cold]
    unsafe fn relocate(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        contents: Contents,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate_reading_as(contents, new)?;
        let size = old.size().min(new.size());
        // SAFETY: both blocks are that long, and do not overlap; the old one is done with (caller).
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(start, size) };
        Ok(block)
    }
}

/// A block of `space` that reads as `contents` says.
fn allocate_reading_as<S: Source>(
    space: &Space<S>,
    contents: Contents,
    layout: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    match contents {
        Contents::Zero => space.allocate_zeroed(layout),
        Contents::Unknown => space.allocate(layout),
    }
}

// SAFETY: blocks come from a lane or the stock, which are spaces, or are of a size of 0.
unsafe impl<S: Source> Places for Front<'_, S> {
    #[inline(always)]
    fn place_here<T>(&self) -> Option<NonNull<T>> {
        // SAFETY: the lane is the thread's, for this call.
        unsafe { self.here()?.with(|space| space.place_here()) }
    }

    #[inline(always)]
    fn allocate_here(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the lane is the thread's, for this call.
        unsafe { self.here()?.with(|space| space.allocate_here(layout)) }
    }

    #[inline(always)]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_reading_as(Contents::Unknown, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(start) = self.allocate_here(layout) else {
            return self.allocate_reading_as(Contents::Zero, layout);
        };
        let block = block(start, layout);
        // SAFETY: the block is new.
        unsafe { clear(block, 0) };
        Ok(block)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        match self.here() {
            // SAFETY: the lane is the thread's, for this call; else as the caller promises. A block
            // of another lane ends where its chunk ends or before, and no other chunk's cursor is
            // there; it is in no list of this lane.
            Some(lane) => unsafe { lane.with(|space| space.deallocate(start, layout)) },
            // SAFETY: as above, by the stock's second invariant.
            None => _ = self.without_lane(|space| unsafe { space.deallocate(start, layout) }),
        }
    }

    #[inline(never)]
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let grown = match self.here() {
            Some(lane) => {
                // SAFETY: as for `deallocate`.
                let work = |space: &Space<_>| unsafe { space.grow(start, old, new) };
                // SAFETY: the lane is the thread's, for this call; the stock is borrowed.
                Some(unsafe { lane.with_stock(&self.0.stock, work) })
            }
            // SAFETY: as for `deallocate`.
            None => self.without_lane(|space| unsafe { space.grow(start, old, new) }),
        };
        // SAFETY: as the caller promises.
        grown.unwrap_or_else(|| unsafe { self.relocate(start, old, new, Contents::Unknown) })
    }

    #[inline(never)]
    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let grown = match self.here() {
            Some(lane) => {
                // SAFETY: as for `deallocate`.
                let work = |space: &Space<_>| unsafe { space.grow_zeroed(start, old, new) };
                // SAFETY: the lane is the thread's, for this call; the stock is borrowed.
                Some(unsafe { lane.with_stock(&self.0.stock, work) })
            }
            // SAFETY: as for `deallocate`.
            None => self.without_lane(|space| unsafe { space.grow_zeroed(start, old, new) }),
        };
        // SAFETY: as the caller promises.
        grown.unwrap_or_else(|| unsafe { self.relocate(start, old, new, Contents::Zero) })
    }

    #[inline(always)]
    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let shrunk = match self.here() {
            Some(lane) => {
                // SAFETY: as for `deallocate`.
                let work = |space: &Space<_>| unsafe { space.shrink(start, old, new) };
                // SAFETY: the lane is the thread's, for this call; the stock is borrowed.
                Some(unsafe { lane.with_stock(&self.0.stock, work) })
            }
            // SAFETY: as for `deallocate`.
            None => self.without_lane(|space| unsafe { space.shrink(start, old, new) }),
        };
        match shrunk {
            Some(shrunk) => shrunk,
            // A block of another thread's, or one of a size of 0.
            None if is_aligned(start, new) => Ok(block(start, new)),
            // SAFETY: as the caller promises.
            None => unsafe { self.relocate(start, old, new, Contents::Unknown) },
        }
    }
}

/// A block of no size: it is aligned as every block is, and needs no memory.
fn empty_block(align: usize) -> NonNull<[u8]> {
    let align = NonZero::new(align.max(STEP)).unwrap_or(const { NonZero::new(STEP).unwrap() });
    NonNull::slice_from_raw_parts(NonNull::without_provenance(align), 0)
}
