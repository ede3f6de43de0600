//! Unix: `mmap` without access reserves, `mprotect` commits.
//!
//! Reserved pages are `PROT_NONE`, so that they count neither as memory nor as promised memory;
//! `mprotect` is where a promise may be refused. What the systems do not share, a file each says:
//! how pages are given back while their addresses are kept, and how mappings move.

use core::ptr::{self, NonNull};

use allotrope_sync::facade::atomic::{AtomicUsize, Ordering};
use allotrope_sync::facade::process_wide;
use allotrope_sync::fatal::promised;

use super::{Contents, Movement, Platform};

#[cfg_attr(all(target_os = "linux", not(allotrope_tsan)), path = "unix/remap.rs")]
#[cfg_attr(not(all(target_os = "linux", not(allotrope_tsan))), path = "unix/no_remap.rs")]
mod remap;
#[cfg_attr(target_os = "linux", path = "unix/linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "unix/darwin.rs")]
#[cfg_attr(target_os = "freebsd", path = "unix/freebsd.rs")]
mod system;

pub(super) struct Native;

process_wide! {
    /// The page size is asked for once and kept: zero until then.
    static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
}

#[cold]
fn ask_page_size() -> usize {
    // SAFETY: `sysconf` has no preconditions.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page_size = usize::try_from(answer).ok().filter(|size| size.is_power_of_two());
    // No machine has larger ones, and multiples of those are multiples of its own.
    let page_size = page_size.unwrap_or(64 * 1024);
    // Relaxed: the value is all there is, and every thread would store the same.
    PAGE_SIZE.store(page_size, Ordering::Relaxed);
    page_size
}

fn checked(start: *mut libc::c_void) -> Option<NonNull<u8>> {
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

// SAFETY: the kernel maps at addresses that it chooses itself, where nothing else is mapped.
unsafe impl Platform for Native {
    fn page_size() -> usize {
        // Relaxed: see `ask_page_size`.
        match PAGE_SIZE.load(Ordering::Relaxed) {
            0 => ask_page_size(),
            page_size => page_size,
        }
    }

    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | system::RESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice changes no other memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        Some((checked(start)?, Contents::Zero))
    }

    unsafe fn commit(start: NonNull<u8>, size: usize) -> bool {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is ours (caller), and gets more access than it had, not less.
        unsafe { libc::mprotect(start.as_ptr().cast(), size, access) == 0 }
    }

    unsafe fn decommit(start: NonNull<u8>, size: usize) -> Contents {
        // SAFETY: the range is ours, and nobody needs what is in it (caller).
        unsafe { system::discard(start.as_ptr().cast(), size) }
    }

    unsafe fn prefer_large_pages(start: NonNull<u8>, size: usize) {
        // SAFETY: the range is ours (caller).
        unsafe { system::prefer_large_pages(start.as_ptr().cast(), size) };
    }

    unsafe fn release(start: NonNull<u8>, size: usize) {
        // SAFETY: the range is a whole mapping of ours that nobody uses (caller).
        let result = unsafe { libc::munmap(start.as_ptr().cast(), size) };
        promised!(result == 0, "munmap refused a mapping of ours", start.addr().get());
    }

    unsafe fn grow(
        start: NonNull<u8>,
        old: usize,
        new: usize,
        movement: Movement,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the range is a whole reservation of ours; where it moves, nobody uses its old
        // place (caller). Committed in part, it is several mappings to Linux, which answers
        // `EFAULT` then.
        checked(unsafe { remap::remap(start.as_ptr().cast(), old, new, movement) })
    }
}
