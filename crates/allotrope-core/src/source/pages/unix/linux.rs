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
