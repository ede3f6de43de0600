#![cfg_attr(
    all(feature = "alloc", target_has_atomic = "64"),
    doc = include_str!("../docs/front_page.md")
)]
#![cfg_attr(
    not(all(feature = "alloc", target_has_atomic = "64")),
    doc = "Memory allocators; see the documentation for a target with an operating system."
)]
#![no_std]

mod aliases;
#[cfg(all(feature = "alloc", target_has_atomic = "64"))]
pub mod chapters;
#[cfg(feature = "alloc")]
pub mod containers;
pub mod prelude;

pub use aliases::*;
#[doc(inline)]
pub use allotrope_core::*;
#[doc(inline)]
pub use allotrope_heap as heap;
#[doc(inline)]
pub use allotrope_heap::{HeapRc, LocalHeap, LockedHeap};
#[doc(inline)]
pub use allotrope_scope::*;

/// The crate whose `Allocator` trait is spoken, in the version that is spoken.
#[cfg(feature = "allocator-api2-02")]
pub use allocator_api2;
/// The crate of the hash tables.
#[cfg(feature = "alloc")]
pub use hashbrown;

#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;
