//! Allocators of allocator-api2 0.2 as allocators of every version.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::carry;
use crate::AllocError;

/// An allocator of allocator-api2 0.2 as one of every version that is turned on.
///
/// Another crate's allocator, which speaks 0.2 and nothing else, in a container of 0.4:
///
/// ```
/// # #[cfg(feature = "allocator-api2-04")] {
/// use allotrope_core::compat::From02;
/// use allocator_api2::alloc::Global as Foreign;
/// use allocator_api2_04::vec::Vec;
///
/// let mut numbers = Vec::new_in(From02::new(Foreign));
/// numbers.extend(1..=10);
/// assert_eq!(numbers.iter().sum::<u32>(), 55);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct From02<A> {
    allocator: A,
}

carry!(From02, v02);
