//! Nothing: the part for what must not happen.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::composed;
use super::owns::Owns;
use super::part::{Change, Fill};
use crate::api::impl_allocator;
use crate::{AllocError, Independent};

/// Refuses everything but size 0, which takes no memory.
///
/// No request above 4 KiB:
///
/// ```
/// use allotrope_core::{BySize, Null};
/// use allocator_api2::{alloc::Global, vec::Vec};
///
/// let memory = BySize::<4096, _, _>::new(Global, Null);
/// let mut packet: Vec<u8, _> = Vec::new_in(&memory);
/// assert!(packet.try_reserve_exact(4096).is_ok());
/// assert!(packet.try_reserve_exact(4097).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Null {
    composed!();

    fn obtain(&self, _: Layout, _: Fill) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), of a layout with a size: nobody
    /// can promise that.
    unsafe fn give_back(&self, _: NonNull<u8>, _: Layout) {}

    /// # Safety
    ///
    /// As for `give_back`.
    unsafe fn resize(
        &self,
        _: NonNull<u8>,
        _: Layout,
        _: Layout,
        _: Change,
    ) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
}

// SAFETY: it has no blocks.
unsafe impl crate::api::Sound for Null {}
impl_allocator!([] Null);

// SAFETY: it has no blocks to tell from others.
unsafe impl Owns for Null {
    fn owns(&self, _: NonNull<u8>, _: Layout) -> bool {
        false
    }
}

// SAFETY: it has no blocks.
unsafe impl Independent for Null {}
