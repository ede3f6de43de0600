//! What many heaps and arenas at once cost the system: mappings, of which Linux allows a process
//! 65,530, and address space.
//!
//! `ALLOTROPE_HEAPS` says how many heaps are made (5,000 unless it is set); `cargo xtask test long`
//! makes 100,000.

#![cfg(all(target_os = "linux", not(any(loom, shuttle, allotrope_asan, allotrope_tsan))))]

use std::alloc::Layout;
use std::fs;
use std::ptr::NonNull;

use allotrope_core::{BestFit, Local, OsPages, Segregated};
use allotrope_heap::LocalHeap;

fn heaps() -> usize {
    let wanted = std::env::var("ALLOTROPE_HEAPS").ok().and_then(|heaps| heaps.parse().ok());
    wanted.unwrap_or(5000)
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// Makes heaps with 100 KB of blocks in each, of which the first bytes are written, and counts the
/// mappings that are added.
fn count<H>(make: impl Fn() -> H, allocate: impl Fn(&H, Layout) -> NonNull<u8>) -> usize {
    let layout = Layout::from_size_align(1000, 8).unwrap();
    let before = mappings();
    let heaps: Vec<H> = (0..heaps())
        .map(|number| {
            let heap = make();
            for _ in 0..100 {
                // SAFETY: the block is new, and longer than that.
                unsafe { allocate(&heap, layout).cast::<usize>().write(number) };
            }
            heap
        })
        .collect();
    let added = mappings().saturating_sub(before);
    drop(heaps);
    added
}

/// One test, for others would add mappings meanwhile.
#[test]
fn thousands_of_heaps_take_few_mappings() {
    let most = heaps() / 5;
    let added = count(
        || LocalHeap::new(OsPages::new()),
        |heap, layout| heap.allocate(layout).unwrap().cast(),
    );
    assert!(added <= most, "{added} mappings for {} LocalHeaps", heaps());
    let added = count(
        || Local::new(BestFit::new(OsPages::new())),
        |heap, layout| heap.allocate(layout).unwrap().cast(),
    );
    assert!(added <= most, "{added} mappings for {} of BestFit", heaps());
    let added = count(
        || Local::new(Segregated::new(OsPages::new())),
        |heap, layout| heap.allocate(layout).unwrap().cast(),
    );
    assert!(added <= most, "{added} mappings for {} of Segregated", heaps());
}
