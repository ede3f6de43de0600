//! Linux: `MADV_DONTNEED` takes pages away at once, and what comes in their place is zero.

use allotrope_sync::facade::atomic::{AtomicUsize, Ordering};
use allotrope_sync::facade::process_wide;

use crate::source::Contents;

/// Even under strict overcommit, what is only reserved is not counted.
pub(super) const RESERVE: libc::c_int = libc::MAP_NORESERVE;

process_wide! {
    /// What is known of the kernel's overcommit: one of the constants below.
    static OVERCOMMIT: AtomicUsize = AtomicUsize::new(UNKNOWN);
}

const UNKNOWN: usize = 0;
/// Memory is charged when it is touched.
const LAZY: usize = 1;
/// Memory is charged when it is made accessible.
const STRICT: usize = 2;

/// Whether reserved pages must be committed: only under strict overcommit.
#[inline]
pub(super) fn needs_commit() -> bool {
    // Relaxed: the value is all there is, and every thread would store the same.
    match OVERCOMMIT.load(Ordering::Relaxed) {
        UNKNOWN => ask_overcommit(),
        known => known == STRICT,
    }
}

#[cold]
fn ask_overcommit() -> bool {
    let mut mode = [0_u8; 1];
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero, and the buffer has room for the byte that is read.
    unsafe {
        let file = libc::open(c"/proc/sys/vm/overcommit_memory".as_ptr(), flags);
        if file >= 0 {
            libc::read(file, mode.as_mut_ptr().cast(), 1);
            libc::close(file);
        }
    }
    let is_strict = mode == *b"2";
    OVERCOMMIT.store(if is_strict { STRICT } else { LAZY }, Ordering::Relaxed);
    is_strict
}

/// Gives back what is behind a range, which reads as zero afterwards.
///
/// # Safety
///
/// As for [`discard`]; where commits are needed, the range may have been committed in part.
pub(super) unsafe fn purge(start: *mut libc::c_void, size: usize) -> bool {
    // SAFETY: as the caller promises.
    if unsafe { discard(start, size) } == Contents::Zero {
        return true;
    }
    // Pages that are locked stay; where all are accessible, they can be zeroed.
    if !needs_commit() {
        // SAFETY: the range is ours, readable and writable, and nobody needs what is in it (caller).
        unsafe { start.cast::<u8>().write_bytes(0, size) };
    }
    !needs_commit()
}

/// Prefers small pages for a range: a region that is hardly used is not to cost a large one.
///
/// # Safety
///
/// The range is whole pages of a mapping of ours.
pub(super) unsafe fn prefer_small_pages(start: *mut libc::c_void, size: usize) {
    // SAFETY: as the caller promises; what is there stays. A kernel without large pages refuses.
    unsafe { libc::madvise(start, size, libc::MADV_NOHUGEPAGE) };
}

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
