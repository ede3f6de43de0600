//! ThreadSanitizer does not know of `mremap`: it would take what threads did to the old place, and
//! to the new one before, for races with what they do now. Under it, blocks are copied.

/// Refuses, as `mremap` may.
///
/// # Safety
///
/// None; that of `mremap` is more.
pub(super) unsafe fn remap(
    _start: *mut libc::c_void,
    _old: usize,
    _new: usize,
    _flags: libc::c_int,
) -> *mut libc::c_void {
    libc::MAP_FAILED
}
