//! `core::alloc::Allocator` of a nightly compiler, which std's containers speak.

pub use core::alloc::{AllocError, Allocator};

use super::implement::convert;

/// Implements this version's `Allocator`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_allocator_nightly {
    ($($call:tt)*) => {
        $crate::api::implement::implement!(nightly $($call)*);
    };
}
pub use impl_allocator_nightly;

convert!(AllocError);
