//! Allocators that several threads share.
//!
//! Goal: two threads that have the same memory; blocks lost because another thread freed them, or
//! because the one that had them is gone; counts that go wrong; a missing ordering.
//!
//! Method: the threaded scenarios of `allotrope-conformance`: blocks that go through a mailbox and
//! through bounded channels, threads that end with blocks in hand, thousands of short lives. At the
//! end everything is freed, the invariants hold, and no byte is in use. `cargo xtask tsan` runs this
//! file under ThreadSanitizer: the suite itself orders nothing that the allocator should.
//!
//! **A new allocator** is a line in `threaded!`: a name, what makes it over an upstream, the largest
//! size and the largest alignment that it serves (what lies beyond is asked for by the contract
//! suite). It needs `check_invariants` and `bytes_used`. **A lock-free one** is a line in `twins!`
//! as well, beside what is trivially right: a strategy with the same blocks behind a lock.
//!
//! `ALLOTROPE_STEPS` says how many calls each thread makes.

use std::env;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{BestFit, FixedSize, Locked, OsPages, Policy, Pool, Segregated, Upstream};

/// Small chunks and regions, so that threads come to the source often.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
}

/// One test per line: all threads at the same allocator.
macro_rules! threaded {
    ($($name:ident: $make:expr, $max_size:expr, $max_align:expr;)*) => {$(
        #[test]
        fn $name() {
            let suite = suite($make, $max_size, $max_align)
                .invariants(|heap| heap.check_invariants().map_err(|broken| broken.to_string()))
                .bytes_used(|heap| heap.bytes_used());
            let report = suite.assert_threads();
            assert!(report.served > 0, "{report:?}");
        }
    )*};
}

threaded! {
    locked_best_fit: locked_best_fit_over, 16 * 1024, 4096;
    locked_best_fit_over_pages: |_| Locked::new(BestFit::new(OsPages::new())), 64 * 1024, 4096;
    locked_fixed_size: locked_fixed_size_over, 48, 16;
    locked_fixed_size_over_pages: |_| Locked::new(FixedSize::<64, _>::new(OsPages::new())), 64, 64;
    locked_segregated: locked_segregated_over, 16 * 1024, 4096;
    pool: pool_over, 16 * 1024, 4096;
    pool_over_pages: |_| Pool::new(OsPages::new()), 64 * 1024, 4096;
}

/// One test per line: the same calls on an allocator and on its twin, which is trivially right.
macro_rules! twins {
    ($($name:ident: $make:expr, $twin:expr, $max_size:expr, $max_align:expr;)*) => {$(
        #[test]
        fn $name() {
            let ours = suite($make, $max_size, $max_align).bytes_used(|heap| heap.bytes_used());
            let twin = suite($twin, $max_size, $max_align).bytes_used(|heap| heap.bytes_used());
            let report = ours.assert_twins(&twin);
            assert!(report.served > 0, "{report:?}");
        }
    )*};
}

twins! {
    best_fit_behind_either_lock: locked_best_fit_over, sleeping_best_fit_over, 16 * 1024, 4096;
    pool_beside_best_fit_behind_a_lock: pool_over, locked_best_fit_over, 4096, 4096;
    pool_beside_segregated_behind_a_lock: pool_over, locked_segregated_over, 16 * 1024, 4096;
}

fn locked_best_fit_over(upstream: TestUpstream) -> Locked<BestFit<Upstream<TestUpstream>, Tiny>> {
    Locked::new(BestFit::with_policy(Upstream::new(upstream)))
}

fn locked_segregated_over(upstream: TestUpstream) -> Locked<Segregated<Upstream<TestUpstream>>> {
    Locked::new(Segregated::with_policy(Upstream::new(upstream)))
}

fn pool_over(upstream: TestUpstream) -> Pool<Upstream<TestUpstream>> {
    Pool::new(Upstream::new(upstream))
}

fn sleeping_best_fit_over(
    upstream: TestUpstream,
) -> Locked<BestFit<Upstream<TestUpstream>, Tiny>, parking_lot::RawMutex> {
    Locked::with_lock(BestFit::with_policy(Upstream::new(upstream)))
}

fn locked_fixed_size_over(
    upstream: TestUpstream,
) -> Locked<FixedSize<48, Upstream<TestUpstream>, Tiny>> {
    Locked::new(FixedSize::with_policy(Upstream::new(upstream)))
}

/// A suite with as many steps as the environment says.
fn suite<A: allocator_api2::alloc::Allocator, F: Fn(TestUpstream) -> A>(
    make: F,
    max_size: usize,
    max_align: usize,
) -> Suite<impl for<'u> Subject<Allocator<'u> = A>> {
    let suite = Suite::new(make).max_size(max_size).max_align(max_align);
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite,
    }
}
