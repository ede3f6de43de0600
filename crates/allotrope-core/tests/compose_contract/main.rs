//! What is composed keeps the promises of an allocator, however it is nested.
//!
//! Goal: blocks freed where they did not come from, sizes that fit a block but not its route,
//! bytes that are lost when a block moves from part to part, state that changes although a call
//! failed, memory touched for a size of 0.
//!
//! Method: the suite of `allotrope-conformance`, over an upstream that counts and fails, which
//! sweeps sizes around the limits and every size that fits; then the corners by hand.
//!
//! `ALLOTROPE_STEPS` says how many calls each random script makes.

mod affixes;

use std::alloc::Layout;
use std::env;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_conformance::{Promise, Subject, Suite, TestUpstream};
use allotrope_core::{
    Affix, AlignTo, AllocError, AskSecond, BestFit, Buffer, BySize, Fallback, FixedSize, Limit,
    Local, Locked, Null, Owns, Policy, Segregated, Upstream,
};

/// Small chunks and regions, so that there are many.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
    const LARGEST_CLASS: usize = 256;
}

/// Best fit in a buffer of the upstream's.
type InBuffer<'u> = Local<BestFit<Buffer<'u>>>;
/// Blocks of 64 bytes in a buffer of the upstream's.
type PoolInBuffer<'u> = Local<FixedSize<64, Buffer<'u>>>;
/// Best fit over the upstream.
type Best = Local<BestFit<Upstream<TestUpstream>, Tiny>>;
/// Blocks of 64 bytes over the upstream.
type Pool = Local<FixedSize<64, Upstream<TestUpstream>, Tiny>>;

fn in_buffer(upstream: &TestUpstream, size: usize) -> InBuffer<'_> {
    Local::new(BestFit::new(Buffer::new(upstream.buffer(size))))
}

fn pool_in_buffer(upstream: &TestUpstream, size: usize) -> PoolInBuffer<'_> {
    Local::new(FixedSize::new(Buffer::new(upstream.buffer(size))))
}

fn best(upstream: &TestUpstream) -> Best {
    Local::new(BestFit::with_policy(Upstream::new(upstream.clone())))
}

fn pool(upstream: &TestUpstream) -> Pool {
    Local::new(FixedSize::with_policy(Upstream::new(upstream.clone())))
}

/// A [`Subject`] for each way to make an allocator.
macro_rules! subjects {
    ($($name:ident: $type:ty = |$upstream:ident| $make:expr;)*) => {$(
        struct $name;

        impl Subject for $name {
            type Allocator<'u> = $type;

            fn make<'u>(&self, $upstream: &'u TestUpstream) -> $type {
                $make
            }
        }
    )*};
}

/// A fallback whose second part may have its memory from the suite's upstream.
fn then<A: Owns, B>(first: A, second: B) -> Fallback<A, B> {
    // SAFETY: the upstream lends what it has from the global allocator, and has nothing from its
    // buffers; none of the parts knows the fallback.
    unsafe { Fallback::new_unchecked(first, second) }
}

/// A fallback whose first part may have its memory from the suite's upstream.
fn with_reserve<A, B: Owns>(first: A, second: B) -> Fallback<A, B, AskSecond> {
    // SAFETY: as for `then`.
    unsafe { Fallback::asking_second_unchecked(first, second) }
}

