//! Blocks as the Allocator API speaks of them: a start and a length.

use core::alloc::Layout;
use core::ptr::NonNull;

/// The block for `layout` at `start`. Its length is the requested one: what it is rounded up to is
/// not handed out, and stays poisoned.
#[inline(always)]
pub(crate) fn block(start: NonNull<u8>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(start, layout.size())
}

/// Is `start` aligned as `layout` says?
#[inline(always)]
pub(crate) fn is_aligned(start: NonNull<u8>, layout: Layout) -> bool {
    start.addr().get() & (layout.align() - 1) == 0
}

/// Fills a block with zeros from `from` on.
///
/// # Safety
///
/// The block is as long as it says, at least `from` bytes, and nobody has the bytes from there on.
#[inline(always)]
pub(crate) unsafe fn clear(block: NonNull<[u8]>, from: usize) {
    let size = block.len() - from;
    // SAFETY: as the caller promises.
    unsafe { block.cast::<u8>().add(from).write_bytes(0, size) };
}
