//! Allocators of a nightly compiler's `core::alloc` as allocators of every version.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::carry;
use crate::AllocError;

/// An allocator of `core::alloc` as one of every version that is turned on.
///
/// Regions from the system's allocator, past a program's global one:
///
/// ```
/// # #![feature(allocator_api)]
/// # #[cfg(feature = "allocator-api2-02")] {
/// use allotrope_core::compat::FromNightly;
/// use allotrope_core::{BestFit, Local, Upstream};
/// use std::alloc::System;
/// use std::vec::Vec;
///
/// let heap = Local::new(BestFit::new(Upstream::new(FromNightly::new(System))));
/// let mut numbers = Vec::new_in(&heap); // the heap itself is an allocator for std's
/// numbers.extend(0..100_u64);
/// assert_eq!(heap.bytes_used(), numbers.capacity() * 8);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FromNightly<A> {
    allocator: A,
}

carry!(FromNightly, nightly);
