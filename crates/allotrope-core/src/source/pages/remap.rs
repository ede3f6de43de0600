//! Linux moves pages by their tables, without copying.

/// `mremap`: makes a mapping of `old` bytes one of `new` bytes.
///
/// # Safety
///
/// As for `mremap`: the range is a whole mapping, and its old place is not used if it moves.
pub(super) unsafe fn remap(
    start: *mut libc::c_void,
    old: usize,
    new: usize,
    flags: libc::c_int,
) -> *mut libc::c_void {
    // SAFETY: as the caller promises.
    unsafe { libc::mremap(start, old, new, flags) }
}
