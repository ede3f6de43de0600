//! macOS and its kin: pages are given back by mapping new ones over them.
//!
//! No advice does it here. `MADV_DONTNEED` gives nothing back; `MADV_FREE` and `MADV_FREE_REUSABLE`
//! take pages at some later time or never, so that nobody knows what is in them until then.

use crate::source::Contents;

/// Nothing besides: what is reserved and has no access is not counted.
pub(super) const RESERVE: libc::c_int = 0;

/// What is not touched is not charged.
pub(super) const fn needs_commit() -> bool {
    false
}

/// Gives back what is behind a range, which reads as zero afterwards.
///
/// # Safety
///
/// As for [`discard`].
pub(super) unsafe fn purge(start: *mut libc::c_void, size: usize) -> bool {
    // SAFETY: as the caller promises.
    unsafe { discard(start, size) == Contents::Zero }
}

/// Gives back what is behind a range.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours, and nobody needs what is in it.
pub(super) unsafe fn discard(start: *mut libc::c_void, size: usize) -> Contents {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED;
    // SAFETY: what is replaced is ours, and nobody needs it (caller).
    let result = unsafe { libc::mmap(start, size, access, flags, -1, 0) };
    // The kernel puts the old pages back when it refuses the new ones.
    if result == libc::MAP_FAILED { Contents::Unknown } else { Contents::Zero }
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
