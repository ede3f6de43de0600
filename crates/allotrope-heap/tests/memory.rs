//! What a process holds that uses heaps for long.
//!
//! Goal: heaps that leave something behind; memory that stays although everything was freed. These
//! tests look at the whole process, so each waits for the other.

#![cfg(target_os = "linux")]

use std::alloc::Layout;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use allotrope_core::OsPages;
use allotrope_heap::LocalHeap;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Addresses that this process has mapped, in bytes.
fn mapped() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}

/// How many of the pages at these addresses have memory.
///
/// Asked page by page, for an emulator's resident memory is mostly its own.
fn resident(pages: &BTreeSet<usize>) -> usize {
    let is_resident = |page: &&usize| {
        let mut state = 0_u8;
        let at = std::ptr::without_provenance_mut(**page);
        // SAFETY: the call writes one byte for one page; an address without one is an error.
        let found = unsafe { libc::mincore(at, 1, (&raw mut state).cast()) };
        found == 0 && state & 1 == 1
    };
    pages.iter().filter(is_resident).count()
}

#[test]
fn many_heaps_leave_nothing_behind() {
    let _alone = alone();
    let count = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    let mut before = 0;
    for n in 0..count {
        let heap = LocalHeap::new(OsPages::new());
        for size in
            [16, 24, 100, 100, 1000, 64, 32, 32, 500, if n % 100 == 0 { 2 << 20 } else { 7 }]
        {
            heap.allocate(Layout::from_size_align(size, 8).unwrap()).unwrap();
        }
        if n == 1000 {
            before = mapped();
        }
    }
    let grown = mapped().saturating_sub(before);
    // Another thread of the tests may get its first arena of glibc's, 64 MiB of addresses.
    assert!(grown < 100 << 20, "{grown} bytes of addresses more");
}

#[test]
fn what_is_freed_goes_back_to_the_system() {
    let _alone = alone();
    let heap = LocalHeap::new(OsPages::new());
    // SAFETY: no condition.
    let page_size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
    let mut pages = BTreeSet::new();
    let mut blocks = Vec::new();
    for n in 0..200_000_usize {
        let layout = Layout::from_size_align(16 + n * 7919 % 1000, 8).unwrap();
        let block = heap.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: the block is ours.
        unsafe { block.write_bytes(1, layout.size()) };
        pages.insert(block.as_ptr().addr() & !(page_size - 1));
        blocks.push((block, layout));
    }
    let most = resident(&pages);
    assert_eq!(most, pages.len());
    assert!(most * page_size > 80 << 20, "{most} pages");
    // In an order that mixes slabs.
    for n in 0..blocks.len() {
        let (block, layout) = blocks[n * 7919 % blocks.len()];
        // SAFETY: allocated above; 7919 is a prime that does not divide the length, so each once.
        unsafe { heap.deallocate(block, layout) };
    }
    let left = resident(&pages);
    assert_eq!(heap.bytes_used(), 0);
    assert!(left * 10 < most, "{left} pages stay of {most}");
}
