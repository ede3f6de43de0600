//! A least alignment: every block starts at a multiple of `N`.
//!
//! # Invariants
//!
//! 1. The part sees each layout with its alignment raised to `N` and its size as it is. Blocks are
//!    passed on with exactly the requested length, whose raised layout is valid: it was the one
//!    that the part was asked for.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::api::impl_allocator;
use crate::strategy;
use crate::{AllocError, Independent};

/// Allocates from `A`, every block aligned to `N` at least: a power of two.
///
/// Vectors on cache lines, for SIMD loads that straddle none:
///
/// ```
/// use allotrope_core::AlignTo;
/// use allocator_api2::{alloc::Global, vec::Vec};
///
/// let lines = AlignTo::<64, _>::new(Global);
/// let mut samples: Vec<f32, _> = Vec::new_in(&lines);
/// samples.extend((0..100).map(|n| n as f32));
/// assert!(samples.as_ptr().addr().is_multiple_of(64));
/// // SAFETY: any four bytes are an `f32`, and any sixteen of those make an array.
/// let (before, whole, _) = unsafe { samples.align_to::<[f32; 16]>() };
/// assert_eq!((before.len(), whole.len()), (0, 6));
/// ```
///
/// A block has exactly the requested length. The next one starts on another line if it comes from
/// here, too; others of `A` may share the last line of a block whose size is no multiple of `N`.
///
/// An alignment that is no power of two does not compile:
///
/// ```compile_fail
/// # use allotrope_core::AlignTo;
/// let odd = AlignTo::<48, _>::new(allocator_api2::alloc::Global);
/// ```
///
/// It owns its blocks where `A` does.
#[derive(Clone, Copy, Debug)]
pub struct AlignTo<const N: usize, A> {
    allocator: A,
}

impl<const N: usize, A> AlignTo<N, A> {
    /// Blocks of `allocator`, aligned to `N` at least.
    pub const fn new(allocator: A) -> Self {
        const { assert!(N.is_power_of_two(), "an alignment is a power of two") };
        Self { allocator }
    }

    /// The allocator that blocks come from.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }
}

impl<const N: usize, A: Default> Default for AlignTo<N, A> {
    fn default() -> Self {
        Self::new(A::default())
    }
}

/// `layout`, aligned to `align` at least.
///
/// # Errors
///
/// [`AllocError`] when no memory could hold that.
#[inline(always)]
fn raised(layout: Layout, align: usize) -> Result<Layout, AllocError> {
    layout.align_to(align).map_err(|_| AllocError)
}

impl<const N: usize, A: Allocator> AlignTo<N, A> {
    composed!(Self::dangling);

    /// What size 0 is served with: no memory, aligned all the same.
    #[inline(always)]
    fn dangling(layout: Layout) -> NonNull<[u8]> {
        strategy::dangling(raised(layout, N).unwrap_or(layout))
    }

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        let block = part::allocate(&self.allocator, raised(layout, N)?, fill)?;
        Ok(part::first_bytes(block, layout.size()))
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: this block was served with the same layout (caller), which was valid then.
        unsafe {
            let layout = raised(layout, N).unwrap_unchecked();
            self.allocator.deallocate(start, layout);
        }
    }

    /// # Safety
    ///
    /// As for [`part::resize`], and both layouts have a size.
    #[inline]
    unsafe fn resize(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        change: Change,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (from, to) = (raised(old, N)?, raised(new, N)?);
        // SAFETY: the block is one of the part's, with the layout that it was asked for
        // (invariant 1); the sizes are as the caller promises.
        let block = unsafe { part::resize(&self.allocator, start, from, to, change) }?;
        Ok(part::first_bytes(block, new.size()))
    }
}

// SAFETY: blocks are the part's, which stay where they are until they are freed or the part is
// dropped or borrowed mutably.
unsafe impl<const N: usize, A: Allocator> crate::api::Sound for AlignTo<N, A> {}
impl_allocator!([const N: usize, A: Allocator] AlignTo<N, A>);

// SAFETY: its blocks are the part's, which is not shared.
unsafe impl<const N: usize, A: Owns> Owns for AlignTo<N, A> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.allocator.owns(start, layout)
    }
}

// SAFETY: blocks are the part's.
unsafe impl<const N: usize, A: Independent> Independent for AlignTo<N, A> {}
