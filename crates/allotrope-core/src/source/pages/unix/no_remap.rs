//! No system but Linux moves a mapping without copying, or makes one longer where it is.
//!
//! ThreadSanitizer does not know of `mremap`, either: it would take what threads did to the old
//! place, and to the new one before, for races with what they do now. Blocks are copied, then.

use crate::source::Movement;

/// Refuses, as `mremap` may.
///
/// # Safety
///
/// None; that of `mremap` is more.
pub(super) unsafe fn remap(
    _start: *mut libc::c_void,
    _old: usize,
    _new: usize,
    _movement: Movement,
) -> *mut libc::c_void {
    libc::MAP_FAILED
}
