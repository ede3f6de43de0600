//! Allocators of another allocator-api2 version, or of none, as those of 0.2: the version that
//! hashbrown and bumpalo speak.

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Deref;
use std::ptr::{self, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};

use crate::limit::LimitBump;

/// An allocator of allocator-api2 0.4.
#[derive(Debug)]
pub struct From04<'a, A>(pub &'a A);

impl<A> Clone for From04<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for From04<'_, A> {}

// SAFETY: the trait of 0.4 asks of its implementors what that of 0.2 asks, and every method is
// passed on to the same allocator; copies of a reference are one allocator.
unsafe impl<A: allocator_api2_04::alloc::Allocator> Allocator for From04<'_, A> {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout).map_err(|_| AllocError)
    }

    #[inline(always)]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate_zeroed(layout).map_err(|_| AllocError)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.deallocate(block, layout) }
    }

    #[inline(always)]
    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.grow(block, old, new) }.map_err(|_| AllocError)
    }

    #[inline(always)]
    unsafe fn grow_zeroed(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.grow_zeroed(block, old, new) }.map_err(|_| AllocError)
    }

    #[inline(always)]
    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.shrink(block, old, new) }.map_err(|_| AllocError)
    }
}

/// A global allocator used as a handle: a reference to it, or a type of no size that stands for it.
#[derive(Clone, Copy, Debug)]
pub struct FromGlobal<P>(pub P);

fn block(start: *mut u8, size: usize) -> Result<NonNull<[u8]>, AllocError> {
    let start = NonNull::new(start).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(start, size))
}

// SAFETY: `GlobalAlloc` promises blocks that fit their layout and stay until they are freed; empty
// blocks, which it does not serve, are dangling and aligned. Copies of a reference are one
// allocator, and so are those of what stands for one static.
unsafe impl<P: Copy + Deref<Target: GlobalAlloc>> Allocator for FromGlobal<P> {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return block(ptr::without_provenance_mut(layout.align()), 0);
        }
        // SAFETY: the size is not zero.
        block(unsafe { self.0.alloc(layout) }, layout.size())
    }

    #[inline(always)]
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the caller passes a block of ours with its layout, and `allocate` took it
            // from this allocator because it is not empty.
            unsafe { self.0.dealloc(start.as_ptr(), layout) }
        }
    }

    #[inline(always)]
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 || old.align() != new.align() {
            let grown = self.allocate(new)?;
            let target = grown.cast::<u8>().as_ptr();
            // SAFETY: the caller's block holds `old.size()` bytes, and the new one, which is
            // another block, no fewer (the caller asks for growth).
            unsafe { target.copy_from_nonoverlapping(start.as_ptr(), old.size()) };
            // SAFETY: the caller passes a block of ours with its layout, and uses it no more.
            unsafe { self.deallocate(start, old) };
            return Ok(grown);
        }
        // SAFETY: the block came from this allocator with layout `old`, whose size is not zero;
        // `new` is a layout of the same alignment.
        block(unsafe { self.0.realloc(start.as_ptr(), old, new.size()) }, new.size())
    }
}

/// The bare bump limit as an allocator: nothing is freed, growth copies.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a>(pub &'a LimitBump);

// SAFETY: a bump hands out every byte once until it is reset, and nobody resets it while
// collections live in it. Copies of a reference are one allocator.
unsafe impl Allocator for Limit<'_> {
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        block(self.0.allocate(layout), layout.size())
    }

    #[inline(always)]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}
