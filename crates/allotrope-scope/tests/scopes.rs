//! Scopes free what came after they began, drop what they keep, and nothing else.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocator_api2::alloc::Global;
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_scope::{Arena, MarkError, Scope};

/// Writes its number to a log when it is dropped.
struct Noted<'l>(u32, &'l RefCell<Vec<u32>>);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn memory_of_a_scope_is_used_again() {
    let mut arena = Arena::new();
    let first = arena.scope(|scope| std::ptr::from_mut(scope.alloc(1_u64)).addr());
    let second = arena.scope(|scope| std::ptr::from_mut(scope.alloc([2_u64; 2])).addr());
    assert_eq!(first, second);
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn inner_scopes_leave_outer_values_alone() {
    fn nest(scope: &mut Scope<'_, '_>, depth: usize) -> usize {
        let here = scope.alloc_slice_fill_with(depth * 100, |_| depth);
        let inner = if depth == 0 { 0 } else { scope.scope(|inner| nest(inner, depth - 1)) };
        assert!(here.iter().all(|value| *value == depth));
        let after = scope.alloc(depth);
        inner + *after
    }
    let mut arena = Arena::new();
    assert_eq!(arena.scope(|scope| nest(scope, 30)), 30 * 31 / 2);
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn kept_values_are_dropped_in_reverse_and_once() {
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    arena.scope(|outer| {
        outer.keep(Noted(1, &log));
        outer.scope(|inner| {
            inner.keep(Noted(2, &log));
            inner.keep(Noted(3, &log));
        });
        assert_eq!(*log.borrow(), [3, 2]);
        outer.keep(Noted(4, &log));
    });
    assert_eq!(*log.borrow(), [3, 2, 4, 1]);
    arena.reset();
    drop(arena);
    assert_eq!(log.borrow().len(), 4);
}

#[test]
fn unwinding_ends_a_scope() {
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    let unwind = AssertUnwindSafe(|| {
        arena.scope(|scope| {
            scope.keep(Noted(1, &log));
            scope.alloc_slice_fill_with(100_000, |n| n);
            panic!("unwind");
        });
    });
    catch_unwind(unwind).unwrap_err();
    assert_eq!(*log.borrow(), [1]);
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn a_drop_that_panics_keeps_no_other_from_running() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a drop");
        }
    }
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    let unwind = AssertUnwindSafe(|| {
        arena.scope(|scope| {
            scope.keep(Noted(1, &log));
            scope.keep(Bomb);
            scope.keep(Noted(2, &log));
        });
    });
    catch_unwind(unwind).unwrap_err();
    assert_eq!(*log.borrow(), [2, 1]);
    assert_eq!(arena.bytes_used(), 0);
    arena.reset();
    assert_eq!(log.borrow().len(), 2);
}

#[test]
fn an_arena_drops_what_it_keeps_when_it_is_reset_or_goes() {
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    arena.scope(|scope| {
        scope.keep(Noted(1, &log));
    });
    static ARENA_LOG: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());
    struct Sent(u32);
    impl Drop for Sent {
        fn drop(&mut self) {
            ARENA_LOG.lock().unwrap().push(self.0);
        }
    }
    arena.keep(Sent(2));
    arena.keep(Sent(3));
    arena.reset();
    assert_eq!(*ARENA_LOG.lock().unwrap(), [3, 2]);
    arena.keep(Sent(4));
    std::thread::spawn(move || drop(arena)).join().unwrap();
    assert_eq!(*ARENA_LOG.lock().unwrap(), [3, 2, 4]);
    assert_eq!(*log.borrow(), [1]);
}

#[test]
fn a_forgotten_guard_leaks_its_values_and_nothing_else() {
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    let mut guard = arena.enter();
    let mut outer = guard.scope();
    outer.keep(Noted(1, &log));
    {
        let mut inner = outer.enter();
        inner.scope().keep(Noted(2, &log));
        inner.scope().alloc_slice_fill_with(100_000, |n| n);
        mem::forget(inner);
    }
    outer.keep(Noted(3, &log));
    let value = outer.alloc(7);
    assert_eq!(*value, 7);
    drop(guard);
    assert_eq!(*log.borrow(), [3, 1]);
    assert_eq!(arena.bytes_used(), 0);
    arena.reset();
}

