//! `GlobalAlloc` of everything that may be a program's global allocator.

use core::ptr::{self, NonNull};

use crate::AllocError;

/// Implements `GlobalAlloc` for a type with the inherent methods that `impl_allocator` asks for.
///
/// The call carries the SAFETY comment: blocks do not overlap and stay until they are freed, since
/// a global allocator is never dropped or borrowed mutably.
macro_rules! impl_global_alloc {
    ([$($parameters:tt)*] $type:ty) => {
        const _: () = {
            use ::core::alloc::{GlobalAlloc, Layout};
            use ::core::ptr::{self, NonNull};
            use $crate::api::address;

            // SAFETY: see the call of `impl_global_alloc`.
            unsafe impl<$($parameters)*> GlobalAlloc for $type {
                #[inline]
                unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                    address(self.allocate(layout))
                }

                #[inline]
                unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
                    address(self.allocate_zeroed(layout))
                }

                #[inline]
                unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
                    // SAFETY: the block is one of ours with this layout (caller), and so not null.
                    unsafe { self.deallocate(NonNull::new_unchecked(start), layout) };
                }

                #[inline]
                unsafe fn realloc(&self, start: *mut u8, old: Layout, size: usize) -> *mut u8 {
                    let Ok(new) = Layout::from_size_align(size, old.align()) else {
                        return ptr::null_mut();
                    };
                    // SAFETY: the block is one of ours with this layout (caller), and so not null; each
                    // call gets the larger and the smaller size where it belongs.
                    address(unsafe {
                        let start = NonNull::new_unchecked(start);
                        if size >= old.size() {
                            self.grow(start, old, new)
                        } else {
                            self.shrink(start, old, new)
                        }
                    })
                }
            }
        };
    };
}
pub(crate) use impl_global_alloc;

/// What a `GlobalAlloc` returns.
#[inline(always)]
pub(crate) fn address(block: Result<NonNull<[u8]>, AllocError>) -> *mut u8 {
    block.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
}
