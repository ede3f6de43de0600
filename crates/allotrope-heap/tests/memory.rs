//! What a process holds that uses heaps for long.
//!
//! Goal: heaps that leave something behind; memory that stays although everything was freed. These
//! tests look at the whole process, so each waits for the other.

#![cfg(target_os = "linux")]

use std::alloc::Layout;
use std::sync::{Mutex, MutexGuard};

use allotrope_core::OsPages;
use allotrope_heap::LocalHeap;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Pages of this process, mapped or resident, in bytes.
fn pages(field: usize) -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(field).unwrap().parse::<usize>().unwrap() * 4096
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
            before = pages(0);
        }
    }
    let grown = pages(0).saturating_sub(before);
    // Another thread of the tests may get its first arena of glibc's, 64 MiB of addresses.
    assert!(grown < 100 << 20, "{grown} bytes of addresses more");
}

/// Sanitizers keep memory of their own for every address in use.
#[cfg(not(any(allotrope_asan, allotrope_tsan)))]
#[test]
fn what_is_freed_goes_back_to_the_system() {
    let _alone = alone();
    let heap = LocalHeap::new(OsPages::new());
    let before = pages(1);
    let mut blocks = Vec::new();
    for n in 0..200_000_usize {
        let layout = Layout::from_size_align(16 + n * 7919 % 1000, 8).unwrap();
        let block = heap.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: the block is ours.
        unsafe { block.write_bytes(1, layout.size()) };
        blocks.push((block, layout));
    }
    let most = pages(1);
    assert!(most - before > 80 << 20, "{} bytes more", most - before);
    // In an order that mixes slabs.
    for n in 0..blocks.len() {
        let (block, layout) = blocks[n * 7919 % blocks.len()];
        // SAFETY: allocated above; 7919 is a prime that does not divide the length, so each once.
        unsafe { heap.deallocate(block, layout) };
    }
    drop(blocks);
    let left = pages(1).saturating_sub(before);
    assert_eq!(heap.bytes_used(), 0);
    assert!(left < 10 << 20, "{left} bytes stay of {}", most - before);
}
