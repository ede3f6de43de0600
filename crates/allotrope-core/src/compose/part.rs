//! Calls of a part: the six methods of an `Allocator` as three, and the move from one to another.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allotrope_sync::fatal::no_unwinding;

use crate::AllocError;

/// What bytes read as that are new to the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fill {
    Any,
    Zero,
}

/// How a block changes its layout. A size that grows stays the same or grows, and so on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Grow,
    GrowZeroed,
    Shrink,
}

impl Change {
    /// What new bytes read as.
    pub(super) const fn fill(self) -> Fill {
        match self {
            Self::GrowZeroed => Fill::Zero,
            Self::Grow | Self::Shrink => Fill::Any,
        }
    }
}

/// Allocates from a part.
#[inline(always)]
pub(super) fn allocate(
    part: &impl Allocator,
    layout: Layout,
    fill: Fill,
) -> Result<NonNull<[u8]>, AllocError> {
    let block = match fill {
        Fill::Any => part.allocate(layout),
        Fill::Zero => part.allocate_zeroed(layout),
    };
    block.map_err(AllocError::from)
}

/// Resizes a block of a part's.
///
/// # Safety
///
/// As for [`Strategy::grow`](crate::Strategy::grow) or
/// [`Strategy::shrink`](crate::Strategy::shrink), as `change` says, of `part`.
#[inline(always)]
pub(super) unsafe fn resize(
    part: &impl Allocator,
    start: NonNull<u8>,
    old: Layout,
    new: Layout,
    change: Change,
) -> Result<NonNull<[u8]>, AllocError> {
    // SAFETY: as the caller promises, in each case.
    let block = unsafe {
        match change {
            Change::Grow => part.grow(start, old, new),
            Change::GrowZeroed => part.grow_zeroed(start, old, new),
            Change::Shrink => part.shrink(start, old, new),
        }
    };
    block.map_err(AllocError::from)
}

/// Frees a block of a part's that has a successor already.
///
/// Where that unwinds the program ends: nobody can tell whether the block is gone, so neither it nor its
/// successor could be the caller's.
///
/// # Safety
///
/// As for [`Strategy::deallocate`](crate::Strategy::deallocate), of `part`.
#[inline(always)]
pub(super) unsafe fn deallocate_old(part: &impl Allocator, start: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller promises.
    no_unwinding(|| unsafe { part.deallocate(start, layout) });
}

/// Resizes a block of one part's by moving it to another one.
///
/// # Errors
///
/// [`AllocError`] when `to` has no block for `new`; nothing has changed then.
///
/// # Safety
///
/// As for [`resize`], where the block is one of `from`.
#[inline]
pub(super) unsafe fn relocate(
    from: &impl Allocator,
    to: &impl Allocator,
    start: NonNull<u8>,
    old: Layout,
    new: Layout,
    change: Change,
) -> Result<NonNull<[u8]>, AllocError> {
    let block = allocate(to, new, change.fill())?;
    let kept = old.size().min(new.size());
    // SAFETY: both blocks are in use, so they do not overlap, and neither is shorter than `kept`.
    unsafe { block.cast::<u8>().copy_from_nonoverlapping(start, kept) };
    // SAFETY: `old` fits this block of `from` (caller), which nobody accesses any more.
    unsafe { deallocate_old(from, start, old) };
    Ok(block)
}

/// The block without what lies beyond its first `len` bytes.
#[inline(always)]
pub(super) fn first_bytes(block: NonNull<[u8]>, len: usize) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), len.min(block.len()))
}
