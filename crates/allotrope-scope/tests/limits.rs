//! Arenas of every kind under a limit, and over a source that has no more.
//!
//! Goal: a request that is refused while memory lies free in the arena; memory that is charged twice, or
//! not at all; a refusal that changes something that is in use.
//!
//! Method: each arena holds something free, of each kind that there is, and is asked for what fits only
//! in its place. Random calls under random limits keep a count, and every block's contents.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::slice;

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_conformance::{Conditions, TestUpstream};
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_scope::{Arena, ArenaPool, SharedArena};

const MIB: usize = 1 << 20;

/// What sizes of regions over pages are multiples of.
fn unit() -> usize {
    OsPages::page_size().max(OsPages::REGION_ALIGN)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// An upstream that lends no more than `bytes` at once.
fn upstream(bytes: usize) -> TestUpstream {
    let mut conditions = Conditions::default();
    conditions.bytes_limit = Some(bytes);
    TestUpstream::alone(conditions)
}

/// Takes a block and frees it.
fn comes_and_goes(allocator: &impl Allocator, size: usize) -> bool {
    let block = allocator.allocate(layout(size));
    // SAFETY: the block is new, and not used.
    block.inspect(|block| unsafe { allocator.deallocate(block.cast(), layout(size)) }).is_ok()
}

#[test]
fn a_limit_of_512_bytes_serves_small_values_over_pages() {
    let arena = Arena::new();
    arena.set_allocation_limit(Some(512));
    for n in 0..100 {
        assert_eq!(arena.try_alloc(n), Ok(&mut { n }));
    }
    assert_eq!((arena.allocation_limit(), arena.bytes_held()), (Some(512), unit()));
    while arena.try_alloc(1).is_ok() {}
    assert!(arena.bytes_used() > unit() / 2 && arena.bytes_held() == unit(), "{arena:?}");

    let shared = SharedArena::new();
    shared.set_allocation_limit(Some(512));
    assert_eq!(shared.try_alloc(1), Ok(&mut 1));
    assert!(shared.try_alloc([0_u8; 100]).is_ok());
    while shared.try_alloc(1).is_ok() {}
    assert_eq!(shared.bytes_held(), unit());

    let pool = ArenaPool::<OsPages, 1>::keeping(0);
    let arena = pool.get();
    arena.set_allocation_limit(Some(1));
    assert_eq!((arena.try_alloc(1), arena.bytes_held()), (Ok(&mut 1), unit()));
}

#[test]
fn a_limit_of_nothing_allows_nothing() {
    let arena = Arena::new();
    arena.set_allocation_limit(Some(0));
    assert!(arena.try_alloc(1).is_err());
    let shared = SharedArena::new();
    shared.set_allocation_limit(Some(0));
    assert!(shared.try_alloc(1).is_err());
    assert_eq!((arena.bytes_held(), shared.bytes_held()), (0, 0));
}

#[test]
fn without_pages_a_limit_is_kept_to_the_byte() {
    for limit in (0..20_000).step_by(97) {
        let arena = Arena::with_source(Upstream::new(Global));
        arena.set_allocation_limit(Some(limit));
        while arena.try_alloc([1_u64; 9]).is_ok() {}
        assert!(arena.bytes_held() <= limit, "{limit}: {arena:?}");
    }
}

#[test]
fn free_chunks_make_way_where_the_source_has_no_more() {
    let mut arena = Arena::with_source(Upstream::new(upstream(100_000)));
    arena.set_chunk_cap(8192);
    while arena.try_alloc([0_u64; 100]).is_ok() {}
    assert!(arena.bytes_held() > 80_000);
    arena.reset();
    // Behind the current chunk.
    assert!(arena.try_alloc_slice_fill_with(70_000, |_| 0_u8).is_ok(), "{arena:?}");
    arena.reset();
    // A block that had a chunk of its own.
    assert!(arena.try_alloc_slice_fill_with(90_000, |_| 0_u8).is_ok(), "{arena:?}");
    arena.check_invariants().unwrap();
}

#[test]
fn a_free_chunk_that_fits_badly_serves_where_no_other_may_be_had() {
    let arena = Arena::with_source(Upstream::new(Global));
    arena.set_chunk_cap(4096);
    arena.alloc(1_u64);
    assert!(comes_and_goes(&&arena, 100_000));
    let held = arena.bytes_held();
    arena.set_allocation_limit(Some(1));
    assert!(comes_and_goes(&&arena, 20_000));
    let values = (0..).take_while(|n| arena.try_alloc(*n).is_ok()).count();
    assert!(values > 10_000 && arena.bytes_held() == held, "{values}: {arena:?}");
    arena.check_invariants().unwrap();
}

#[test]
fn a_large_block_that_grows_is_charged_once() {
    let arena = Arena::new();
    arena.alloc(1_u64);
    let mut first = ArenaVec::<u8, _>::with_capacity_in(MIB, &arena);
    let mut second = ArenaVec::<u8, _>::with_capacity_in(MIB, &arena);
    first.resize(MIB, 1);
    second.resize(MIB, 2);
    // Where regions do not grow, both places are held for a while.
    let grows = cfg!(all(target_os = "linux", not(allotrope_tsan)));
    let room = if grows { MIB } else { 3 * MIB };
    let limit = arena.bytes_held() + room + unit();
    arena.set_allocation_limit(Some(limit));
    // The older one, and then that which is the older one.
    assert!(first.try_reserve_exact(MIB / 2).is_ok(), "{arena:?}");
    assert!(second.try_reserve_exact(MIB / 2).is_ok() || !grows, "{arena:?}");
    assert!(arena.bytes_held() <= limit.next_multiple_of(unit()));
    assert!(first.iter().all(|byte| *byte == 1) && second.iter().all(|byte| *byte == 2));
    arena.check_invariants().unwrap();
}

#[test]
fn a_free_chunk_makes_way_for_a_large_block_that_grows() {
    let arena = Arena::new();
    arena.alloc(1_u64);
    let mut large = ArenaVec::<u8, _>::with_capacity_in(2 * MIB, &arena);
    large.resize(2 * MIB, 1);
    assert!(comes_and_goes(&&arena, 2 * MIB));
    let limit = arena.bytes_held() + MIB / 2;
    arena.set_allocation_limit(Some(limit));
    let has_grown = large.try_reserve_exact(MIB).is_ok();
    // Elsewhere it is copied, and both places are held.
    assert!(has_grown || cfg!(not(target_os = "linux")) || cfg!(allotrope_tsan), "{arena:?}");
    assert!(arena.bytes_held() <= limit.next_multiple_of(unit()));
    assert!(large.iter().all(|byte| *byte == 1));
}

/// An upstream that allocates from the arena above it whenever that asks for memory.
#[derive(Default)]
struct Meddles {
    arena: RefCell<Weak<Arena<Upstream<&'static Self>>>>,
    lent: Cell<usize>,
    most: Cell<usize>,
}

// SAFETY: every block is one of `Global`.
unsafe impl Allocator for Meddles {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.lent.set(self.lent.get() + layout.size());
        if let Some(arena) = self.arena.take().upgrade() {
            _ = arena.try_alloc_slice_fill_with(60_000, |_| 1_u8);
            *self.arena.borrow_mut() = Rc::downgrade(&arena);
        }
        self.most.set(self.most.get().max(self.lent.get()));
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.lent.set(self.lent.get() - layout.size());
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

#[test]
fn what_the_source_is_asked_for_is_charged_before() {
    let upstream: *mut Meddles = Box::into_raw(Box::default());
    let owner = upstream;
    // SAFETY: it is freed at the end, after the arena over it.
    let upstream: &'static Meddles = unsafe { &*upstream };
    let arena = Rc::new(Arena::with_source(Upstream::new(upstream)));
    arena.alloc(1_u64);
    arena.set_allocation_limit(Some(100_000));
    *upstream.arena.borrow_mut() = Rc::downgrade(&arena);
    // Two of these would be too much.
    assert!(arena.try_alloc_slice_fill_with(60_000, |_| 2_u8).is_ok());
    assert!(upstream.most.get() <= 100_000, "{} lent at once", upstream.most.get());
    assert_eq!(arena.bytes_held(), upstream.lent.get());
    arena.check_invariants().unwrap();
    drop(arena);
    // SAFETY: a box made it, and nobody uses it any more.
    drop(unsafe { Box::from_raw(owner) });
}

#[test]
fn an_older_large_block_that_cannot_grow_stays_in_its_scope() {
    let mut arena = Arena::with_source(Upstream::new(Global));
    arena.alloc(1_u64);
    let blocks = [(); 3].map(|()| arena.allocate(layout(100_000)).unwrap().cast::<u8>());
    let mark = arena.begin_scope();
    let used = arena.bytes_used();
    arena.allocate(layout(100_000)).unwrap();
    for block in blocks {
        let impossible = layout(isize::MAX as usize - 4096);
        // SAFETY: the block is the arena's, with this layout.
        assert!(unsafe { arena.grow(block, layout(100_000), impossible) }.is_err());
        arena.check_invariants().unwrap();
    }
    let last = arena.begin_scope();
    // SAFETY: as above.
    unsafe { arena.grow(blocks[1], layout(100_000), layout(200_000)) }.unwrap();
    arena.check_invariants().unwrap();
    arena.end_scope(last).unwrap();
    assert!(arena.bytes_used() < used + 100_000, "what grew in a scope goes with it");
    arena.end_scope(mark).unwrap();
    arena.check_invariants().unwrap();
}

#[test]
fn what_a_thread_has_free_makes_way_in_a_shared_arena() {
    let mut shared = SharedArena::new();
    let handle = shared.local();
    handle.alloc(1_u64);
    shared.alloc(1_u64);
    shared.set_allocation_limit(Some(2 * MIB));
    for size in [MIB, MIB + MIB / 2, MIB, MIB + MIB / 2] {
        assert!(comes_and_goes(&&handle, size), "{size}: {shared:?}");
        assert!(shared.bytes_held() <= 2 * MIB);
    }
    drop(handle);
    let mut turns = 0;
    while comes_and_goes(&&shared, MIB + turns * MIB / 16) {
        turns += 1;
        assert!(shared.bytes_held() <= 2 * MIB);
        shared.reset();
    }
    assert!(turns > 10, "{turns}: {shared:?}");
}

#[test]
fn memory_that_waited_in_a_pool_makes_way() {
    let pool = ArenaPool::<OsPages, 1>::keeping(8 * MIB);
    for size in [MIB, MIB + MIB / 2, MIB / 4 * 7] {
        let arena = pool.get();
        arena.set_allocation_limit(Some(2 * MIB));
        arena.alloc(1_u64);
        assert!(arena.try_alloc_slice_fill_with(size, |_| 1_u8).is_ok(), "{size}: {arena:?}");
        assert!(arena.bytes_held() <= 2 * MIB);
    }
}

#[cfg(all(not(miri), not(loom)))]
#[test]
fn an_ambient_scope_keeps_the_limit_of_its_arena() {
    use allotrope_scope::ambient::{self, Here};

    let mut arena = Arena::new();
    arena.set_allocation_limit(Some(512));
    ambient::scope_in(&mut arena, || assert!(comes_and_goes(&Here, 100)));
    assert_eq!(arena.bytes_held(), unit());
    arena.set_allocation_limit(Some(2 * MIB));
    for size in [MIB, MIB + MIB / 2, MIB, MIB + MIB / 2] {
        ambient::scope_in(&mut arena, || {
            let kept = Here.allocate(layout(100)).unwrap().cast::<u8>();
            assert!(comes_and_goes(&Here, size), "{size}");
            assert!(!comes_and_goes(&Here, 2 * MIB));
            // SAFETY: the block is in use until now.
            unsafe { Here.deallocate(kept, layout(100)) };
        });
        assert!(arena.bytes_held() <= 2 * MIB);
    }
}

/// Random calls; `bound` says how much may be held, and is asked after each.
fn random_calls<S: Source>(arena: &mut Arena<S>, seed: u64, unit: usize) {
    let mut state = seed;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let mut used: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    let mut refused = 0;
    for number in 0..if cfg!(miri) { 100 } else { 2000 } {
        let number = number as u8;
        let largest = [100, 5000, 60_000][random(3)];
        let new = layout(1 + random(largest));
        match random(20) {
            0 => {
                used.clear();
                arena.reset();
            }
            1 => arena.set_allocation_limit(Some(random(200_000))),
            2 => arena.shrink_to(random(100_000)),
            3..8 if !used.is_empty() => {
                let (start, old, _) = used.swap_remove(random(used.len()));
                // SAFETY: the block is in use.
                unsafe { arena.deallocate(start, old) };
            }
            8..14 if !used.is_empty() => {
                let index = random(used.len());
                let (start, old, byte) = used[index];
                let larger = layout(old.size() + new.size());
                let before = arena.bytes_held();
                // SAFETY: the block is in use.
                match unsafe { arena.grow(start, old, larger) } {
                    Ok(grown) => {
                        // SAFETY: the block is that long, and the bytes are nobody's yet.
                        unsafe { grown.cast::<u8>().add(old.size()).write_bytes(byte, new.size()) };
                        used[index] = (grown.cast(), larger, byte);
                    }
                    Err(_) => assert!(arena.bytes_held() <= before),
                }
            }
            _ => match arena.allocate(new) {
                Ok(block) => {
                    // SAFETY: the block is new.
                    unsafe { block.cast::<u8>().write_bytes(number, new.size()) };
                    used.push((block.cast(), new, number));
                }
                Err(_) => refused += 1,
            },
        }
        let limit = arena.allocation_limit().unwrap_or(usize::MAX);
        // What was held when the limit fell stays, but for what a request made way for.
        let held = arena.bytes_held();
        let sum: usize = arena.chunks().map(|chunk| chunk.size()).sum();
        assert_eq!(held, sum, "not every byte is counted once");
        if limit == usize::MAX || held > limit.next_multiple_of(unit) {
            let before = held;
            _ = arena.allocate(layout(1 << 18)).map(|block| {
                // SAFETY: the block is new.
                unsafe { arena.deallocate(block.cast(), layout(1 << 18)) };
            });
            assert!(limit == usize::MAX || arena.bytes_held() <= before, "more than the limit");
        }
        arena.check_invariants().unwrap();
        for (start, layout, byte) in &used {
            // SAFETY: the block is in use, and was written.
            let bytes = unsafe { slice::from_raw_parts(start.as_ptr(), layout.size()) };
            assert!(bytes.iter().all(|there| there == byte), "a block has changed");
        }
        if used.len() > 40 {
            used.truncate(20);
        }
    }
    assert!(refused > 0);
}

#[test]
fn random_calls_under_random_limits_change_nothing_that_is_in_use() {
    for seed in 1..5 {
        random_calls(&mut Arena::new(), seed, unit());
        random_calls(&mut Arena::with_source(Upstream::new(Global)), seed, 1);
        let upstream = upstream(250_000);
        random_calls(&mut Arena::with_source(Upstream::new(upstream.clone())), seed, 1);
        assert_eq!(upstream.check(), Ok(()));
    }
}
