//! The workloads of `bench-global`.
//!
//! Each is made once (its inputs do not count) and gives a closure that does the work and returns
//! its operation count. They live in a crate of their own so that each contestant's binary only
//! links.

mod block;
mod realistic;
mod single;
mod threads;

use bench_kit::args::Args;
use bench_kit::rng::Rng;

/// Does the work and returns its operation count.
pub type Work = Box<dyn FnMut() -> usize>;

/// Makes a workload's inputs and its work.
pub type Make = fn(&Args) -> Work;

/// Name and maker of every workload, in the order of the tables.
pub fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("box-lifo", single::box_lifo),
        ("box-fifo", single::box_fifo),
        ("box-random", single::box_random),
        ("mixed", single::mixed),
        ("mid-blocks", single::mid_blocks),
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

/// A table of log-normal sizes, so that drawing one costs a load.
fn sizes(seed: u64, median: f64, sigma: f64, lo: usize, hi: usize) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    (0..1 << 16).map(|_| rng.log_normal(median, sigma, lo, hi) as u32).collect()
}
