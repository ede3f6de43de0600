//! WebAssembly: `memory.grow` adds pages at the end of memory, and nothing takes any away.
//!
//! ```text
//! │ the program's │ region │ others' │ region (released) │ region │ memory.grow ──▶
//!                                      └ lent again        └ grows in place
//! ```
//!
//! So a region that is released is kept, and lent again; what it reads as is unknown then. All of
//! memory is usable at once, nothing is reserved ahead, and there is nothing to commit.
//!
//! Others may grow memory as well: where it ends is asked each time, and pages that turn up
//! elsewhere than expected are kept for later.

use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::{self, NonNull};

use allotrope_sync::SpinLock;
use allotrope_sync::facade::process_wide;
use lock_api::Mutex;

use super::free_ranges::FreeRanges;
use super::{Contents, Movement, Platform};

pub(super) struct Native;

/// The size of a page, by WebAssembly's definition.
const PAGE_SIZE: usize = 64 * 1024;

/// What `memory.grow` answers when it refuses.
const REFUSED: usize = usize::MAX;

process_wide! {
    /// What was released. Behind a lock, for programs that have threads; who has it waits for nothing.
    static FREE: Mutex<SpinLock, FreeRanges> = Mutex::new(FreeRanges::new());
}

/// The address at which memory ends.
fn end_of_memory() -> usize {
    memory_size::<0>().wrapping_mul(PAGE_SIZE)
}

/// New pages, which read as zero. Those that end where addresses do are `free`, but for the last.
fn fresh(free: &mut FreeRanges, size: usize) -> Option<NonNull<u8>> {
    let pages = memory_grow::<0>(size / PAGE_SIZE);
    if pages == REFUSED {
        return None;
    }
    let start = pages.wrapping_mul(PAGE_SIZE);
    // The machine says where the pages are, and has no pointer to give. Its memory is one object to
    // it, of which all pages are parts.
    let place = NonNull::new(ptr::with_exposed_provenance_mut(start))?;
    if start.checked_add(size).is_some() {
        return Some(place);
    }
    // No object ends where addresses do: the last page is nobody's.
    if size > PAGE_SIZE {
        // SAFETY: new pages stay, and are nobody's.
        unsafe { free.put(place, size - PAGE_SIZE) };
    }
    None
}

// SAFETY: `memory.grow` adds pages that nobody has; they are given to one at a time.
unsafe impl Platform for Native {
    // Memory is as long as it must be, and nothing of it goes back.
    const LENDS_FRAMES: bool = false;

    fn page_size() -> usize {
        PAGE_SIZE
    }

    fn needs_commit() -> bool {
        false
    }

    fn reserve_aligned(_: usize) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn purge(_: NonNull<u8>, _: usize) -> bool {
        false
    }

    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)> {
        let mut free = FREE.lock();
        if let Some(start) = free.take(size) {
            return Some((start, Contents::Unknown));
        }
        let behind = free.size_before(end_of_memory());
        if behind > 0
            && let Some(start) = fresh(&mut free, size - behind)
        {
            // SAFETY: new pages stay, and are nobody's.
            unsafe { free.put(start, size - behind) };
            if let Some(start) = free.take(size) {
                return Some((start, Contents::Unknown));
            }
        }
        Some((fresh(&mut free, size)?, Contents::Zero))
    }

    unsafe fn commit(_: NonNull<u8>, _: usize) -> bool {
        true
    }

    unsafe fn decommit(_: NonNull<u8>, _: usize) -> Contents {
        Contents::Unknown
    }

    unsafe fn release(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the range is whole pages of memory, which stay, and nobody uses it (caller).
        unsafe { FREE.lock().put(start, size) };
        true
    }

    unsafe fn grow(start: NonNull<u8>, old: usize, new: usize, _: Movement) -> Option<NonNull<u8>> {
        let more = new - old;
        // SAFETY: the range is `old` bytes long (caller).
        let end = unsafe { start.add(old) };
        let mut free = FREE.lock();
        if free.take_at(end, more) {
            // SAFETY: the bytes were free, and are the caller's now.
            unsafe { end.write_bytes(0, more) };
            return Some(start);
        }
        if end.addr().get() != end_of_memory() {
            return None;
        }
        let added = fresh(&mut free, more)?;
        if added != end {
            // SAFETY: new pages stay, and are nobody's.
            unsafe { free.put(added, more) };
            return None;
        }
        Some(start)
    }
}
