//! mimalloc, outside the buffer, as a contrast.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

use crate::contestants::Heap;

macro_rules! for_each_c_peer {
    ($m:ident) => {
        $m!(Mi);
    };
}
pub(crate) use for_each_c_peer;

/// The process-wide heap.
pub struct Mi;

// SAFETY: `GlobalAlloc` promises blocks that fit their layout and do not overlap.
unsafe impl Heap for Mi {
    const NAME: &'static str = "(mimalloc, unbounded)";
    const UNBOUNDED: bool = true;

    unsafe fn new(_: *mut u8, _: usize) -> Self {
        Mi
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises that the size is not zero.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { MiMalloc.realloc(block, layout, new_size) }
    }
}
