//! No sanitizer: nothing to tell.

use core::ptr::NonNull;

/// Says that `size` bytes at `start` must not be accessed.
#[inline(always)]
pub(crate) fn poison(_start: NonNull<u8>, _size: usize) {}

/// Says that `size` bytes at `start` may be accessed.
#[inline(always)]
pub(crate) fn unpoison(_start: NonNull<u8>, _size: usize) {}
