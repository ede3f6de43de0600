//! Linux: `MADV_DONTNEED` takes pages away at once, and what comes in their place is zero.

use crate::source::Contents;

/// Even under strict overcommit, what is only reserved is not counted.
pub(super) const RESERVE: libc::c_int = libc::MAP_NORESERVE;

/// Gives back what is behind a range.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours, and nobody needs what is in it.
pub(super) unsafe fn discard(start: *mut libc::c_void, size: usize) -> Contents {
    // SAFETY: as the caller promises.
    let result = unsafe { libc::madvise(start, size, libc::MADV_DONTNEED) };
    // Locked pages are refused; they keep what they hold.
    if result == 0 { Contents::Zero } else { Contents::Unknown }
}

/// Prefers huge pages for a range, where the system lets programs ask for them.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours.
pub(super) unsafe fn prefer_large_pages(start: *mut libc::c_void, size: usize) {
    // SAFETY: as the caller promises; what is there stays. That there are none is no error.
    unsafe { libc::madvise(start, size, libc::MADV_HUGEPAGE) };
}
