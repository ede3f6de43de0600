//! The `Allocator` trait, in each version that is spoken, and `GlobalAlloc`.
//!
//! Everything that allocates has inherent methods with our own [`AllocError`](crate::AllocError).
//! [`impl_allocator`] makes `Allocator` impls of them, one for each version of the API that is
//! turned on. Whether one is on is decided here, where the macro is defined: features of a crate
//! that calls it do not matter.

use core::ptr::{self, NonNull};

use crate::AllocError;

/// Implements every version of `Allocator` that is turned on for a type with inherent methods
/// `allocate`, `allocate_zeroed`, `deallocate`, `grow`, `grow_zeroed` and `shrink`.
///
/// The call carries the SAFETY comment of the impls: blocks stay until they are freed or the value
/// is dropped or borrowed mutably, wherever it is moved.
macro_rules! impl_allocator {
    ([$($parameters:tt)*] $type:ty) => {
        $crate::api::impl_allocator_02!([$($parameters)*] $type);
    };
}
pub(crate) use impl_allocator;

/// `Allocator` of allocator-api2 0.2.
#[cfg(feature = "allocator-api2-02")]
macro_rules! impl_allocator_02 {
    ([$($parameters:tt)*] $type:ty) => {
        const _: () = {
            use ::allocator_api2::alloc::{AllocError, Allocator};
            use ::core::{alloc::Layout, ptr::NonNull};

            // SAFETY: see the call of `impl_allocator`.
            unsafe impl<$($parameters)*> Allocator for $type {
                $crate::api::impl_allocator_02!(safe allocate allocate_zeroed);
                $crate::api::impl_allocator_02!(resize grow grow_zeroed shrink);

                #[inline]
                unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
                    // SAFETY: both have the same contract.
                    unsafe { <$type>::deallocate(self, start, layout) };
                }
            }
        };
    };
    (safe $($method:ident)*) => {$(
        #[inline]
        fn $method(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            Self::$method(self, layout).map_err(AllocError::from)
        }
    )*};
    (resize $($method:ident)*) => {$(
        #[inline]
        unsafe fn $method(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: both have the same contract.
            unsafe { Self::$method(self, start, old, new) }.map_err(AllocError::from)
        }
    )*};
}
#[cfg(not(feature = "allocator-api2-02"))]
macro_rules! impl_allocator_02 {
    ($($anything:tt)*) => {};
}
pub(crate) use impl_allocator_02;

/// Implements `GlobalAlloc` for a type with the same inherent methods.
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
                    if let Some(start) = NonNull::new(start) {
                        // SAFETY: the block is one of ours with this layout (caller).
                        unsafe { self.deallocate(start, layout) };
                    }
                }

                #[inline]
                unsafe fn realloc(&self, start: *mut u8, old: Layout, size: usize) -> *mut u8 {
                    let new = Layout::from_size_align(size, old.align());
                    let (Some(start), Ok(new)) = (NonNull::new(start), new) else {
                        return ptr::null_mut();
                    };
                    // SAFETY: the block is one of ours with this layout (caller), and each call
                    // gets the larger and the smaller size where it belongs.
                    address(unsafe {
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
