//! Linux moves pages by their tables, without copying.

use crate::source::Movement;

/// `mremap`: makes a mapping of `old` bytes one of `new` bytes.
///
/// # Safety
///
/// As for `mremap`: the range is a whole mapping, and its old place is not used if it moves.
pub(super) unsafe fn remap(
    start: *mut libc::c_void,
    old: usize,
    new: usize,
    movement: Movement,
) -> *mut libc::c_void {
    let flags = if movement == Movement::Allowed { libc::MREMAP_MAYMOVE } else { 0 };
    // SAFETY: as the caller promises.
    unsafe { libc::mremap(start, old, new, flags) }
}
