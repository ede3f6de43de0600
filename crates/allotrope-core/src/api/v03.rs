//! allocator-api2 0.3.

pub use allocator_api2_03::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_allocator_03 {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(v03 $($call)*);
    };
}
pub use impl_allocator_03;

convert!(AllocError);
