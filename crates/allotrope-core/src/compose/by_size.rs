//! By size: small requests to one allocator, large ones to another.
//!
//! ```text
//!  1 ........ LIMIT │ LIMIT + 1 ........ isize::MAX
//!       small       │            large
//! ```
//!
//! # Invariants
//!
//! 1. The small part's blocks are passed on with at most `LIMIT` bytes, and the large part's are
//!    longer. So every size that fits a block lies on the side of the limit that it came from.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::api::impl_allocator;
use crate::{AllocError, Independent};

/// Allocates sizes up to `LIMIT` from `Small`, and larger ones from `Large`.
///
/// Small ones from a pool, the rest from best fit:
///
/// ```
/// use allotrope_core::{BestFit, Buffer, BySize, FixedSize, Local};
/// use allocator_api2::{boxed::Box, vec::Vec};
/// use std::mem::MaybeUninit;
///
/// let mut nodes = [const { MaybeUninit::uninit() }; 4096];
/// let mut rest = [const { MaybeUninit::uninit() }; 16384];
/// let pool = Local::new(FixedSize::<64, _>::new(Buffer::new(&mut nodes)));
/// let best_fit = Local::new(BestFit::new(Buffer::new(&mut rest)));
/// let memory = BySize::<64, _, _>::new(pool, best_fit);
///
/// let node = Box::new_in([1_u64, 2, 3], &memory);
/// let text = Vec::<u8, _>::with_capacity_in(1000, &memory);
/// assert_eq!(memory.small().bytes_used(), 64);
/// assert_eq!(memory.large().bytes_used(), 1008);
/// # drop((node, text));
/// ```
///
/// The route depends on the size alone and costs nothing where that is a constant. A block that
/// grows or shrinks across the limit moves.
///
/// What the small part refuses, because it is full or by its alignment, is an error, though the
/// large part may have room. Containers that shrink end the program on such an error; where that
/// matters, the small part is a [`Fallback`](crate::Fallback).
///
/// With three parts, the large one is a `BySize` again. `LIMIT` may be 0, which leaves nothing
/// to `Small`, or `usize::MAX`, which leaves nothing to `Large`. It owns its blocks where both
/// parts do.
#[derive(Clone, Copy, Debug, Default)]
pub struct BySize<const LIMIT: usize, Small, Large> {
    small: Small,
    large: Large,
}

impl<const LIMIT: usize, Small, Large> BySize<LIMIT, Small, Large> {
    /// `small` up to the limit, `large` beyond it.
    pub const fn new(small: Small, large: Large) -> Self {
        Self { small, large }
    }

    /// The part that serves sizes up to the limit.
    pub const fn small(&self) -> &Small {
        &self.small
    }

    /// The part that serves larger sizes.
    pub const fn large(&self) -> &Large {
        &self.large
    }

    /// Both parts, which no allocation can be under way in now.
    pub const fn parts_mut(&mut self) -> (&mut Small, &mut Large) {
        (&mut self.small, &mut self.large)
    }

    /// Both parts themselves.
    pub fn into_parts(self) -> (Small, Large) {
        (self.small, self.large)
    }

    /// Is a block for `layout` the small part's?
    #[inline(always)]
    const fn is_small(layout: Layout) -> bool {
        layout.size() <= LIMIT
    }
}

impl<const LIMIT: usize, Small: Allocator, Large: Allocator> BySize<LIMIT, Small, Large> {
    composed!();

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        if Self::is_small(layout) {
            Ok(part::first_bytes(part::allocate(&self.small, layout, fill)?, LIMIT))
        } else {
            part::allocate(&self.large, layout, fill)
        }
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        if Self::is_small(layout) {
            // SAFETY: by invariant 1 the block is one of the small part's; `layout` fits (caller).
            unsafe { self.small.deallocate(start, layout) };
        } else {
            // SAFETY: as above, of the large part's.
            unsafe { self.large.deallocate(start, layout) };
        }
    }

    /// # Safety
    ///
    /// As for [`part::resize`], and both layouts have a size.
    #[inline(always)]
    unsafe fn resize(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        change: Change,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (small, large) = (&self.small, &self.large);
        // SAFETY: by invariant 1 the old size says whose the block is, and the new one whose it
        // will be; all else is the caller's promise.
        let block = unsafe {
            match (Self::is_small(old), Self::is_small(new)) {
                (true, true) => part::resize(small, start, old, new, change),
                (true, false) => part::relocate(small, large, start, old, new, change),
                (false, true) => part::relocate(large, small, start, old, new, change),
                (false, false) => part::resize(large, start, old, new, change),
            }
        }?;
        Ok(if Self::is_small(new) { part::first_bytes(block, LIMIT) } else { block })
    }
}

// SAFETY: blocks are the parts', which stay where they are until they are freed or their part is
// dropped or borrowed mutably; invariant 1 says that each is freed where it came from.
unsafe impl<const LIMIT: usize, Small: Allocator, Large: Allocator> crate::api::Sound
    for BySize<LIMIT, Small, Large>
{
}
impl_allocator!([const LIMIT: usize, Small: Allocator, Large: Allocator] BySize<LIMIT, Small, Large>);

// SAFETY: invariant 1 says whose the block is, which tells; neither part is shared.
unsafe impl<const LIMIT: usize, Small: Owns, Large: Owns> Owns for BySize<LIMIT, Small, Large> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.small.owns(start, layout) || self.large.owns(start, layout)
    }
}

// SAFETY: blocks are the parts'.
unsafe impl<const LIMIT: usize, Small: Independent, Large: Independent> Independent
    for BySize<LIMIT, Small, Large>
{
}
