//! What arenas say that they hold, against the kernel's own figure.
//!
//! Goal: memory that is held and not counted, or counted and given back long ago.
//!
//! Method: arenas of every kind are filled, and every byte is written. The process then has more memory by what
//! the arena uses at least and by what it holds at most, give or take 2 MiB: regions that `OsPages`
//! keeps for the next arena (512 KiB), a huge page, stacks and heaps of threads. It stands alone, because it looks
//! at the whole process.

#![cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    not(any(loom, allotrope_asan, allotrope_tsan))
))]

use std::thread;

use allotrope_core::OsPages;
use allotrope_scope::ambient::{self, Here};
use allotrope_scope::{Arena, ArenaPool, SharedArena};

const MIB: usize = 1 << 20;

const TOLERANCE: usize = 2 * MIB;

/// What each arena is filled with, in bytes.
const FILLED: usize = 40 * MIB;

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * OsPages::page_size()
}

/// Small values, then large ones.
macro_rules! fill {
    ($place:expr) => {{
        (0..FILLED / 2 / 1024).for_each(|n| _ = $place.alloc([n; 128]));
        (0..4).for_each(|_| _ = $place.alloc_slice_fill_with(FILLED / 8, |_| 1_u8));
    }};
}

#[track_caller]
fn agrees(before: usize, used: usize, held: usize) {
    let grown = resident().saturating_sub(before);
    let [grown_mib, used_mib, held_mib] = [grown, used, held].map(|bytes| bytes / MIB);
    let figures = format!("{grown_mib} MiB by the kernel, {used_mib} used, {held_mib} held");
    assert!(grown <= held + TOLERANCE && grown + TOLERANCE >= used, "{figures}");
}

#[test]
fn the_kernel_agrees_with_what_arenas_hold() {
    // What the harness and the first arena need once.
    fill!(Arena::new());
    let before = resident();

    let mut arena = Arena::new();
    fill!(arena);
    assert!(arena.bytes_used() >= FILLED && arena.bytes_held() < FILLED + FILLED / 8);
    agrees(before, arena.bytes_used(), arena.bytes_held());
    arena.reset();
    // What is free stays, and is counted.
    agrees(before, FILLED, arena.bytes_held());
    arena.shrink_to(10 * MIB);
    agrees(before, 0, arena.bytes_held());
    arena.shrink_to(0);
    agrees(before, 0, 0);

    arena.set_allocation_limit(Some(16 * MIB));
    while arena.try_alloc([1_u64; 100]).is_ok() {}
    assert!(arena.bytes_used() > 15 * MIB);
    agrees(before, arena.bytes_used(), 16 * MIB);
    drop(arena);
    agrees(before, 0, 0);

    let mut shared = SharedArena::new();
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| fill!(shared));
        }
    });
    fill!(shared.local());
    assert!(shared.bytes_used() >= 3 * FILLED);
    agrees(before, 3 * FILLED, shared.bytes_held());
    shared.reset();
    shared.shrink_to(0);
    assert_eq!(shared.bytes_held(), 0);
    agrees(before, 0, 0);

    let pool = ArenaPool::<OsPages, 1>::keeping(8 * MIB);
    {
        let arena = pool.get();
        fill!(arena);
        agrees(before, arena.bytes_used(), arena.bytes_held());
    }
    agrees(before, 0, 8 * MIB);
    pool.clear();
    agrees(before, 0, 0);

    let mut arena = Arena::new();
    let kept = ambient::scope_in(&mut arena, || {
        let mut kept = allocator_api2::vec::Vec::new_in(Here);
        kept.resize(FILLED, 1_u8);
        agrees(before, FILLED, 2 * FILLED);
        kept
    });
    // The memory is the block's, and the arena another one.
    assert_eq!(arena.bytes_held(), 0);
    agrees(before, FILLED, 2 * FILLED);
    drop(kept);
    agrees(before, 0, 0);
}
