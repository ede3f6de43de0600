//! Unix: `mmap` reserves; what is not touched costs no memory.
//!
//! Pages are readable and writable from the start, so that neighbours are one mapping to the system
//! and nothing is ever split. Under Linux' strict overcommit such pages count as promised memory: there
//! they are reserved without access, and `mprotect` is where a promise may be refused. What the
//! systems do not share, a file each says: how pages are given back while their addresses are kept,
//! and how mappings move.

use core::ptr::{self, NonNull};

use allotrope_sync::facade::atomic::{AtomicPtr, AtomicUsize, Ordering};
use allotrope_sync::facade::process_wide;

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

process_wide! {
    /// Where the next segment is asked for, so that it is neighbour to the last.
    static NEXT_ALIGNED: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
}

/// Maps `size` bytes, at `hint` if nothing is there.
fn map(hint: *mut libc::c_void, size: usize) -> Option<NonNull<u8>> {
    let access =
        if system::needs_commit() { libc::PROT_NONE } else { libc::PROT_READ | libc::PROT_WRITE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | system::RESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice changes no other memory.
    checked(unsafe { libc::mmap(hint, size, access, flags, -1, 0) })
}

/// Maps `size` bytes at a multiple of `size`: of twice as many, which surely have such a part.
fn map_aligned(size: usize) -> Option<NonNull<u8>> {
    let all = size.checked_mul(2)?;
    let start = map(ptr::null_mut(), all)?;
    let before = start.addr().get().wrapping_neg() % size;
    // SAFETY: both parts lie in what was just mapped, which nobody uses. If one is not unmapped, it
    // is address space that is lost, and no memory.
    unsafe {
        if before > 0 {
            Native::release(start, before);
        }
        let aligned = start.add(before);
        Native::release(aligned.add(size), size - before);
        Some(aligned)
    }
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

    fn needs_commit() -> bool {
        system::needs_commit()
    }

    fn spare_address_space() -> usize {
        /// Threads need some for their stacks, and other heaps for themselves.
        const PARTS: libc::rlim_t = 64;
        let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
        // SAFETY: the system writes to a value of this type.
        unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
        if limit.rlim_cur == libc::RLIM_INFINITY {
            return usize::MAX;
        }
        usize::try_from(limit.rlim_cur / PARTS).unwrap_or(usize::MAX)
    }

    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)> {
        Some((map(ptr::null_mut(), size)?, Contents::Zero))
    }

    fn reserve_aligned(size: usize) -> Option<NonNull<u8>> {
        // Relaxed: a hint, which may be out of date.
        let below = NEXT_ALIGNED.load(Ordering::Relaxed);
        let start = match map(below.cast(), size)? {
            start if start.addr().get().is_multiple_of(size) => start,
            start => {
                // SAFETY: just mapped, and used by nobody.
                unsafe { Self::release(start, size) };
                map_aligned(size)?
            }
        };
        // Systems map from the top down: the next segment may lie right below, in one mapping with
        // this one.
        NEXT_ALIGNED.store(start.as_ptr().wrapping_sub(size), Ordering::Relaxed);
        // SAFETY: the range was just mapped.
        unsafe { system::prefer_small_pages(start.as_ptr().cast(), size) };
        Some(start)
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

    unsafe fn purge(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: as the caller promises.
        unsafe { system::purge(start.as_ptr().cast(), size) }
    }

    unsafe fn prefer_large_pages(start: NonNull<u8>, size: usize) {
        // SAFETY: the range is ours (caller).
        unsafe { system::prefer_large_pages(start.as_ptr().cast(), size) };
    }

    unsafe fn release(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the range was mapped by us, and nobody uses it (caller).
        unsafe { libc::munmap(start.as_ptr().cast(), size) == 0 }
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
