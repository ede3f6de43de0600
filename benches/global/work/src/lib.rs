//! The workloads of `bench-global`.
//!
//! Each is made once (its inputs do not count) and gives a closure that does the work and returns
//! its operation count. They live in a crate of their own so that each contestant's binary only
//! links.

mod block;
mod realistic;
mod single;
mod threads;

use allocator_api2::alloc::{Allocator, Global};
use bench_kit::args::Args;
use bench_kit::rng::Rng;

/// Does the work and returns its operation count.
pub type Work<'a> = Box<dyn FnMut() -> usize + 'a>;

/// Makes a workload's inputs and its work.
pub type Make = fn(&Args) -> Work<'static>;

/// The same for a workload that has its memory by a handle.
pub type MakeIn<'a, A> = fn(&Args, A) -> Work<'a>;

/// Name and maker of every workload of the global allocator, in the order of the tables.
pub fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("box-lifo", |args| single::box_lifo(args, Global)),
        ("box-fifo", |args| single::box_fifo(args, Global)),
        ("box-random", |args| single::box_random(args, Global)),
        ("mixed", |args| single::mixed(args, Global)),
        ("mid-blocks", |args| single::mid_blocks(args, Global)),
        ("vec-push", realistic::vec_push),
        ("hashmap-string", realistic::hashmap_string),
        ("btreemap", realistic::btreemap),
        ("json", realistic::json),
        ("syn", realistic::syn_parse),
        ("regex", realistic::regex_build),
        ("zeroed", single::zeroed),
        ("realloc", single::realloc_growth),
        ("xmalloc-2t", threads::xmalloc),
        ("larson-2t", threads::larson),
        ("mixed-8t", threads::mixed_eight),
        ("thread-churn", threads::thread_churn),
    ]
}

/// Name and maker of those that any handle serves, in the order of the tables.
pub fn by_handle<'a, A: Allocator + Copy + 'a>() -> Vec<(&'static str, MakeIn<'a, A>)> {
    vec![
        ("box-lifo", single::box_lifo),
        ("box-fifo", single::box_fifo),
        ("box-random", single::box_random),
        ("mixed", single::mixed),
        ("mid-blocks", single::mid_blocks),
        ("vec-push", realistic::vec_push_in),
    ]
}

/// A table of log-normal sizes, so that drawing one costs a load.
fn sizes(seed: u64, median: f64, sigma: f64, lo: usize, hi: usize) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    (0..1 << 16).map(|_| rng.log_normal(median, sigma, lo, hi) as u32).collect()
}
