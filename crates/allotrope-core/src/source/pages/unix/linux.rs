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
/// As for [`discard`]; where commits are needed, the range may have been committed in part, and is
/// not committed afterwards.
pub(super) unsafe fn purge(start: *mut libc::c_void, size: usize) -> bool {
    if needs_commit() {
        // SAFETY: as the caller promises.
        return unsafe { renew(start, size) };
    }
    // SAFETY: as the caller promises.
    if unsafe { discard(start, size) } != Contents::Zero {
        // Pages that are locked stay; all of them are accessible, so they can be zeroed.
        // SAFETY: the range is ours, readable and writable, and nobody needs what is in it (caller).
        unsafe { start.cast::<u8>().write_bytes(0, size) };
    }
    true
}

/// Maps new pages without access over a range: to take away what is behind pages, or access to them,
/// gives back no promise of memory. Where it is refused, the old ones may be gone: nobody may use
/// the range then.
///
/// # Safety
///
/// As for [`discard`]; nobody accesses the range before it is committed again.
unsafe fn renew(start: *mut libc::c_void, size: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED | RESERVE;
    // SAFETY: what is replaced is ours, and nobody needs it (caller).
    let result = unsafe { libc::mmap(start, size, libc::PROT_NONE, flags, -1, 0) };
    let is_new = result != libc::MAP_FAILED;
    if is_new {
        // SAFETY: as above. As the rest of its segment, with which it is one mapping then.
        unsafe { prefer_small_pages(start, size) };
    }
    is_new
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

#[cfg(all(test, target_arch = "x86_64", not(any(loom, miri))))]
mod tests {
    extern crate std;
    use super::*;
    use crate::source::pages::Platform;
    use crate::source::pages::platform::Native;
    use std::fs;

    /// Whether the mapping that starts here may be accessed, and whether it counts as promised.
    fn access_and_promise(start: usize) -> (bool, bool) {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines =
            maps.lines().skip_while(|line| !line.starts_with(&std::format!("{start:x}-")));
        let is_accessible = lines.next().unwrap().contains(" rw");
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        (is_accessible, flags.contains(" ac"))
    }

    #[test]
    fn a_released_frame_stayed_promised_under_strict_overcommit() {
        let size = 16 * Native::page_size();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, with a promise of memory; what it replaces is ours.
        unsafe {
            // As a frame in a segment: what lies around it stays.
            let around = libc::mmap(core::ptr::null_mut(), 3 * size, libc::PROT_NONE, flags, -1, 0);
            let start = around.byte_add(size);
            let fixed = libc::mmap(start, size, access, flags | libc::MAP_FIXED, -1, 0);
            assert_eq!(fixed, start);
            start.cast::<u8>().write_bytes(7, size);
            assert_eq!(access_and_promise(start.addr()), (true, true));
            assert!(renew(start, size));
            assert_eq!(access_and_promise(start.addr()), (false, false));
            assert_eq!(libc::mprotect(start, size, access), 0);
            let bytes = core::slice::from_raw_parts(start.cast::<u8>(), size);
            assert!(bytes.iter().all(|byte| *byte == 0));
            libc::munmap(around, 3 * size);
        }
    }
}
