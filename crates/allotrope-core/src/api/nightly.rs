//! `core::alloc::Allocator` of a nightly compiler, which std's containers speak.

pub(crate) use core::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
macro_rules! impl_allocator_nightly {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(nightly $($call)*);
    };
}
pub(crate) use impl_allocator_nightly;

convert!(AllocError);
