//! allocator-api2 0.4, which talc 5 speaks.

pub(crate) use allocator_api2_04::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
macro_rules! impl_allocator_04 {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(v04 $($call)*);
    };
}
pub(crate) use impl_allocator_04;

convert!(AllocError);
