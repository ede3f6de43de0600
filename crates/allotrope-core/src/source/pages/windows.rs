//! Windows: `VirtualAlloc` reserves, commits and resets, `VirtualFree` decommits and releases.
//!
//! Committed memory is memory promised: Windows refuses what it might not have, in `commit` and
//! never at an access. `decommit` gives the promise back, and so the pages are gone until they are
//! committed again. `discard` keeps the promise and lets go of what is in the pages: they are reset,
//! which drops their contents whenever memory is short, and taken out of the working set.
//!
//! A reservation starts at a multiple of 64 KiB, takes as much address space, and is released whole.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use allotrope_sync::facade::atomic::{AtomicUsize, Ordering};
use allotrope_sync::facade::process_wide;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, MEM_RESET, PAGE_NOACCESS, PAGE_READWRITE,
    VirtualAlloc, VirtualFree, VirtualUnlock,
};
use windows_sys::Win32::System::SystemInformation::GetSystemInfo;

use super::{Contents, Movement, Platform};

pub(super) struct Native;

process_wide! {
    /// The page size is asked for once and kept: zero until then.
    static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
}

#[cold]
fn ask_page_size() -> usize {
    let mut info = MaybeUninit::uninit();
    // SAFETY: the structure may be written, and is filled in whole.
    let info = unsafe {
        GetSystemInfo(info.as_mut_ptr());
        info.assume_init()
    };
    let page_size = info.dwPageSize as usize;
    // Relaxed: the value is all there is, and every thread would store the same.
    PAGE_SIZE.store(page_size, Ordering::Relaxed);
    page_size
}

// SAFETY: the system reserves at addresses that it chooses itself, where nothing else is reserved;
// they are multiples of `REGION_ALIGN`, or are not lent.
unsafe impl Platform for Native {
    /// What Windows calls allocation granularity: it has been this on every machine.
    const REGION_ALIGN: usize = 64 * 1024;

    fn page_size() -> usize {
        // Relaxed: see `ask_page_size`.
        match PAGE_SIZE.load(Ordering::Relaxed) {
            0 => ask_page_size(),
            page_size => page_size,
        }
    }

    fn needs_commit() -> bool {
        true
    }

    fn reserve_aligned(size: usize) -> Option<NonNull<u8>> {
        // No part of a reservation can be given back: where an aligned part of a larger one was, one is
        // asked for again, and another thread may come first.
        const TRIES: usize = 4;
        (0..TRIES).find_map(|_| {
            let (start, _) = Self::reserve(size.checked_mul(2)?)?;
            let before = start.addr().get().wrapping_neg() % size;
            // SAFETY: the reservation is ours, and has twice the size; nobody uses it.
            let wanted = unsafe {
                let wanted = start.add(before);
                Self::release(start, 0);
                wanted
            };
            let place = wanted.as_ptr().cast::<c_void>();
            // SAFETY: a new reservation, where there is none, changes no other memory.
            let start = unsafe { VirtualAlloc(place, size, MEM_RESERVE, PAGE_NOACCESS) };
            NonNull::new(start.cast())
        })
    }

    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)> {
        // SAFETY: a new reservation at an address of the system's choice changes no other memory.
        let start = unsafe { VirtualAlloc(ptr::null(), size, MEM_RESERVE, PAGE_NOACCESS) };
        let start = NonNull::new(start.cast::<u8>())?;
        if start.addr().get().is_multiple_of(Self::REGION_ALIGN) {
            return Some((start, Contents::Zero));
        }
        // SAFETY: the reservation is new, and nobody knows of it.
        unsafe { Self::release(start, size) };
        None
    }

    unsafe fn commit(start: NonNull<u8>, size: usize) -> bool {
        let start = start.as_ptr().cast::<c_void>();
        // SAFETY: the range lies in one reservation of ours (caller); what is committed already
        // stays as it is.
        !unsafe { VirtualAlloc(start, size, MEM_COMMIT, PAGE_READWRITE) }.is_null()
    }

    unsafe fn decommit(start: NonNull<u8>, size: usize) -> Contents {
        // SAFETY: the range lies in one reservation of ours, and nobody needs what is in it, nor
        // accesses it (caller).
        let is_gone = unsafe { VirtualFree(start.as_ptr().cast(), size, MEM_DECOMMIT) } != 0;
        if is_gone { Contents::Zero } else { Contents::Unknown }
    }

    unsafe fn discard(start: NonNull<u8>, size: usize) -> Contents {
        let start = start.as_ptr().cast::<c_void>();
        // SAFETY: as above, and the range is committed (caller), which it stays.
        unsafe {
            if !VirtualAlloc(start, size, MEM_RESET, PAGE_READWRITE).is_null() {
                // Pages that are not locked leave the working set by this; it "fails" for them.
                VirtualUnlock(start, size);
            }
        }
        Contents::Unknown
    }

    unsafe fn purge(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: as the caller promises.
        unsafe { Self::decommit(start, size) == Contents::Zero }
    }

    unsafe fn release(start: NonNull<u8>, _: usize) -> bool {
        // SAFETY: `start` is that of a reservation of ours that nobody uses (caller). A size of 0
        // stands for the whole of it, and is the only one that is allowed.
        unsafe { VirtualFree(start.as_ptr().cast(), 0, MEM_RELEASE) != 0 }
    }

    /// A reservation is never made longer: what lies behind it would be another, to be released by
    /// itself.
    unsafe fn grow(_: NonNull<u8>, _: usize, _: usize, _: Movement) -> Option<NonNull<u8>> {
        None
    }
}
