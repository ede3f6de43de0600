//! Tells AddressSanitizer which memory is free.

use core::ffi::c_void;
use core::ptr::NonNull;

unsafe extern "C" {
    // The sanitizer's documented interface (sanitizer/asan_interface.h). Both take any range of
    // the program's address space, mapped or not, and touch only the sanitizer's shadow of it.
    safe fn __asan_poison_memory_region(start: *const c_void, size: usize);
    safe fn __asan_unpoison_memory_region(start: *const c_void, size: usize);
}

/// How much of `wanted` bytes is to be reserved ahead. The sanitizer keeps a byte for eight of them,
/// and writes all of those when a region is released.
#[allow(dead_code, reason = "only pages are reserved ahead")]
pub(crate) fn reserve_size(wanted: usize) -> usize {
    wanted.min(512 << 20)
}

/// Says that `size` bytes at `start` must not be accessed.
pub fn poison(start: NonNull<u8>, size: usize) {
    __asan_poison_memory_region(start.as_ptr().cast(), size);
}

/// Says that `size` bytes at `start` may be accessed.
pub fn unpoison(start: NonNull<u8>, size: usize) {
    __asan_unpoison_memory_region(start.as_ptr().cast(), size);
}
