//! Allocators of allocator-api2 0.3 as allocators of every version.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::carry;
use crate::AllocError;

/// An allocator of allocator-api2 0.3 as one of every version that is turned on.
///
/// Regions from another crate's allocator, which speaks 0.3 and nothing else:
///
/// ```
/// # #[cfg(feature = "allocator-api2-02")] {
/// use allotrope_core::compat::From03;
/// use allotrope_core::{BestFit, Local, Upstream};
/// use allocator_api2_03::alloc::Global as Foreign;
/// use allocator_api2_03::vec::Vec;
///
/// let heap = Local::new(BestFit::new(Upstream::new(From03::new(Foreign))));
/// let mut numbers = Vec::new_in(&heap); // the heap itself speaks 0.3, too
/// numbers.extend(0..100_u64);
/// assert_eq!(heap.bytes_used(), numbers.capacity() * 8);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct From03<A> {
    allocator: A,
}

carry!(From03, v03);
