//! No sanitizer: nothing to tell.

use core::ptr::NonNull;

/// How much of `wanted` bytes is to be reserved ahead.
#[allow(dead_code, reason = "only pages are reserved ahead")]
#[inline(always)]
pub(crate) const fn reserve_size(wanted: usize) -> usize {
    wanted
}

/// Says that `size` bytes at `start` must not be accessed.
#[inline(always)]
pub fn poison(_start: NonNull<u8>, _size: usize) {}

/// Says that `size` bytes at `start` may be accessed.
#[inline(always)]
pub fn unpoison(_start: NonNull<u8>, _size: usize) {}