subjects! {
    BufferThenUpstream: Fallback<InBuffer<'u>, TestUpstream> =
        |upstream| then(in_buffer(upstream, 8192), upstream.clone());
    PoolThenBestFit: Fallback<PoolInBuffer<'u>, Best> =
        |upstream| then(pool_in_buffer(upstream, 2048), best(upstream));
    ThreeBuffers: Fallback<Fallback<InBuffer<'u>, PoolInBuffer<'u>>, InBuffer<'u>> =
        |upstream| Fallback::new(
            Fallback::new(in_buffer(upstream, 1024), pool_in_buffer(upstream, 4096)),
            in_buffer(upstream, 32 * 1024),
        );
    LockedThenUpstream: Fallback<Locked<Segregated<Buffer<'u>>>, TestUpstream> =
        |upstream| then(
            Locked::new(Segregated::new(Buffer::new(upstream.buffer(16 * 1024)))),
            upstream.clone(),
        );
    ThreeSizes: BySize<64, Fallback<PoolInBuffer<'u>, Best>, BySize<1000, Best, TestUpstream>> =
        |upstream| BySize::new(
            then(pool_in_buffer(upstream, 4096), best(upstream)),
            BySize::new(best(upstream), upstream.clone()),
        );
    LimitedNest: Limit<Fallback<InBuffer<'u>, BySize<64, Pool, Limit<TestUpstream>>>> =
        |upstream| Limit::new(
            then(
                in_buffer(upstream, 2048),
                BySize::new(pool(upstream), Limit::new(upstream.clone(), 100_000)),
            ),
            200_000,
        );
    AffixedNest: Affix<Fallback<Affix<InBuffer<'u>, u64>, BySize<64, Pool, Best>>, u8, u32> =
        |upstream| {
            let first = Affix::new(in_buffer(upstream, 4096), 7_u64, ());
            let second = BySize::new(pool(upstream), best(upstream));
            Affix::new(then(first, second), 1, 2)
        };
    PoolThenUpstream: Fallback<allotrope_core::Pool<Buffer<'u>>, TestUpstream> =
        |upstream| then(
            allotrope_core::Pool::new(Buffer::new(upstream.buffer(16 * 1024))),
            upstream.clone(),
        );
    UpstreamThenReserve: Fallback<Limit<TestUpstream>, InBuffer<'u>, AskSecond> =
        |upstream| with_reserve(
            Limit::new(upstream.clone(), 5000),
            in_buffer(upstream, 8192),
        );
    BufferHeapReserve: Fallback<PoolInBuffer<'u>, Fallback<Limit<Best>, InBuffer<'u>, AskSecond>> =
        |upstream| then(
            pool_in_buffer(upstream, 1024),
            with_reserve(
                Limit::new(best(upstream), 4000),
                in_buffer(upstream, 16 * 1024),
            ),
        );
    ReserveFirst: Fallback<Fallback<PoolInBuffer<'u>, InBuffer<'u>, AskSecond>, TestUpstream> =
        |upstream| then(
            Fallback::asking_second(pool_in_buffer(upstream, 1024), in_buffer(upstream, 2048)),
            upstream.clone(),
        );
    LimitFirst: Fallback<Limit<InBuffer<'u>>, TestUpstream> =
        |upstream| then(Limit::new(in_buffer(upstream, 8192), 3000), upstream.clone());
}

#[test]
fn a_buffer_and_then_the_upstream() {
    steps(Suite::of(BufferThenUpstream)).max_size(16 * 1024).only_from_upstream(true).assert_sent();
}

#[test]
fn a_pool_and_then_best_fit() {
    steps(Suite::of(PoolThenBestFit)).max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn three_buffers_one_after_the_other() {
    steps(Suite::of(ThreeBuffers))
        .max_size(2048)
        .max_align(64)
        .max_live_bytes(12 * 1024)
        .only_from_upstream(true)
        .assert_sent();
}

#[test]
fn a_locked_buffer_and_then_the_upstream() {
    steps(Suite::of(LockedThenUpstream)).max_size(4096).assert_shared();
}

#[test]
fn a_pool_in_a_buffer_and_then_the_upstream() {
    steps(Suite::of(PoolThenUpstream)).max_size(4096).only_from_upstream(true).assert_shared();
}

#[test]
fn the_upstream_and_then_a_reserve() {
    let suite = steps(Suite::of(UpstreamThenReserve)).max_size(4096).only_from_upstream(true);
    suite.bytes_used(|memory| memory.first().used()).assert_sent();
}

#[test]
fn a_buffer_then_the_heap_then_a_reserve() {
    let suite = steps(Suite::of(BufferHeapReserve)).max_size(4096).only_from_upstream(true);
    let heap_and_reserve = |heap: &Limit<Best>, reserve: &InBuffer<'_>| {
        heap.used() + heap.allocator().bytes_used() + reserve.bytes_used()
    };
    suite
        .bytes_used(move |memory| {
            let rest = memory.second();
            rest.with_second(|reserve| heap_and_reserve(rest.first(), reserve))
                + memory.with_first(Local::bytes_used)
        })
        .assert_sent();
}

