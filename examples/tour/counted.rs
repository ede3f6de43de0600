//! An allocator that counts what is asked of another one.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use allotrope::allocator_api2::alloc::{AllocError, Allocator};

/// Counts the bytes that are asked for, now and at the most.
///
/// The counters order nothing: they are read when all threads are done.
#[derive(Debug, Default)]
pub struct Counted<A> {
    allocator: A,
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl<A> Counted<A> {
    pub fn new(allocator: A) -> Self {
        Self { allocator, now: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// How many bytes are asked for now.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// How many bytes were asked for at a time, at the most.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn add(&self, size: usize) {
        let now = self.now.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    fn subtract(&self, size: usize) {
        self.now.fetch_sub(size, Ordering::Relaxed);
    }
}

/// Exactly the length that was asked for. A block may be freed with any size from the requested to
/// the returned one; when both are the same, what comes back is what was counted.
fn exactly(size: usize, block: NonNull<[u8]>) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), size)
}

// SAFETY: all calls are passed on as they are. A block is returned shorter than it may be, and the
// sizes that fit it then are among those that fit it in the allocator beneath.
unsafe impl<A: Allocator> Allocator for Counted<A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocator.allocate(layout)?;
        self.add(layout.size());
        Ok(exactly(layout.size(), block))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.allocator.deallocate(start, layout) };
        self.subtract(layout.size());
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let block = unsafe { self.allocator.grow(start, old, new) }?;
        self.add(new.size() - old.size());
        Ok(exactly(new.size(), block))
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let block = unsafe { self.allocator.shrink(start, old, new) }?;
        self.subtract(old.size() - new.size());
        Ok(exactly(new.size(), block))
    }
}
