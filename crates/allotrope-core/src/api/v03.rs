//! allocator-api2 0.3.

pub(crate) use allocator_api2_03::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
macro_rules! impl_allocator_03 {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(v03 $($call)*);
    };
}
pub(crate) use impl_allocator_03;

convert!(AllocError);