#[test]
fn a_fallback_with_a_reserve_before_another() {
    steps(Suite::of(ReserveFirst)).max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn a_pool_for_small_sizes() {
    // The pool refuses small sizes at large alignments, and blocks that shrink to those.
    steps(Suite::new(|upstream| BySize::<64, _, _>::new(pool(&upstream), upstream)))
        .max_size(4096)
        .only_from_upstream(true)
        .assert_sent();
}

#[test]
fn a_limit_at_no_class_of_any_part() {
    steps(Suite::new(|upstream| BySize::<100, _, _>::new(upstream.clone(), best(&upstream))))
        .limits(&[100])
        .max_size(4096)
        .only_from_upstream(true)
        .assert_sent();
}

#[test]
fn a_limit_below_the_block_of_the_pool() {
    let suite =
        steps(Suite::new(|upstream| BySize::<50, _, _>::new(pool(&upstream), best(&upstream))))
            .limits(&[50]);
    suite.max_size(1024).only_from_upstream(true).assert_sent();
}

#[test]
fn limits_at_both_ends() {
    steps(Suite::new(|upstream| BySize::<0, _, _>::new(pool(&upstream), upstream)))
        .max_size(1024)
        .only_from_upstream(true)
        .assert_sent();
    steps(Suite::new(|upstream| {
        BySize::<{ usize::MAX }, _, _>::new(best(&upstream), pool(&upstream))
    }))
    .max_size(1024)
    .only_from_upstream(true)
    .assert_sent();
}

#[test]
fn three_sizes_the_smallest_with_a_fallback() {
    let suite = steps(Suite::of(ThreeSizes)).limits(&[64, 1000]);
    suite.max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn a_limit_of_the_upstream() {
    for limit in [0, 1, 5000, 1 << 20, usize::MAX] {
        let suite = steps(Suite::new(|upstream| Limit::new(best(&upstream), limit)));
        let suite = suite.max_size(4096).only_from_upstream(true).bytes_used(Limit::used);
        match suite.run_sent() {
            Err(failure) if limit < 5000 => assert_eq!(failure.promise, Promise::Serves, "{limit}"),
            Err(failure) => panic!("{limit}: {failure}"),
            Ok(report) => println!("{report:?}"),
        }
    }
}

#[test]
fn a_limit_that_threads_share() {
    let suite = steps(Suite::new(|upstream| Limit::shared(upstream, 100_000)));
    suite.max_size(4096).bytes_used(Limit::used).assert_shared();
}

#[test]
fn limits_around_and_inside_of_a_nest() {
    let suite = steps(Suite::of(LimitedNest)).limits(&[64]).bytes_used(|memory| memory.used());
    suite.max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn a_limited_buffer_and_then_the_upstream() {
    let suite = steps(Suite::of(LimitFirst)).bytes_used(|memory| memory.with_first(Limit::used));
    suite.max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn blocks_on_cache_lines() {
    let suite = steps(Suite::new(|upstream| AlignTo::<64, _>::new(best(&upstream))));
    suite.max_size(4096).only_from_upstream(true).assert_sent();
    let suite = steps(Suite::new(AlignTo::<1, _>::new));
    suite.max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn cache_lines_by_size_and_with_a_limit() {
    let suite = steps(Suite::new(|upstream: TestUpstream| {
        let small = AlignTo::<32, _>::new(pool(&upstream));
        AlignTo::<16, _>::new(Limit::new(BySize::<64, _, _>::new(small, upstream), 100_000))
    }));
    suite.max_size(4096).only_from_upstream(true).assert_sent();
}

#[test]
fn what_the_first_part_refuses_moves_to_the_second_and_back_only_when_it_must() {
    let (mut first, mut second) = (bytes::<1024>(), bytes::<4096>());
    let pool = Local::new(FixedSize::<64, _>::new(Buffer::new(&mut second)));
    let memory = Fallback::new(Local::new(BestFit::new(Buffer::new(&mut first))), pool);
    let used = || (memory.with_first(Local::bytes_used), memory.second().bytes_used());
    let (small, large) = (layout(64, 8), layout(960, 8));
    let filler = memory.allocate(large).unwrap();
    let block = memory.allocate(small).unwrap();
    assert_eq!(used(), (960, 64));
    // SAFETY: each block is live with the layout it was made for, here and below.
    unsafe { memory.deallocate(filler.cast(), large) };
    // SAFETY: as above.
    let block = unsafe { memory.shrink(block.cast(), small, layout(32, 8)) }.unwrap();
    assert_eq!(used(), (0, 64));
    // SAFETY: as above; the pool has no block for 65 bytes.
    let block = unsafe { memory.grow_zeroed(block.cast(), layout(32, 8), layout(65, 8)) }.unwrap();
    assert_eq!(used(), (80, 0));
    // SAFETY: as above; neither has one for 2000.
    let failed = unsafe { memory.grow(block.cast(), layout(65, 8), layout(2000, 8)) };
    assert_eq!((failed, used()), (Err(AllocError), (80, 0)));
    // SAFETY: as above.
    unsafe { memory.deallocate(block.cast(), layout(65, 8)) };
    assert_eq!(used(), (0, 0));
}

#[test]
fn owners_know_their_blocks_and_no_others() {
    let (mut first, mut second) = (bytes::<1024>(), bytes::<1024>());
    let [first, second] = [&mut first, &mut second].map(|bytes| BestFit::new(Buffer::new(bytes)));
    let memory = Fallback::new(Local::new(first), Local::new(second));
    let of_both = [900, 800].map(|size| memory.allocate(layout(size, 1)).unwrap().cast::<u8>());
    let foreign = Global.allocate(layout(10, 1)).unwrap().cast::<u8>();
    assert_eq!(of_both.map(|block| memory.owns(block, layout(1, 1))), [true; 2]);
    assert_eq!(of_both.map(|block| memory.second().owns(block, layout(1, 1))), [false, true]);
    assert!(!memory.owns(foreign, layout(10, 1)));
    // SAFETY: the block was allocated above.
    unsafe { Global.deallocate(foreign, layout(10, 1)) };
}

#[test]
fn whichever_part_is_asked_both_know_their_blocks() {
    let (mut first, mut second) = (bytes::<4096>(), bytes::<1024>());
    let pool = allotrope_core::Pool::new(Buffer::new(&mut first));
    let reserve = Local::new(BestFit::new(Buffer::new(&mut second)));
    let memory = Fallback::asking_second(pool, reserve);
    let used = || (memory.first().bytes_used(), memory.with_second(Local::bytes_used));
    let small = memory.allocate(layout(64, 8)).unwrap().cast::<u8>();
    let rest: Vec<_> = std::iter::from_fn(|| memory.first().allocate(layout(64, 8)).ok()).collect();
    let spare = memory.allocate(layout(64, 8)).unwrap().cast::<u8>();
    assert_eq!(used(), (64 * (rest.len() + 1), 64));
    assert_eq!([small, spare].map(|block| memory.owns(block, layout(64, 8))), [true; 2]);
    // SAFETY: each block is live with this layout, and freed once.
    unsafe { memory.deallocate(small, layout(64, 8)) };
    assert_eq!(used(), (64 * rest.len(), 64));
    // SAFETY: as above.
    unsafe { memory.deallocate(spare, layout(64, 8)) };
    assert_eq!(used(), (64 * rest.len(), 0));
}

#[test]
fn neighbours_own_their_halves() {
    let mut bytes = bytes::<1024>();
    let (low, high) = bytes.split_at_mut(512);
    let border = NonNull::from(&mut high[0]).cast::<u8>();
    let [low, high] = [low, high].map(|bytes| Local::new(BestFit::new(Buffer::new(bytes))));
    assert!(!low.owns(border, layout(1, 1)) && high.owns(border, layout(1, 1)));
}

#[test]
fn blocks_move_across_the_limit_with_their_bytes() {
    let pool = Local::new(FixedSize::<64, _>::new(Upstream::new(Global)));
    let best_fit = Local::new(BestFit::new(Upstream::new(Global)));
    let memory = BySize::<64, _, _>::new(pool, best_fit);
    let used = || (memory.small().bytes_used(), memory.large().bytes_used());
    let block = memory.allocate_zeroed(layout(64, 8)).unwrap();
    assert_eq!((block.len(), used()), (64, (64, 0)));
    // SAFETY: the block is live with this layout, here and below.
    unsafe { block.cast::<u8>().write_bytes(7, 64) };
    // SAFETY: as above.
    let block = unsafe { memory.grow_zeroed(block.cast(), layout(64, 8), layout(65, 16)) }.unwrap();
    assert_eq!(used(), (0, 80));
    // SAFETY: 64 bytes were written, and at least one zeroed.
    let ends = unsafe { [63, 64].map(|at| block.cast::<u8>().add(at).read()) };
    assert_eq!(ends, [7, 0]);
    // SAFETY: as above.
    let block = unsafe { memory.shrink(block.cast(), layout(65, 16), layout(3, 1)) }.unwrap();
    assert_eq!(used(), (64, 0));
    // SAFETY: as above.
    unsafe { memory.deallocate(block.cast(), layout(3, 1)) };
    assert_eq!(used(), (0, 0));
}

#[test]
fn a_limit_counts_what_was_asked_for() {
    let mut bytes = bytes::<1024>();
    let memory = Limit::new(Local::new(BestFit::new(Buffer::new(&mut bytes))), 700);
    let block = memory.allocate(layout(100, 8)).unwrap();
    assert_eq!((block.len(), memory.used()), (100, 100));
    let refused = memory.allocate(layout(601, 1));
    let impossible = memory.allocate(layout(isize::MAX as usize, 1));
    assert_eq!([refused, impossible, memory.allocate(layout(600, 1 << 30))], [Err(AllocError); 3]);
    // SAFETY: the block is live with the layout it was made for, here and below.
    let refused = unsafe { memory.grow(block.cast(), layout(100, 8), layout(701, 8)) };
    assert_eq!((refused, memory.used()), (Err(AllocError), 100));
    // SAFETY: as above.
    let block = unsafe { memory.grow(block.cast(), layout(100, 8), layout(700, 8)) }.unwrap();
    memory.set_limit(50);
    // SAFETY: as above.
    let block = unsafe { memory.shrink(block.cast(), layout(700, 8), layout(60, 8)) }.unwrap();
    assert_eq!((block.len(), memory.used(), memory.limit()), (60, 60, 50));
    assert_eq!(memory.allocate(layout(1, 1)), Err(AllocError));
    // SAFETY: as above.
    unsafe { memory.deallocate(block.cast(), layout(60, 8)) };
    assert_eq!(memory.used(), 0);
    memory.set_limit(usize::MAX);
    assert_eq!(memory.allocate(layout(isize::MAX as usize, 1)), Err(AllocError));
    assert_eq!(memory.used(), 0);
}

#[test]
fn raised_alignments_hold_for_every_call_and_may_fit_no_memory() {
    let lines = AlignTo::<4096, _>::new(Global);
    let on_a_line = |block: NonNull<[u8]>| block.addr().get().is_multiple_of(4096);
    let block = lines.allocate(layout(1, 1)).unwrap();
    assert_eq!((on_a_line(block), block.len()), (true, 1));
    // SAFETY: the block is live with the layout it was made for, here and below.
    let block = unsafe { lines.grow(block.cast(), layout(1, 1), layout(9000, 8192)) }.unwrap();
    assert_eq!((on_a_line(block), block.len()), (true, 9000));
    let largest = layout(isize::MAX as usize, 1);
    // SAFETY: as above.
    let failed = unsafe { lines.grow(block.cast(), layout(9000, 8192), largest) };
    assert_eq!([failed, lines.allocate(largest)], [Err(AllocError); 2]);
    // SAFETY: as above.
    let block = unsafe { lines.shrink(block.cast(), layout(9000, 8192), layout(5, 1)) }.unwrap();
    assert_eq!((on_a_line(block), block.len()), (true, 5));
    // SAFETY: as above.
    unsafe { lines.deallocate(block.cast(), layout(5, 1)) };
    assert!(on_a_line(lines.allocate(layout(0, 1)).unwrap()));
}

#[test]
fn null_refuses_all_but_nothing() {
    assert_eq!(Null.allocate(layout(1, 1)), Err(AllocError));
    assert_eq!(Null.allocate_zeroed(layout(1, 1)), Err(AllocError));
    sizes_of_zero_touch_nothing(&Null);
    let memory = BySize::<100, _, _>::new(Global, Null);
    let block = memory.allocate(layout(100, 1)).unwrap();
    // SAFETY: the block is live with this layout.
    let failed = unsafe { memory.grow(block.cast(), layout(100, 1), layout(101, 1)) };
    assert_eq!(failed, Err(AllocError));
    // SAFETY: as above.
    unsafe { memory.deallocate(block.cast(), layout(100, 1)) };
}

#[test]
fn sizes_of_zero_reach_no_part() {
    let empty = Local::new(BestFit::new(Buffer::new(&mut [])));
    sizes_of_zero_touch_nothing(&then(empty, Untouchable));
    sizes_of_zero_touch_nothing(&BySize::<8, _, _>::new(Untouchable, Untouchable));
    sizes_of_zero_touch_nothing(&Limit::new(Untouchable, 0));
    sizes_of_zero_touch_nothing(&Affix::new(Untouchable, 1_u8, 1_u8));
    sizes_of_zero_touch_nothing(&AlignTo::<64, _>::new(Untouchable));
}

fn sizes_of_zero_touch_nothing(memory: &impl Allocator) {
    for align in [1, 16, 4096] {
        let (none, other) = (layout(0, align), layout(0, 32));
        for block in [memory.allocate(none), memory.allocate_zeroed(none)] {
            let block = block.unwrap();
            assert_eq!((block.len(), block.addr().get() % align), (0, 0));
            // SAFETY: the block is live with this layout, here and below.
            let block = unsafe { memory.grow(block.cast(), none, other) }.unwrap();
            // SAFETY: as above.
            let block = unsafe { memory.shrink(block.cast(), other, none) }.unwrap();
            assert_eq!((block.len(), block.addr().get() % align), (0, 0));
            // SAFETY: as above.
            unsafe { memory.deallocate(block.cast(), none) };
        }
    }
}

/// An allocator that nobody may call.
struct Untouchable;

// SAFETY: it has no blocks.
unsafe impl Allocator for Untouchable {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        panic!("asked for {layout:?}")
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, layout: Layout) {
        panic!("given {layout:?}")
    }
}

fn bytes<const SIZE: usize>() -> [MaybeUninit<u8>; SIZE] {
    [const { MaybeUninit::uninit() }; SIZE]
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The suite with as many steps as the environment says, or a few: there are many nestings.
fn steps<S: Subject>(suite: Suite<S>) -> Suite<S> {
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite.steps(3000),
    }
}
