//! The pool keeps the promises of an allocator, on one thread and on several.
//!
//! Goal and method: as in `contract.rs`.

use std::env;
use std::mem::MaybeUninit;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{
    Buffer, ClassicPolicy, DefaultPolicy, Event, Events, Hook, OsPages, Policy, Pool, Source,
    Upstream,
};

/// Small chunks and regions, so that there are many.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
}

/// Chunks that hold one of the largest blocks.
struct Small;

impl Policy for Small {
    const CHUNK_SIZE: usize = 8 * 1024;
    const GROWTH_SIZE: usize = 32 * 1024;
    const RESERVE_SIZE: usize = 1 << 30;
}

#[test]
fn pool_over_an_upstream() {
    let suite =
        Suite::new(|upstream| Pool::<_, DefaultPolicy>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[16, 2048, 4096, 8192])
            .only_from_upstream(true)
            .invariants(at_rest)
            .assert_shared(),
    );
}

#[test]
fn pool_over_many_small_regions() {
    let suite = Suite::new(|upstream| Pool::<_, Small>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[16, 2048, 4096, 8192])
            .max_size(16 * 1024)
            .only_from_upstream(true)
            .invariants(at_rest)
            .assert_shared(),
    );
}

#[test]
fn pool_of_tiny_chunks_refuses_what_does_not_fit_them() {
    let suite = Suite::new(|upstream| Pool::<_, Tiny>::with_policy(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[16, 512, 1024])
            .max_size(2048)
            .only_from_upstream(true)
            .invariants(at_rest)
            .assert_shared(),
    );
}

#[test]
fn pool_over_pages() {
    let suite = Suite::new(|_| Pool::<_, ClassicPolicy>::with_policy(OsPages::new()));
    report(steps(suite).limits(&[4096]).max_size(4500).invariants(at_rest).assert_shared());
}

#[test]
fn pool_as_a_global_allocator() {
    let suite = Suite::global(|upstream| Pool::<_, Small>::with_policy(Upstream::new(upstream)));
    report(steps(suite).max_size(16 * 1024).only_from_upstream(true).assert_shared());
}

#[test]
fn pool_with_a_hook() {
    let suite =
        Suite::new(|upstream| Pool::<_, Small, _>::with_hook(Upstream::new(upstream), Deaf));
    report(steps(suite).max_size(16 * 1024).invariants(at_rest).assert_shared());
}

#[test]
fn pool_in_one_buffer() {
    for size in [16 * 1024, 64 * 1024 - 8, 1024 * 1024 + 1] {
        report(
            steps(Suite::of(InBuffer { size }))
                .max_size(4096)
                .only_from_upstream(true)
                .max_live_bytes(size / 2)
                .assert(),
        );
    }
}

#[test]
fn pool_in_small_and_odd_buffers() {
    for size in [0, 1, 7, 15, 16, 100, 255, 256, 500, 600, 700, 800, 1000, 1023, 2048, 3333, 5000] {
        let suite = steps(Suite::of(InBuffer { size }));
        let suite = suite.only_from_upstream(true).max_size(size.clamp(16, 64)).max_align(64);
        if size >= 2048 {
            report(suite.assert());
        } else if let Err(failure) = suite.run() {
            assert_eq!(failure.promise, allotrope_conformance::Promise::Serves, "{failure}");
        }
    }
}

#[test]
fn buffers_serve_what_they_are_said_to() {
    /// Where it starts decides how much is lost to alignment: at a multiple of this, little is.
    const START: usize = 64 * 1024;
    let mut memory = vec![MaybeUninit::uninit(); START + 256 * 1024];
    let start = memory.as_ptr().align_offset(START);
    let mut served = |size, sizes: &[usize]| {
        let pool = Pool::new(Buffer::new(&mut memory[start..start + size]));
        for &size in sizes {
            let layout = std::alloc::Layout::from_size_align(size, 1).unwrap();
            let block = pool.allocate(layout).unwrap_or_else(|_| panic!("{size}"));
            // SAFETY: the block is new.
            unsafe { block.cast::<u8>().write_bytes(1, block.len()) };
        }
    };
    served(1024, &[16, 32, 64]);
    served(4096, &[16, 128, 256]);
    served(16 * 1024, &[16, 32, 64, 128, 256, 512]);
    served(64 * 1024, &[16, 32, 64, 128, 256, 512, 1024, 2048]);
    served(256 * 1024, &[16, 32, 64, 128, 256, 512, 1024, 2048, 4096]);
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

/// A pool in a buffer of the upstream's.
struct InBuffer {
    size: usize,
}

impl Subject for InBuffer {
    type Allocator<'u> = Pool<Buffer<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        Pool::new(Buffer::new(upstream.buffer(self.size)))
    }

    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        at_rest(allocator)
    }
}

fn at_rest<S: Source, P: Policy, H: Hook>(pool: &Pool<S, P, H>) -> Result<(), String> {
    // SAFETY: the suite asks when its threads are done.
    unsafe { pool.check_at_rest() }.map_err(|broken| broken.to_string())
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
