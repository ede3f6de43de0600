//! Chunks double to a cap, large blocks do not change that, and what is held can be limited and
//! given back.

use std::mem::MaybeUninit;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_conformance::{Suite, TestUpstream};
use allotrope_core::{BestFit, Buffer, Local, OsPages, Source, Upstream};
use allotrope_scope::Arena;
use bumpalo::Bump;

fn sizes<S: Source>(arena: &Arena<S>) -> Vec<usize> {
    arena.chunks().map(|chunk| chunk.size()).collect()
}

#[test]
fn chunks_double_up_to_the_cap() {
    let arena = Arena::with_source(Upstream::new(Global));
    arena.set_chunk_cap(16 * 1024);
    (0..8000).for_each(|n| _ = arena.alloc([n; 1]));
    assert_eq!(sizes(&arena), [4, 4, 8, 16, 16, 16].map(|size| size * 1024));
}

#[test]
fn a_large_block_does_not_make_the_next_chunk_larger() {
    let arena = Arena::new();
    let first = if OsPages::RESERVES_AHEAD { 64 * 1024 } else { 4 * 1024 };
    arena.alloc(1);
    arena.alloc_slice_fill_with(1 << 20, |_| 0_u8);
    // Somewhat more than the first chunk holds.
    (0..first / 8 * 11 / 10).for_each(|n| _ = arena.alloc(n as u64));
    let mut sizes = sizes(&arena);
    sizes.sort();
    assert_eq!(sizes[..2], [first; 2]);
    // What regions are multiples of.
    let unit = OsPages::page_size().max(OsPages::REGION_ALIGN);
    assert!(sizes.len() == 3 && sizes[2] < (1 << 20) + 2 * unit);
}

#[test]
fn many_large_blocks_end_up_in_larger_chunks() {
    let arena = Arena::new();
    (0..400).for_each(|_| _ = arena.alloc_slice_fill_with(60_000, |_| 0_u8));
    assert!(arena.chunks().count() < 60, "{} chunks", arena.chunks().count());
}

#[test]
fn reset_keeps_every_chunk_and_shrink_gives_them_back() {
    let mut arena = Arena::new();
    arena.alloc(1);
    arena.alloc_slice_fill_with(3 << 20, |_| 0_u8);
    (0..100_000).for_each(|n| _ = arena.alloc(n));
    let held = arena.bytes_held();
    arena.reset();
    assert_eq!((arena.bytes_held(), arena.bytes_used()), (held, 0));
    (0..100_000).for_each(|n| _ = arena.alloc(n));
    assert_eq!(arena.bytes_held(), held);
    arena.reset();
    arena.shrink_to(200_000);
    assert!(arena.bytes_held() <= 200_000 && arena.bytes_held() > 0);
    arena.shrink_to(0);
    assert_eq!(arena.bytes_held(), 0);
    assert_eq!(*arena.alloc(7), 7);
}

#[test]
fn shrinking_leaves_what_is_in_use() {
    let mut arena = Arena::new();
    let mark = arena.begin_scope();
    (0..100_000).for_each(|n| _ = arena.alloc(n));
    let held = arena.bytes_held();
    arena.shrink_to(0);
    assert_eq!(arena.bytes_held(), held);
    arena.end_scope(mark).unwrap();
    arena.shrink_to(0);
    assert_eq!(arena.bytes_held(), 0);
}

#[test]
fn a_limit_is_kept() {
    let arena = Arena::new();
    arena.set_allocation_limit(Some(300_000));
    assert_eq!(arena.allocation_limit(), Some(300_000));
    let mut bytes = 0;
    while arena.try_alloc_slice_fill_with(1000, |_| 0_u8).is_ok() {
        bytes += 1000;
    }
    let bound = 300_000_usize.next_multiple_of(OsPages::page_size().max(OsPages::REGION_ALIGN));
    assert!(arena.bytes_held() <= bound && bytes > 200_000, "{bytes}: {arena:?}");
    arena.set_allocation_limit(None);
    assert!(arena.try_alloc([0_u8; 1000]).is_ok());

    // A buffer is lent whole, or not at all.
    let mut bytes = [const { MaybeUninit::uninit() }; 4096];
    let arena = Arena::with_source(Buffer::new(&mut bytes));
    arena.set_allocation_limit(Some(1000));
    assert!(arena.try_alloc(1).is_err());
    arena.set_allocation_limit(Some(4096));
    assert!(arena.try_alloc(1).is_ok());
}

