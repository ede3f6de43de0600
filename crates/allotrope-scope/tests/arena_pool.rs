//! Arenas that are used again.
//!
//! Goal: an arena that two have at once; one that is not empty, or has what its last user set; memory
//! that is kept beyond the bounds, or taken anew although an arena waits.
//!
//! `cargo xtask tsan` runs this file under ThreadSanitizer.

use std::alloc::Layout;
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allotrope_core::{Buffer, OsPages, Upstream};
use allotrope_scope::{Arena, ArenaPool};

#[test]
fn an_arena_that_was_left_is_found_empty_and_warm() {
    let pool = ArenaPool::new();
    let arena = pool.get();
    arena.alloc_slice_fill_with(10_000, |n| n as u64);
    let start = arena.chunks().next().unwrap().start();
    drop(arena);
    for _ in 0..10 {
        let arena = pool.get();
        assert_eq!(arena.bytes_used(), 0);
        assert!(arena.bytes_held() >= 80_000);
        assert_eq!(arena.chunks().next().unwrap().start(), start);
        arena.alloc(1);
    }
}

#[test]
fn nobody_inherits_a_limit() {
    let pool = ArenaPool::new();
    let arena = pool.get();
    arena.alloc(0);
    arena.set_allocation_limit(Some(100_000));
    arena.set_chunk_cap(100);
    drop(arena);
    let arena = pool.get();
    assert_eq!(arena.allocation_limit(), None);
    arena.alloc_slice_fill_with(1_000_000, |n| n);
}

#[test]
fn what_has_grown_beyond_the_bound_is_given_back() {
    let pool: ArenaPool = ArenaPool::keeping(200_000);
    let arena = pool.get();
    (0..100_000_u64).for_each(|n| _ = arena.alloc(n));
    assert!(arena.bytes_held() > 800_000);
    drop(arena);
    let held = pool.get().bytes_held();
    assert!(held > 0 && held <= 200_000, "{held}");

    let pool: ArenaPool = ArenaPool::keeping(0);
    pool.get().alloc(0);
    assert_eq!(pool.get().bytes_held(), 0);
}

/// The global allocator, with how many bytes it has lent.
struct Counting<'a>(&'a AtomicUsize);

// SAFETY: every call is the global allocator's.
unsafe impl Allocator for Counting<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.fetch_add(layout.size(), Ordering::Relaxed);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

#[test]
fn no_more_arenas_wait_than_there_are_places() {
    let lent = AtomicUsize::new(0);
    let bytes_lent = || lent.load(Ordering::Relaxed);
    let pool: ArenaPool<_, 3> = ArenaPool::keeping(usize::MAX);
    let make = || Arena::with_source(Upstream::new(Counting(&lent)));
    let arenas: Vec<_> = (0..5).map(|_| pool.get_or(make)).collect();
    arenas.iter().for_each(|arena| _ = arena.alloc(0_u64));
    let one = bytes_lent() / 5;
    drop(arenas);
    assert_eq!(bytes_lent(), 3 * one);
    pool.clear();
    assert_eq!(bytes_lent(), 0);
    pool.get_or(make).alloc(0);
    assert_eq!(bytes_lent(), one);
    drop(pool);
    assert_eq!(bytes_lent(), 0);
}

#[test]
fn an_arena_without_room_for_itself_is_dropped() {
    let mut bytes = [MaybeUninit::<u8>::uninit(); size_of::<Arena<Buffer<'_>>>()];
    let pool: ArenaPool<_> = ArenaPool::keeping(usize::MAX);
    let source = Buffer::new(&mut bytes);
    let arena = pool.get_or(|| Arena::with_source(source));
    assert!(arena.try_alloc(0_u64).is_ok());
    drop(arena);
    assert_eq!(pool.get_or(|| Arena::with_source(Buffer::new(&mut []))).bytes_held(), 0);
}

#[test]
fn kept_values_are_dropped_when_the_arena_goes_back() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let pool = ArenaPool::new();
    let arena = pool.get();
    arena.keep(Counted);
    arena.keep(Counted);
    drop(arena);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
    drop(pool.get());
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
}

#[test]
fn an_arena_goes_back_though_a_value_in_it_unwinds() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the bomb");
        }
    }
    let pool = ArenaPool::new();
    let arena = pool.get();
    arena.keep(Bomb);
    arena.alloc_slice_fill_with(1000, |n| n);
    assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(arena))).is_err());
    let arena = pool.get();
    assert!(arena.bytes_used() == 0 && arena.bytes_held() > 0);
}

#[test]
fn a_request_that_panics_leaves_its_arena_behind() {
    let pool = ArenaPool::new();
    let request = AssertUnwindSafe(|| {
        let mut arena = pool.get();
        arena.scope(|scope| {
            scope.alloc(0);
            panic!("the request");
        })
    });
    assert!(panic::catch_unwind(request).is_err());
    assert!(pool.get().bytes_held() > 0);
}

#[test]
fn no_two_threads_have_the_same_arena() {
    let pool = ArenaPool::<OsPages, 2>::default();
    let start = Barrier::new(4);
    let seen = Mutex::new(HashSet::new());
    thread::scope(|threads| {
        for thread in 0..4_u64 {
            let (pool, start, seen) = (&pool, &start, &seen);
            threads.spawn(move || {
                start.wait();
                for n in 0..300 {
                    let mut arena = pool.get();
                    arena.scope(|scope| {
                        let values = scope.alloc_slice_fill_with(50, |_| thread);
                        thread::yield_now();
                        assert!(values.iter().all(|value| *value == thread), "{n}");
                    });
                    arena.alloc(thread);
                    seen.lock().unwrap().extend(arena.chunks().map(|chunk| chunk.start().addr()));
                }
            });
        }
    });
    assert!(!seen.into_inner().unwrap().is_empty());
}
