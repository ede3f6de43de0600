//! Strategies stay sound by any policy that compiles.
//!
//! Goal: sums and products of a policy's figures that wrap around, and figures that no source meets.
//!
//! Method: the suite of `allotrope-conformance` by the least and the greatest figures that the
//! check of a policy lets pass. Those that no memory meets are tried in a buffer, which lends what it
//! has.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use allotrope_conformance::{Promise, Subject, Suite, TestUpstream};
use allotrope_core::{
    BestFit, Buffer, FixedSize, Local, OsPages, Policy, Segregated, SharedObjectPool, Source,
    Strategy, Upstream,
};

/// The least of everything.
struct Least;

impl Policy for Least {
    const CHUNK_SIZE: usize = 256;
    const GROWTH_SIZE: usize = 256;
    const RESERVE_SIZE: usize = 256;
    const LARGEST_CLASS: usize = 16;
    const LARGEST_MEDIUM: usize = 4096;
}

/// The most of everything.
struct Most;

impl Policy for Most {
    const CHUNK_SIZE: usize = 1 << (usize::BITS - 2);
    const GROWTH_SIZE: usize = isize::MAX as usize;
    const RESERVE_SIZE: usize = isize::MAX as usize;
    const LARGEST_CLASS: usize = 8192;
    const LARGEST_MEDIUM: usize = 1 << 30;
}

/// More address space than there is.
struct Wide;

impl Policy for Wide {
    const RESERVE_SIZE: usize = isize::MAX as usize;
}

/// A strategy by the greatest figures in a buffer, which lends what it has, however much is asked for.
trait InBuffer {
    type Strategy<'b>: Strategy;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_>;
}

impl InBuffer for BestFit<Buffer<'static>> {
    type Strategy<'b> = BestFit<Buffer<'b>, Most>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        BestFit::with_policy(buffer)
    }
}

impl InBuffer for FixedSize<1000, Buffer<'static>> {
    type Strategy<'b> = FixedSize<1000, Buffer<'b>, Most>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        FixedSize::with_policy(buffer)
    }
}

impl InBuffer for Segregated<Buffer<'static>> {
    type Strategy<'b> = Segregated<Buffer<'b>, Most>;
    fn make(buffer: Buffer<'_>) -> Self::Strategy<'_> {
        Segregated::with_policy(buffer)
    }
}

/// As a subject of the suite.
struct Made<M>(PhantomData<M>);

impl<M: InBuffer> Subject for Made<M> {
    type Allocator<'u> = Local<M::Strategy<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        Local::new(M::make(Buffer::new(upstream.buffer(64 * 1024))))
    }

    fn check(&self, heap: &Self::Allocator<'_>) -> Result<(), String> {
        heap.check_invariants().map_err(|broken| broken.to_string())
    }
}

#[test]
fn best_fit_by_extreme_figures() {
    over(|upstream| BestFit::<_, Least>::with_policy(Upstream::new(upstream)), 8192);
    over(|_| BestFit::<_, Least>::with_policy(OsPages::new()), 8192);
    over(|_| BestFit::<_, Wide>::with_policy(OsPages::new()), 8192);
    in_buffer::<BestFit<_>>(8192);
}

#[test]
fn fixed_size_by_extreme_figures() {
    over(|upstream| FixedSize::<1000, _, Least>::with_policy(Upstream::new(upstream)), 1000);
    over(|_| FixedSize::<1000, _, Least>::with_policy(OsPages::new()), 1000);
    over(|_| FixedSize::<1000, _, Wide>::with_policy(OsPages::new()), 1000);
    in_buffer::<FixedSize<1000, _>>(1000);
}

#[test]
fn segregated_by_extreme_figures() {
    over(|upstream| Segregated::<_, Least>::with_policy(Upstream::new(upstream)), 16 * 1024);
    over(|_| Segregated::<_, Least>::with_policy(OsPages::new()), 16 * 1024);
    over(|_| Segregated::<_, Wide>::with_policy(OsPages::new()), 16 * 1024);
    in_buffer::<Segregated<_>>(8192);
}

#[test]
fn pools_by_extreme_figures() {
    let pool = SharedObjectPool::<[u64; 4], _, Least>::with_policy(OsPages::new());
    fill(&pool);
    let pool = SharedObjectPool::<[u64; 4], _, Wide>::with_policy(OsPages::new());
    fill(&pool);
    let mut bytes = [MaybeUninit::uninit(); 64 * 1024];
    let pool = SharedObjectPool::<[u64; 4], _, Most>::with_policy(Buffer::new(&mut bytes));
    fill(&pool);
}

fn fill<S: Source, P: Policy>(pool: &SharedObjectPool<[u64; 4], S, P>) {
    let mut numbers: Vec<_> = (0..1000).map_while(|n| pool.try_insert([n; 4]).ok()).collect();
    assert!(numbers.len() > 100);
    numbers.extend((0..3).filter_map(|n| pool.try_insert([n; 4]).ok()));
    assert!(numbers.iter().zip(0..1000).all(|(number, n)| **number == [n; 4]));
}

fn over<S: Strategy>(make: impl Fn(TestUpstream) -> S, max_size: usize) {
    let suite = Suite::new(|upstream| Local::new(make(upstream)));
    let check = |heap: &Local<S>| heap.check_invariants().map_err(|broken| broken.to_string());
    suite.max_size(max_size).max_align(8).sweeps(false).seeds(0..4).invariants(check).assert();
}

fn in_buffer<M: InBuffer>(max_size: usize) {
    let suite = Suite::of(Made::<M>(PhantomData)).max_size(max_size).max_live_bytes(32 * 1024);
    let run = suite.max_align(8).sweeps(false).seeds(0..4).failing_calls(0).run();
    // There are classes for which a buffer has no chunk left.
    if let Err(failure) = run {
        assert_eq!(failure.promise, Promise::Serves, "{failure}");
    }
}