#[test]
fn capacity_is_there_at_once() {
    let arena = Arena::with_capacity(1 << 20);
    let held = arena.bytes_held();
    (0..1 << 17).for_each(|n| _ = arena.alloc(n as u64));
    assert_eq!((arena.bytes_held(), arena.chunks().count()), (held, 1));
}

#[test]
fn a_large_vector_grows_without_leaving_its_past_behind() {
    let arena = Arena::new();
    arena.alloc(1);
    let mut numbers = ArenaVec::new_in(&arena);
    (0..1_000_000_u64).for_each(|n| numbers.push(n));
    assert!(numbers.iter().copied().eq(0..1_000_000));
    // Where regions do not grow, chunks that the vector has left wait for others: up to as much again.
    let regions_grow = cfg!(all(target_os = "linux", not(allotrope_tsan)));
    let bound = if regions_grow { 10 << 20 } else { 20 << 20 };
    assert!(arena.bytes_held() < bound, "{arena:?}");
}

#[test]
fn a_bump_is_an_upstream() {
    let bump = Bump::new();
    let mut arena = Arena::with_source(Upstream::new(&bump));
    for _ in 0..100 {
        arena.scope(|scope| {
            let mut words = ArenaVec::new_in(&*scope);
            (0..1000).for_each(|n| words.push(n));
            assert_eq!(words[999], 999);
        });
    }
    assert!(arena.bytes_held() <= bump.allocated_bytes());
    assert!(bump.allocated_bytes() < 100_000);
}

#[test]
fn other_strategies_are_upstreams_too() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    {
        let arena = Arena::with_source(Upstream::new(&heap));
        (0..10_000).for_each(|n| _ = arena.alloc(n));
        assert!(heap.bytes_used() >= 40_000);
    }
    assert_eq!(heap.bytes_used(), 0);
}

#[test]
fn an_upstream_may_use_the_arena_that_it_supplies() {
    /// Allocates from an arena whenever that asks for memory.
    struct Meddler<'a>(&'a std::cell::Cell<Option<&'a dyn Fn()>>);

    // SAFETY: every block is the one of `Global`.
    unsafe impl Allocator for Meddler<'_> {
        fn allocate(
            &self,
            layout: std::alloc::Layout,
        ) -> Result<std::ptr::NonNull<[u8]>, allocator_api2::alloc::AllocError> {
            if let Some(meddle) = self.0.take() {
                meddle();
                self.0.set(Some(meddle));
            }
            Global.allocate(layout)
        }

        unsafe fn deallocate(&self, start: std::ptr::NonNull<u8>, layout: std::alloc::Layout) {
            // SAFETY: as the caller promises.
            unsafe { Global.deallocate(start, layout) };
        }
    }

    type Meddle = std::cell::Cell<Option<&'static dyn Fn()>>;
    let meddle = Box::into_raw(Box::new(Meddle::new(None)));
    // SAFETY: it is freed at the end, after all that borrows it. So are the arena and the closure,
    // which borrow each other by way of the cell.
    let in_place = unsafe { &*meddle };
    let arena = Box::into_raw(Box::new(Arena::with_source(Upstream::new(Meddler(in_place)))));
    // SAFETY: as above.
    let arena_in_place = unsafe { &*arena };
    let work: *mut dyn Fn() = Box::into_raw(Box::new(move || {
        assert_eq!(*arena_in_place.alloc_slice_fill_with(300, |n| n).last().unwrap(), 299);
    }));
    // SAFETY: as above.
    in_place.set(Some(unsafe { &*work }));
    let mut values: Vec<&mut [u64; 20]> = Vec::new();
    values.extend((0..2000).map(|n| arena_in_place.alloc([n; 20])));
    assert!(values.iter().enumerate().all(|(n, value)| value.iter().all(|word| *word == n as u64)));
    drop(values);
    // SAFETY: each was made by a box, and nobody uses them any more; the arena's source uses the
    // cell when it is dropped, and finds no closure there.
    unsafe {
        (*meddle).set(None);
        drop((Box::from_raw(work), Box::from_raw(arena)));
        drop(Box::from_raw(meddle));
    }
}

#[test]
fn what_an_arena_takes_comes_back() {
    let suite = Suite::new(|upstream: TestUpstream| {
        let arena = Arena::with_source(Upstream::new(upstream));
        let mark = arena.begin_scope();
        arena.alloc_slice_fill_with(10_000, |_| 0_u8);
        let mut arena = arena;
        arena.end_scope(mark).unwrap();
        arena
    });
    assert!(suite.max_size(2048).steps(300).run().is_ok());
}
