//! Best fit keeps its promises for as long as one cares to wait.
//!
//! Goal: what breaks only after millions of calls, and is seen at once.
//!
//! Method: the random scripts of `allotrope-conformance`, with the invariants checked after each of
//! the first 100,000 calls of a seed and every 1,024th one after.
//!
//! `ALLOTROPE_CALLS` says how many calls all scripts make together: `cargo xtask test long` makes
//! 100 million of them.

use std::env;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{BestFit, Buffer, Local, Policy, Upstream};

/// Small regions, so that there are many.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
    const LARGEST_CLASS: usize = 256;
}

/// How many seeds each of the two tests has.
const SEEDS: u64 = 25;

#[test]
fn best_fit_in_a_buffer_with_a_tail() {
    run(Suite::of(InBuffer).max_live_bytes(1 << 20).fills_again(true));
}

#[test]
fn best_fit_over_many_small_regions() {
    let suite =
        Suite::new(|upstream| Local::new(BestFit::<_, Tiny>::with_policy(Upstream::new(upstream))));
    run(suite
        .max_live_bytes(1 << 18)
        .invariants(|heap| heap.check_invariants().map_err(|broken| broken.to_string())));
}

fn run<S: Subject>(suite: Suite<S>) {
    let calls = env::var("ALLOTROPE_CALLS").map_or(50_000, |calls| calls.parse().unwrap());
    let steps = calls / 2 / SEEDS as usize;
    let report = suite
        .seeds(1..=SEEDS)
        .steps(steps)
        .checked_steps(100_000, 1024)
        .max_size(4096)
        .max_align(256)
        .bytes_limits(&[])
        .failing_calls(0)
        .only_from_upstream(true)
        .assert();
    println!("{report:?}");
    assert!(report.operations >= SEEDS * steps as u64, "{report:?}");
}

/// The strategy in a buffer of the upstream's, long enough for a tail and too short for all that is
/// asked for.
struct InBuffer;

impl Subject for InBuffer {
    type Allocator<'u> = Local<BestFit<Buffer<'u>>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        Local::new(BestFit::new(Buffer::new(upstream.buffer(192 * 1024))))
    }

    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        allocator.check_invariants().map_err(|broken| broken.to_string())
    }
}
