//! Allocators of allocator-api2 0.4 as allocators of every version.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::carry;
use crate::AllocError;

/// An allocator of allocator-api2 0.4 as one of every version that is turned on.
///
/// A buffer first, then another crate's allocator, which speaks 0.4 and nothing else:
///
/// ```
/// # #[cfg(feature = "allocator-api2-02")] {
/// use allotrope_core::compat::From04;
/// use allotrope_core::{BestFit, Buffer, Fallback, Local};
/// use allocator_api2::vec::Vec;
/// use allocator_api2_04::alloc::Global as Foreign;
/// use std::mem::MaybeUninit;
///
/// let mut bytes = [const { MaybeUninit::uninit() }; 4096];
/// let buffer = Local::new(BestFit::new(Buffer::new(&mut bytes)));
/// // SAFETY: the foreign allocator has its memory from the system, none of it from the buffer.
/// let memory = unsafe { Fallback::new_unchecked(buffer, From04::new(Foreign)) };
///
/// let mut numbers = Vec::new_in(&memory);
/// numbers.extend(0..10_000);
/// assert_eq!(numbers[9_999], 9_999);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct From04<A> {
    allocator: A,
}

carry!(From04, v04);
