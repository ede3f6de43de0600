//! allocator-api2 0.2, which hashbrown 0.17 and bumpalo 3.20 speak.

pub use allocator_api2::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_allocator_02 {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(v02 $($call)*);
    };
}
pub use impl_allocator_02;

convert!(AllocError);

#[cfg(feature = "alloc")]
// SAFETY: its memory is that of the program's global allocator.
unsafe impl crate::Independent for allocator_api2::alloc::Global {}
