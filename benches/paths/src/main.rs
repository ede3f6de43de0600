//! Fast paths whose instructions `cargo xtask paths` counts one by one.
//!
//! A path is a function that allocates a block of a constant layout, passes the pointer through one
//! `black_box`, frees the block and returns. callgrind collects between its entry and its `ret`
//! (`--toggle-collect=path_*`), whatever it calls included. After a warm-up every call must take
//! the same number of instructions: a call that leaves the fast path takes more, and fails. A heap
//! looks at its lists every 64 frees or so: two of its calls may take more.

mod ours;
mod peers;

use std::process::ExitCode;

use allocator_api2::alloc::Global;
use allotrope_core::{BestFit, Buffer, FixedSize, Local, OsPages, Pool, Segregated};
use allotrope_heap::LocalHeap;
use allotrope_scope::Arena;
use bench_kit::callgrind;

/// Calls before the first that counts.
const WARM_UP: usize = 1000;

/// Calls that are counted, each by itself.
const COUNTED: usize = 100;

/// How many of the counted calls of a heap may leave the fast path.
const LOOKS: usize = 2;

/// Counts the calls of `path` on an allocator; false if they differ.
fn count<A: ?Sized>(name: &str, path: extern "C" fn(&A), allocator: &A) -> bool {
    (0..WARM_UP).for_each(|_| path(allocator));
    callgrind::start();
    let mut counts: Vec<u64> =
        (0..COUNTED).map(|_| callgrind::count(|| path(allocator)).1).collect();
    callgrind::stop();
    if name.starts_with("local_heap") {
        counts.sort_unstable();
        counts.truncate(COUNTED - LOOKS);
    }
    let (least, most) = (counts.iter().min(), counts.iter().max());
    match (least, most) {
        (Some(least), Some(most)) if least == most => println!("{name} = {least}"),
        _ => eprintln!("{name}: calls take {least:?} to {most:?} instructions"),
    }
    least == most
}

/// Prints `name = instructions` for every path.
macro_rules! paths {
    ($($name:literal: $path:path, $allocator:expr;)*) => {
        [$(count($name, $path, $allocator)),*].into_iter().all(|is_steady| is_steady)
    };
}

fn main() -> ExitCode {
    if !callgrind::is_counting() {
        eprintln!("`cargo xtask paths` runs this under callgrind");
        return ExitCode::FAILURE;
    }
    let bump = peers::bump();
    let best_fit = ours::Best::new(BestFit::new(OsPages::new()));
    let fixed_size = ours::Fixed::new(FixedSize::new(OsPages::new()));
    let segregated = ours::Classes::new(Segregated::new(OsPages::new()));
    let locked = ours::Spin::new(FixedSize::new(OsPages::new()));
    let pool = Pool::new(OsPages::new());
    let (fixed, classes) = (|| FixedSize::new(OsPages::new()), || Segregated::new(OsPages::new()));
    let small = ours::PoolThenClasses::new(Local::new(fixed()), Local::new(classes()));
    let large = ours::ClassesAbovePool::new(Local::new(fixed()), Local::new(classes()));
    let buffer = Buffer::new(Box::leak(Box::new_uninit_slice(4096)));
    let fallback = ours::BufferThenHeap::new(Local::new(FixedSize::new(buffer)), Global);
    let lines = ours::Lines::new(Local::new(fixed()));
    let limited = ours::Limited::new(Local::new(fixed()), 1 << 20);
    let shared_limited = ours::SharedLimited::shared(Local::new(fixed()), 1 << 20);
    let objects = ours::Objects::new(OsPages::new());
    let arena = Arena::with_capacity(1 << 16);
    let last = ours::LastBlock::new();
    let heap = LocalHeap::new(OsPages::new());
    let is_steady = paths! {
        "bumpalo_pair": peers::path_bumpalo_pair, &bump;
        "best_fit_pair": ours::path_best_fit_pair, &best_fit;
        "fixed_size_pair": ours::path_fixed_size_pair, &fixed_size;
        "fixed_size_pair_in_register": ours::path_fixed_size_pair_in_register, &fixed_size;
        "segregated_pair": ours::path_segregated_pair, &segregated;
        "segregated_pair_in_register": ours::path_segregated_pair_in_register, &segregated;
        "local_heap_pair": ours::path_local_heap_pair, &heap;
        "local_heap_pair_in_register": ours::path_local_heap_pair_in_register, &heap;
        "locked_fixed_size_pair": ours::path_locked_fixed_size_pair, &locked;
        "pool_pair": ours::path_pool_pair, &pool;
        "by_size_small_pair_in_register": ours::path_by_size_small_pair_in_register, &small;
        "by_size_large_pair_in_register": ours::path_by_size_large_pair_in_register, &large;
        "fallback_first_pair_in_register": ours::path_fallback_first_pair_in_register, &fallback;
        "align_to_pair_in_register": ours::path_align_to_pair_in_register, &lines;
        "limit_pair_in_register": ours::path_limit_pair_in_register, &limited;
        "shared_limit_pair_in_register": ours::path_shared_limit_pair_in_register, &shared_limited;
        "arena_pair_in_register": ours::path_arena_pair_in_register, &arena;
        "arena_grow": ours::path_arena_grow, &last;
        "object_pool_pair": ours::path_object_pool_pair, &objects;
    };
    if is_steady { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
