//! The pool as a program's global allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::Pool;
use crate::hook::Hook;
use crate::{AllocError, Policy, Source};

// SAFETY: the pool's guarantees are those that a global allocator owes: blocks that do not overlap
// and stay until they are freed, since a global allocator is never dropped, trimmed or reset.
unsafe impl<S: Source, P: Policy, H: Hook> GlobalAlloc for Pool<S, P, H> {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        address(self.allocate(layout))
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        address(self.allocate_zeroed(layout))
    }

    #[inline(always)]
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if let Some(start) = NonNull::new(start) {
            // SAFETY: the block is one of ours with this layout (caller).
            unsafe { self.deallocate(start, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align(size, layout.align());
        let (Some(start), Ok(new)) = (NonNull::new(start), new) else { return ptr::null_mut() };
        // SAFETY: the block is one of ours with this layout (caller), and each call gets the
        // larger and the smaller size where it belongs.
        address(unsafe {
            if size >= layout.size() {
                self.grow(start, layout, new)
            } else {
                self.shrink(start, layout, new)
            }
        })
    }
}

/// What a `GlobalAlloc` returns.
#[inline(always)]
fn address(block: Result<NonNull<[u8]>, AllocError>) -> *mut u8 {
    block.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
}
