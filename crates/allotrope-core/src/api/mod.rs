//! The `Allocator` trait, in each version that is spoken, and `GlobalAlloc`.
//!
//! Everything that allocates has inherent methods with our own [`AllocError`](crate::AllocError).
//! [`impl_allocator`] makes `Allocator` impls of them, one for each version that is turned on:
//!
//! | file | feature | the trait of |
//! |---|---|---|
//! | `v02.rs` | `allocator-api2-02` | allocator-api2 0.2 |
//! | `v03.rs` | `allocator-api2-03` | allocator-api2 0.3 |
//! | `v04.rs` | `allocator-api2-04` | allocator-api2 0.4 |
//! | `nightly.rs` | `nightly` | `core::alloc` |
//!
//! The trait has the same methods in all of them, with the same meaning; only its path and the path
//! of its error differ. A version's file names those, and [`implement`](mod@implement) writes the impl.
//!
//! Whether a version is on is decided here, where the macros are defined: features of a crate that
//! calls [`impl_allocator`] do not matter.

mod global;
#[allow(unused_imports, unused_macros, reason = "no version may be on")]
pub mod implement;
#[cfg(feature = "nightly")]
pub mod nightly;
#[cfg(feature = "allocator-api2-02")]
pub mod v02;
#[cfg(feature = "allocator-api2-03")]
pub mod v03;
#[cfg(feature = "allocator-api2-04")]
pub mod v04;

pub(crate) use global::{address, impl_global_alloc};

/// A type that [`impl_allocator`] may write impls for.
///
/// # Safety
///
/// The type has inherent methods `allocate`, `allocate_zeroed`, `deallocate`, `grow`, `grow_zeroed`
/// and `shrink` that keep the contract of `Allocator`: in particular, blocks stay until they are
/// freed or the value is dropped or borrowed mutably, wherever it is moved, and a clone is the same
/// allocator.
#[doc(hidden)]
pub unsafe trait Sound {}

/// Implements every version of `Allocator` that is turned on for a type that is [`Sound`], by its
/// inherent methods.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_allocator {
    ($($call:tt)*) => {
        $crate::api::impl_allocator_02!($($call)*);
        $crate::api::impl_allocator_03!($($call)*);
        $crate::api::impl_allocator_04!($($call)*);
        $crate::api::impl_allocator_nightly!($($call)*);
    };
}
pub use impl_allocator;

#[cfg(feature = "nightly")]
pub use nightly::impl_allocator_nightly;
#[cfg(feature = "allocator-api2-02")]
pub use v02::impl_allocator_02;
#[cfg(feature = "allocator-api2-03")]
pub use v03::impl_allocator_03;
#[cfg(feature = "allocator-api2-04")]
pub use v04::impl_allocator_04;

/// A version that is not turned on.
#[doc(hidden)]
#[macro_export]
macro_rules! absent {
    ($($call:tt)*) => {};
}
#[cfg(not(feature = "allocator-api2-02"))]
pub use absent as impl_allocator_02;
#[cfg(not(feature = "allocator-api2-03"))]
pub use absent as impl_allocator_03;
#[cfg(not(feature = "allocator-api2-04"))]
pub use absent as impl_allocator_04;
#[cfg(not(feature = "nightly"))]
pub use absent as impl_allocator_nightly;
