//! Everything that allocates keeps the promises of an allocator.
//!
//! Goal: blocks that overlap, are misaligned, lost, overwritten or counted wrongly; memory that is
//! not given back; state that changes although a call failed.
//!
//! Method: the suite of `allotrope-conformance`, over an upstream that counts and fails, over a
//! buffer, and over the operating system's pages; invariants are checked in every audit.
//!
//! `ALLOTROPE_STEPS` says how many calls each random script makes.

use std::env;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{
    BestFit, Buffer, ClassicPolicy, DefaultPolicy, Event, Events, FixedSize, Hook, Local, Locked,
    OsPages, Policy, Segregated, Strategy, Upstream,
};

/// Small chunks and regions, so that there are many.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
    const LARGEST_CLASS: usize = 256;
}

#[test]
fn best_fit_over_an_upstream() {
    let suite = Suite::new(|upstream| {
        Local::new(BestFit::<_, DefaultPolicy>::with_policy(Upstream::new(upstream)))
    });
    report(
        steps(suite)
            .limits(&[1008, 1024])
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn best_fit_over_many_small_regions() {
    let suite =
        Suite::new(|upstream| Local::new(BestFit::<_, Tiny>::with_policy(Upstream::new(upstream))));
    report(
        steps(suite)
            .max_size(16 * 1024)
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn best_fit_over_pages() {
    let suite = Suite::new(|_| Local::new(BestFit::<_, Tiny>::with_policy(OsPages::new())));
    report(steps(suite).invariants(|heap| invariants(heap.check_invariants())).assert_sent());
}

#[test]
fn best_fit_with_a_hook() {
    let suite = Suite::new(|upstream| {
        Local::new(BestFit::<_, Tiny, _>::with_hook(Upstream::new(upstream), Deaf))
    });
    report(
        steps(suite)
            .max_size(16 * 1024)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn best_fit_in_one_buffer() {
    report(
        steps(Suite::of(InBuffer::<BestFitMaker>::new(256 * 1024)))
            .only_from_upstream(true)
            .fills_again(true)
            .max_live_bytes(240 * 1024)
            .assert(),
    );
}

#[test]
fn best_fit_in_tiny_buffers() {
    for size in [0, 1, 7, 15, 16, 31, 40, 48, 64, 100, 200, 255, 256, 257, 1000] {
        let suite = steps(Suite::of(InBuffer::<BestFitMaker>::new(size)));
        let suite = suite.only_from_upstream(true).fills_again(true).max_size(size.max(16));
        if size >= 48 {
            report(suite.assert());
        } else if let Err(failure) = suite.run() {
            assert_eq!(failure.promise, allotrope_conformance::Promise::Serves, "{failure}");
        }
    }
}

#[test]
fn fixed_size_over_an_upstream() {
    fixed_size::<16>();
    fixed_size::<24>();
    fixed_size::<64>();
}

#[test]
fn fixed_size_near_the_size_of_a_chunk() {
    fixed_size::<500>();
    fixed_size::<1000>();
}

#[test]
fn fixed_size_beyond_a_chunk() {
    fixed_size::<4096>();
    fixed_size::<5000>();
}

fn fixed_size<const SIZE: usize>() {
    let suite = Suite::new(|upstream| {
        Local::new(FixedSize::<SIZE, _, Tiny>::with_policy(Upstream::new(upstream)))
    });
    let block_size = FixedSize::<SIZE, OsPages>::BLOCK_SIZE;
    report(
        steps(suite)
            .limits(&[block_size])
            .max_size(block_size)
            .max_align(1 << block_size.trailing_zeros().min(12))
            .max_live(100)
            .only_from_upstream(true)
            .invariants(|pool| invariants(pool.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn fixed_size_beyond_its_size_is_refused() {
    let suite = Suite::new(|upstream| {
        Local::new(FixedSize::<64, _, Tiny>::with_policy(Upstream::new(upstream)))
    });
    report(
        steps(suite)
            .max_size(512)
            .only_from_upstream(true)
            .invariants(|pool| invariants(pool.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn fixed_size_in_one_buffer() {
    report(
        steps(Suite::of(InBuffer::<FixedSizeMaker>::new(16 * 1024)))
            .max_size(64)
            .max_align(64)
            .only_from_upstream(true)
            .fills_again(true)
            .assert(),
    );
}

#[test]
fn fixed_size_over_pages() {
    let suite =
        Suite::new(|_| Local::new(FixedSize::<96, _, ClassicPolicy>::with_policy(OsPages::new())));
    report(
        steps(suite)
            .max_size(96)
            .max_align(32)
            .invariants(|pool| invariants(pool.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn segregated_over_an_upstream() {
    let suite = Suite::new(|upstream| {
        Local::new(Segregated::<_, DefaultPolicy>::with_policy(Upstream::new(upstream)))
    });
    report(
        steps(suite)
            .limits(&[64, 128, 1024, 4096, 8192])
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn segregated_over_many_small_regions() {
    let suite = Suite::new(|upstream| {
        Local::new(Segregated::<_, Tiny>::with_policy(Upstream::new(upstream)))
    });
    report(
        steps(suite)
            .limits(&[256, 4096])
            .max_size(16 * 1024)
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn segregated_over_pages() {
    let suite =
        Suite::new(|_| Local::new(Segregated::<_, ClassicPolicy>::with_policy(OsPages::new())));
    report(
        steps(suite)
            .limits(&[4096])
            .max_size(20 * 1024)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn segregated_with_a_hook() {
    let suite = Suite::new(|upstream| {
        Local::new(Segregated::<_, Tiny, _>::with_hook(Upstream::new(upstream), Deaf))
    });
    report(
        steps(suite)
            .max_size(16 * 1024)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_sent(),
    );
}

#[test]
fn segregated_in_one_buffer() {
    report(
        steps(Suite::of(InBuffer::<SegregatedMaker>::new(256 * 1024)))
            .only_from_upstream(true)
            .max_size(1024)
            .max_align(64)
            .max_live_bytes(16 * 1024)
            .assert(),
    );
}

#[test]
fn segregated_in_tiny_buffers() {
    for size in (0..300).step_by(7).chain((300..4096).step_by(97)) {
        let suite = steps(Suite::of(InBuffer::<SegregatedMaker>::new(size))).steps(200);
        let suite = suite.only_from_upstream(true).max_size(size.max(16));
        if let Err(failure) = suite.run() {
            assert_eq!(
                failure.promise,
                allotrope_conformance::Promise::Serves,
                "{size}: {failure}"
            );
        }
    }
}

#[test]
fn locked_segregated_as_a_global_allocator() {
    let suite = Suite::global(|upstream| {
        Locked::new(Segregated::<_, Tiny>::with_policy(Upstream::new(upstream)))
    });
    report(steps(suite).max_size(16 * 1024).only_from_upstream(true).assert_shared());
}

#[test]
fn locked_best_fit_with_a_spin_lock() {
    let suite = Suite::new(|upstream| {
        Locked::new(BestFit::<_, Tiny>::with_policy(Upstream::new(upstream)))
    });
    report(
        steps(suite)
            .max_size(16 * 1024)
            .only_from_upstream(true)
            .invariants(|heap| invariants(heap.check_invariants()))
            .assert_shared(),
    );
}

#[test]
fn locked_fixed_size_with_a_lock_that_sleeps() {
    let suite = Suite::new(|upstream| {
        Locked::<_, parking_lot::RawMutex>::with_lock(FixedSize::<48, _, Tiny>::with_policy(
            Upstream::new(upstream),
        ))
    });
    report(
        steps(suite)
            .max_size(48)
            .max_align(16)
            .only_from_upstream(true)
            .invariants(|pool| invariants(pool.check_invariants()))
            .assert_shared(),
    );
}

#[test]
fn locked_best_fit_as_a_global_allocator() {
    let suite = Suite::global(|upstream| {
        Locked::new(BestFit::<_, Tiny>::with_policy(Upstream::new(upstream)))
    });
    report(steps(suite).max_size(16 * 1024).only_from_upstream(true).assert_shared());
}

/// A hook that records events and does nothing with them.
#[derive(Clone, Copy)]
struct Deaf;

impl Hook for Deaf {
    type Record = Events;
    fn on_event(&self, event: &Event) {
        assert!(event.extent >= event.layout.size());
    }
}

/// A strategy in a buffer of the upstream's.
struct InBuffer<M> {
    size: usize,
    maker: std::marker::PhantomData<M>,
}

impl<M> InBuffer<M> {
    fn new(size: usize) -> Self {
        Self { size, maker: std::marker::PhantomData }
    }
}

trait Maker {
    type Strategy<'b>: Strategy;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_>;
}

struct BestFitMaker;

impl Maker for BestFitMaker {
    type Strategy<'b> = BestFit<Buffer<'b>>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        BestFit::new(buffer)
    }
}

struct SegregatedMaker;

impl Maker for SegregatedMaker {
    type Strategy<'b> = Segregated<Buffer<'b>>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        Segregated::new(buffer)
    }
}

struct FixedSizeMaker;

impl Maker for FixedSizeMaker {
    type Strategy<'b> = FixedSize<64, Buffer<'b>>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        FixedSize::new(buffer)
    }
}

impl<M: Maker> Subject for InBuffer<M> {
    type Allocator<'u> = Local<M::Strategy<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        Local::new(M::make(Buffer::new(upstream.buffer(self.size))))
    }

    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        invariants(allocator.check_invariants())
    }
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
