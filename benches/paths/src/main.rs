//! Fast paths whose instructions `cargo xtask paths` counts one by one.
//!
//! A path is a function that allocates a block of a constant layout, passes the pointer through one
//! `black_box`, frees the block and returns. callgrind collects between its entry and its `ret`
//! (`--toggle-collect=path_*`), whatever it calls included. After a warm-up every call must take
//! the same number of instructions: a call that leaves the fast path takes more, and fails.

mod ours;
mod peers;

use std::process::ExitCode;

use allotrope_core::{BestFit, FixedSize, OsPages, Pool, Segregated};
use bench_kit::callgrind;

/// Calls before the first that counts.
const WARM_UP: usize = 1000;

/// Calls that are counted, each by itself.
const COUNTED: usize = 100;

/// Counts the calls of `path` on an allocator; false if they differ.
fn count<A: ?Sized>(name: &str, path: extern "C" fn(&A), allocator: &A) -> bool {
    (0..WARM_UP).for_each(|_| path(allocator));
    callgrind::start();
    let counts: Vec<u64> = (0..COUNTED).map(|_| callgrind::count(|| path(allocator)).1).collect();
    callgrind::stop();
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
    let objects = ours::Objects::new(OsPages::new());
    let is_steady = paths! {
        "bumpalo_pair": peers::path_bumpalo_pair, &bump;
        "best_fit_pair": ours::path_best_fit_pair, &best_fit;
        "fixed_size_pair": ours::path_fixed_size_pair, &fixed_size;
        "fixed_size_pair_in_register": ours::path_fixed_size_pair_in_register, &fixed_size;
        "segregated_pair": ours::path_segregated_pair, &segregated;
        "segregated_pair_in_register": ours::path_segregated_pair_in_register, &segregated;
        "locked_fixed_size_pair": ours::path_locked_fixed_size_pair, &locked;
        "pool_pair": ours::path_pool_pair, &pool;
        "object_pool_pair": ours::path_object_pool_pair, &objects;
    };
    if is_steady { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
