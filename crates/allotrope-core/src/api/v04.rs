//! allocator-api2 0.4, which talc 5 speaks.

pub use allocator_api2_04::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_allocator_04 {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(v04 $($call)*);
    };
}
pub use impl_allocator_04;

convert!(AllocError);
