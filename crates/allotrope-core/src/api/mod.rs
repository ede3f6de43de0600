//! The `Allocator` trait, in each version that is spoken, and `GlobalAlloc`.
//!
//! Everything that allocates has inherent methods with our own [`AllocError`](crate::AllocError).
//! [`impl_allocator`] makes `Allocator` impls of them, one for each version of the API that is
//! turned on. Whether one is on is decided here, where the macro is defined: features of a crate
//! that calls it do not matter.

mod global;

pub(crate) use global::{address, impl_global_alloc};

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
