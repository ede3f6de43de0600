//! Heaps keep the promises of an allocator, on every route and through every view.
//!
//! Goal: blocks that overlap, are misaligned, lost, overwritten or counted wrongly; memory that is
//! not given back; state that changes although a call failed.
//!
//! Method: the suite of `allotrope-conformance`, over an upstream that counts and fails, over buffers,
//! and over the operating system's pages; invariants are checked in every audit.
//!
//! `ALLOTROPE_STEPS` says how many calls each random script makes.

use std::env;

use allotrope_conformance::{Promise, Subject, Suite, TestUpstream};
use allotrope_core::{Buffer, ClassicPolicy, DefaultPolicy, Locked, OsPages, Policy, Upstream};
use allotrope_heap::{HeapRc, LocalHeap, Strategy};

/// Low limits and small regions, so that there are many of each.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 4096;
    const GROWTH_SIZE: usize = 32 * 1024;
    const RESERVE_SIZE: usize = 128 * 1024;
    const LARGEST_CLASS: usize = 256;
    const LARGEST_MEDIUM: usize = 12 * 1024;
}

#[test]
fn over_an_upstream() {
    let suite =
        Suite::new(|upstream| LocalHeap::<_, DefaultPolicy>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[8192, 12 * 1024])
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn with_large_blocks() {
    let suite =
        Suite::new(|upstream| LocalHeap::<_, ClassicPolicy>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[4096, 124 * 1024])
            .max_size(300 * 1024)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert(),
    );
}

#[test]
fn with_low_limits_and_small_regions() {
    let suite = Suite::new(|upstream| LocalHeap::<_, Tiny>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[256, 12 * 1024])
            .max_size(32 * 1024)
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn over_pages() {
    let suite = Suite::new(|_| LocalHeap::new(OsPages::new()));
    report(
        steps(suite)
            .sweeps(false)
            .max_size(3 << 19)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn over_small_reservations() {
    let suite = Suite::new(|_| LocalHeap::<_, Tiny>::with_policy(OsPages::new()));
    report(steps(suite).invariants(|heap| invariants(heap.check_invariants())).assert_sent());
}

#[test]
fn through_handles() {
    let suite = Suite::new(|upstream| HeapRc::new(Upstream::new(upstream)).unwrap());
    report(
        steps(suite)
            .failing_calls(0)
            .bytes_limits(&[])
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert(),
    );
}

#[test]
fn behind_a_lock() {
    let suite = Suite::new(|_| Locked::new(LocalHeap::new(OsPages::new())));
    report(steps(suite).invariants(|heap| invariants(heap.check_invariants())).assert_shared());
}

#[test]
fn through_views() {
    for strategy in [Strategy::BestFit, Strategy::Extents, Strategy::Slabs] {
        let heap = LocalHeap::new(OsPages::new());
        let suite = Suite::new(|_| heap.with(strategy)).max_live_bytes(8 << 20);
        let suite = match strategy {
            Strategy::Slabs => suite.max_size(8192).max_align(8192),
            _ => suite.sweeps(false).max_size(64 * 1024),
        };
        report(steps(suite).invariants(|view| invariants(view.heap().check_invariants())).assert());
    }
}

/// A heap in a buffer of the upstream's.
struct InBuffer(usize);

impl Subject for InBuffer {
    type Allocator<'u> = LocalHeap<Buffer<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        LocalHeap::new(Buffer::new(upstream.buffer(self.0)))
    }

    fn check(&self, heap: &Self::Allocator<'_>) -> Result<(), String> {
        invariants(heap.check_invariants())
    }
}

#[test]
fn in_small_buffers() {
    for size in [16 * 1024, 64 * 1024] {
        let suite = steps(Suite::of(InBuffer(size)));
        report(suite.max_size(size / 8).max_live_bytes(size / 8).assert());
    }
}

#[test]
fn in_buffers_with_a_table_of_their_pages() {
    for size in [256 * 1024, 300_001, 1 << 20] {
        let suite = steps(Suite::of(InBuffer(size))).sweeps(false);
        report(suite.max_size(size / 8).max_live_bytes(size / 8).assert());
    }
}

#[test]
fn in_tiny_buffers() {
    for size in [0, 1, 15, 63, 64, 65, 100, 127, 128, 200, 256, 1000, 4000] {
        let suite = steps(Suite::of(InBuffer(size))).max_size(size.max(16));
        if let Err(failure) = suite.run() {
            assert_eq!(failure.promise, Promise::Serves, "{failure}");
        }
    }
}

/// The least of everything.
struct Least;

impl Policy for Least {
    const CHUNK_SIZE: usize = 256;
    const GROWTH_SIZE: usize = 256;
    const RESERVE_SIZE: usize = 256;
    const LARGEST_CLASS: usize = 16;
    const LARGEST_MEDIUM: usize = 4096;
}

/// The most of everything, which no memory meets.
struct Most;

impl Policy for Most {
    const CHUNK_SIZE: usize = 1 << (usize::BITS - 2);
    const GROWTH_SIZE: usize = isize::MAX as usize;
    const RESERVE_SIZE: usize = isize::MAX as usize;
    const LARGEST_CLASS: usize = 8192;
    const LARGEST_MEDIUM: usize = 1 << 30;
}

/// A heap by the greatest figures in a buffer, which lends what it has, however much is asked for.
struct MostInBuffer;

impl Subject for MostInBuffer {
    type Allocator<'u> = LocalHeap<Buffer<'u>, Most>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        LocalHeap::with_policy(Buffer::new(upstream.buffer(1 << 20)))
    }

    fn check(&self, heap: &Self::Allocator<'_>) -> Result<(), String> {
        invariants(heap.check_invariants())
    }
}

#[test]
fn by_extreme_figures() {
    let suite = Suite::new(|upstream| LocalHeap::<_, Least>::with_policy(Upstream::new(upstream)));
    let check = |heap: &LocalHeap<_, Least>| invariants(heap.check_invariants());
    report(suite.sweeps(false).max_size(20_000).invariants(check).assert());
    report(Suite::of(MostInBuffer).sweeps(false).max_live_bytes(100_000).assert());
}

fn invariants(result: Result<(), allotrope_core::Broken>) -> Result<(), String> {
    result.map_err(|broken| broken.to_string())
}

/// The suite with as many steps as the environment says.
fn steps<S: Subject>(suite: Suite<S>) -> Suite<S> {
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite,
    }
}

#[track_caller]
fn report(report: allotrope_conformance::Report) {
    println!("{report:?}");
}
