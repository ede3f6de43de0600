//! Fast paths whose instructions `cargo xtask paths` counts one by one.
//!
//! A path is a function that allocates a block of a constant layout, passes the pointer through one
//! `black_box`, frees the block and returns. callgrind collects between its entry and its `ret`
//! (`--toggle-collect=path_*`), whatever it calls included. After a warm-up every call must take
//! the same number of instructions: a call that leaves the fast path takes more, and fails.

mod peers;

use std::process::ExitCode;

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
    let is_steady = paths! {
        "bumpalo_pair": peers::path_bumpalo_pair, &bump;
        // Our contestants: "best_fit_pair": ours::path_best_fit_pair, &best_fit;
    };
    if is_steady { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
