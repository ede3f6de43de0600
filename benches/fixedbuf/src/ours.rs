//! Our heaps.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use allotrope_core::{AllocError, BestFit, Buffer, Strategy};

use crate::contestants::Heap;

pub struct OurBestFit(Box<BestFit<Buffer<'static>>>);

fn or_null(block: Result<NonNull<[u8]>, AllocError>) -> *mut u8 {
    block.map_or(null_mut(), |block| block.cast().as_ptr())
}

// SAFETY: best fit keeps to its source's region, which is the buffer.
unsafe impl Heap for OurBestFit {
    const NAME: &'static str = "allotrope BestFit";

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let start = NonNull::new(start).expect("a buffer is somewhere");
        // SAFETY: the caller lends the buffer to this heap alone, for longer than it lives.
        let buffer = unsafe { Buffer::from_raw_parts(start, len) };
        OurBestFit(Box::new(BestFit::new(buffer)))
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        or_null(self.0.allocate(layout))
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the method called; a block is not null.
        unsafe { self.0.deallocate(NonNull::new_unchecked(block), layout) }
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises a layout, and a block of the old one; each method gets the
        // larger and the smaller size where it belongs.
        or_null(unsafe {
            let new = Layout::from_size_align_unchecked(new_size, layout.align());
            let block = NonNull::new_unchecked(block);
            if new_size >= layout.size() {
                self.0.grow(block, layout, new)
            } else {
                self.0.shrink(block, layout, new)
            }
        })
    }
}