#[test]
fn a_guard_ends_its_scope_when_it_is_dropped() {
    let log = RefCell::new(Vec::new());
    let mut arena = Arena::new();
    {
        let mut guard = arena.enter();
        let scope = guard.scope();
        let kept = scope.keep(Noted(1, &log));
        kept.0 = 5;
        assert!(log.borrow().is_empty());
    }
    assert_eq!(*log.borrow(), [5]);
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn marks_end_in_their_order_and_in_their_arena() {
    let (mut one, mut other) = (Arena::new(), Arena::new());
    let first = one.begin_scope();
    one.alloc(1);
    let used = one.bytes_used();
    let second = one.begin_scope();
    one.alloc_slice_fill_with(50_000, |n| n);
    let third = one.begin_scope();
    let foreign = other.begin_scope();

    assert_eq!(one.end_scope(first), Err(MarkError::WrongOrder));
    assert_eq!(one.end_scope(second), Err(MarkError::WrongOrder));
    assert_eq!(one.end_scope(foreign), Err(MarkError::NotOpen));
    assert_eq!(other.end_scope(third), Err(MarkError::NotOpen));
    assert_eq!(one.end_scope(third), Ok(()));
    assert_eq!(one.end_scope(third), Err(MarkError::NotOpen));
    assert_eq!(one.end_scope(second), Ok(()));
    assert_eq!(one.bytes_used(), used);
    one.reset();
    assert_eq!(one.end_scope(first), Err(MarkError::NotOpen));
    let again = one.begin_scope();
    assert_ne!(again, first);
    assert_eq!(one.end_scope(first), Err(MarkError::NotOpen));
    assert_eq!(one.end_scope(again), Ok(()));
    assert!(MarkError::NotOpen.to_string().contains("no such open scope"));
}

#[test]
fn a_scope_that_began_in_a_later_chunk_ends_there() {
    let mut arena = Arena::new();
    (0..20_000).for_each(|n| _ = arena.alloc(n));
    let (used, mark) = (arena.bytes_used(), arena.begin_scope());
    (0..200_000).for_each(|n| _ = arena.alloc(n));
    arena.end_scope(mark).unwrap();
    assert_eq!(arena.bytes_used(), used);
    let values: Vec<&mut u64> = (0..100_000).map(|n| arena.alloc(n)).collect();
    assert!(values.iter().map(|value| **value).eq(0..100_000));
}

#[test]
fn a_mark_drops_what_was_kept_since() {
    static DROPS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let drops = || DROPS.load(std::sync::atomic::Ordering::Relaxed);
    let mut arena = Arena::new();
    arena.keep(Counts);
    let mark = arena.begin_scope();
    arena.keep(Counts);
    arena.keep(Counts);
    arena.end_scope(mark).unwrap();
    assert_eq!(drops(), 2);
    drop(arena);
    assert_eq!(drops(), 3);
}

#[test]
fn containers_of_a_scope_grow_in_their_place() {
    let mut arena = Arena::new();
    arena.scope(|scope| {
        let mut numbers = ArenaVec::new_in(&*scope);
        numbers.push(0_u64);
        let start = numbers.as_ptr();
        for number in 1..400 {
            numbers.reserve_exact(1);
            numbers.push(number);
        }
        assert_eq!(numbers.as_ptr(), start);
        assert!(numbers.iter().copied().eq(0..400));
    });
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn scopes_of_random_size_hold_little_more_than_the_largest() {
    fn run<S: Source>(mut arena: Arena<S>, sizes: impl Fn(u64) -> usize) {
        let mut largest = 0;
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            random >> 33
        };
        for _ in 0..10_000 {
            let bytes = 64 * 1024 + next() as usize % (400 * 1024);
            let used = arena.scope(|scope| {
                let mut used = 0;
                while used < bytes {
                    let size = sizes(next());
                    scope.alloc_slice_fill_with(size, |_| 0_u8);
                    used += size;
                }
                used
            });
            largest = largest.max(used);
            assert_eq!(arena.bytes_used(), 0);
        }
        let held = arena.bytes_held();
        // Regions are multiples of this.
        let unit = OsPages::page_size().max(OsPages::REGION_ALIGN);
        assert!(held <= 2 * largest + unit, "{held} bytes held for {largest}");
    }
    run(Arena::new(), |random| 100 + random as usize % 5000);
    run(Arena::with_source(Upstream::new(Global)), |random| 100 + random as usize % 5000);
    run(Arena::new(), |random| if random % 10 == 0 { 100_000 } else { random as usize % 3000 });
}
