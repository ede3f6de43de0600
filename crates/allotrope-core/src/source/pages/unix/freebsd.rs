//! FreeBSD: `MADV_FREE` lets the kernel take pages when it needs some.
//!
//! Until then they keep what they hold, so nobody knows what is in them. To map new pages over them
//! would make them zero, but where that is refused the old ones are gone already.

use crate::source::Contents;

/// Nothing besides: what is reserved and has no access is not counted.
pub(super) const RESERVE: libc::c_int = 0;

/// What is not touched is not charged.
pub(super) const fn needs_commit() -> bool {
    false
}

/// Gives back what is behind a range by mapping new pages over it, which read as zero. Where that
/// is refused, the old ones are gone: nobody may use the range then.
///
/// # Safety
///
/// As for [`discard`].
pub(super) unsafe fn purge(start: *mut libc::c_void, size: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED;
    // SAFETY: what is replaced is ours, and nobody needs it (caller).
    unsafe { libc::mmap(start, size, access, flags, -1, 0) != libc::MAP_FAILED }
}

/// Lets the kernel take back what is behind a range.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours, and nobody needs what is in it.
pub(super) unsafe fn discard(start: *mut libc::c_void, size: usize) -> Contents {
    // SAFETY: as the caller promises. Whether it is done is all the same: it says nothing of what
    // the pages read as.
    unsafe { libc::madvise(start, size, libc::MADV_FREE) };
    Contents::Unknown
}

/// Large pages are the system's own affair.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours.
pub(super) unsafe fn prefer_large_pages(_: *mut libc::c_void, _: usize) {}

/// Large pages are the system's own affair.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours.
pub(super) unsafe fn prefer_small_pages(_: *mut libc::c_void, _: usize) {}
