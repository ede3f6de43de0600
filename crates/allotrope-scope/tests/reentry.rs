//! Code of the user's that uses an arena while the arena works for it.
//!
//! Goal: two values in one place, because a closure, an iterator, a `Clone`, a `Display` or a drop allocates,
//! frees or begins a scope in the arena where its own value will lie; arenas that change places, and marks and
//! guards that belong to the other one.

use std::cell::RefCell;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::rc::Rc;
use std::thread;

use allocator_api2::boxed::Box as ArenaBox;
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::Buffer;
use allotrope_scope::{Arena, ArenaPool, MarkError, SharedArena, alloc_fmt, try_alloc_fmt};

/// Calls a closure whenever it is cloned or shown.
struct Calls<F>(u64, F);

impl<F: Fn() + Copy> Clone for Calls<F> {
    fn clone(&self) -> Self {
        self.1();
        Self(self.0, self.1)
    }
}

impl<F: Fn()> fmt::Display for Calls<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in 0..10 {
            self.1();
            write!(formatter, "{} ", self.0 + part)?;
        }
        Ok(())
    }
}

/// Makes values of every kind by code that uses the same place, and checks that none lies in another.
macro_rules! reenters {
    ($place:expr) => {
        let place = $place;
        let values = RefCell::new(Vec::new());
        let expected = RefCell::new(Vec::new());
        let add = |value: &mut [u64]| {
            let number = expected.borrow().len() as u64;
            value.fill(number);
            expected.borrow_mut().push((number, value.len()));
            values.borrow_mut().push(&raw const *value);
        };
        // What the user's code does meanwhile: values, blocks that grow and go, and errors.
        let meanwhile = || {
            add(place.alloc_slice_fill_with(3, |_| 0_u64));
            let mut list = ArenaVec::new_in(place);
            list.extend(0..50_u64);
            let shorter = ArenaBox::new_in(1_u8, place);
            drop(list);
            drop(shorter);
            assert!(place.try_alloc_try_with(|| Err::<[u64; 20], _>(7)).is_err());
            add(place.alloc_slice_copy(&[0_u64; 5]));
        };
        for turn in 0..20_u64 {
            add(place.alloc_with(|| {
                meanwhile();
                [0_u64; 4]
            }));
            add(place.alloc_slice_fill_with(turn as usize, |_| {
                meanwhile();
                0_u64
            }));
            let iter = (0..turn).inspect(|_| meanwhile());
            add(place.alloc_slice_fill_iter(iter.map(|_| 0_u64).collect::<Vec<_>>()));
            add(place.alloc_slice_fill_iter([0_u64; 9].iter().map(|n| {
                meanwhile();
                *n
            })));
            let calls = [(); 3].map(|()| Calls(turn, &meanwhile));
            let cloned = place.alloc_slice_clone(&calls);
            assert!(cloned.iter().all(|calls| calls.0 == turn));
            let failed = place.try_alloc_try_with(|| {
                meanwhile();
                Err::<[u64; 20], _>(turn)
            });
            assert!(failed.is_err());
            let made = place.alloc_try_with(|| {
                meanwhile();
                Ok::<_, u64>([0_u64; 6])
            });
            add(made.unwrap());
            let text = alloc_fmt!(place, "{}", Calls(turn, &meanwhile));
            let parts: Vec<_> = text.split_whitespace().map(|n| n.parse::<u64>()).collect();
            assert_eq!(parts, (turn..turn + 10).map(Ok).collect::<Vec<_>>());
        }
        for (value, (number, len)) in values.borrow().iter().zip(expected.borrow().iter()) {
            // SAFETY: the value is in a place that has not ended, and nobody else has it now.
            let value = unsafe { &**value };
            assert!(value.len() == *len && value.iter().all(|n| n == number), "overwritten");
        }
    };
}

#[test]
fn values_may_be_made_by_code_that_uses_the_same_arena() {
    for cap in [0, 64, 4096, 1 << 20] {
        let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
        let mut arena = Arena::with_source(Buffer::new(&mut bytes));
        arena.set_chunk_cap(cap);
        reenters!(&arena);
        arena.check_invariants().unwrap();
        arena.reset();
        arena.scope(|scope| {
            reenters!(&*scope);
        });
        assert_eq!(arena.bytes_used(), 0);
        arena.check_invariants().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn values_may_be_made_by_code_that_uses_the_same_arena_of_pages_or_of_threads() {
    let arena = Arena::new();
    arena.set_chunk_cap(100);
    reenters!(&arena);
    arena.check_invariants().unwrap();
    let shared = SharedArena::new();
    reenters!(&shared);
    let handle = shared.local();
    reenters!(&handle);
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                reenters!(&shared);
            });
        }
    });
    let pool: ArenaPool = ArenaPool::new();
    reenters!(&*pool.get());
}

#[test]
fn a_value_that_uses_up_the_arena_while_it_is_shown_is_an_error() {
    let mut bytes = [MaybeUninit::uninit(); 2000];
    let arena = Arena::with_source(Buffer::new(&mut bytes));
    let greedy = Calls(1, || while arena.try_alloc([7_u8; 8]).is_ok() {});
    let shown = try_alloc_fmt!(arena, "{greedy}");
    assert!(shown.is_err());
    arena.check_invariants().unwrap();
}

#[test]
fn marks_may_be_made_while_values_are() {
    let mut bytes = [MaybeUninit::uninit(); 5000];
    let mut arena = Arena::with_source(Buffer::new(&mut bytes));
    for _ in 0..3 {
        let mut marks = Vec::new();
        let value = *arena.alloc_with(|| {
            marks.push(arena.begin_scope());
            arena.keep(String::from("kept"));
            marks.push(arena.begin_scope());
            [1_u64; 9]
        });
        let failed = arena.alloc_try_with(|| {
            marks.push(arena.begin_scope());
            Err::<[u64; 20], _>(7)
        });
        assert_eq!((value, failed), ([1; 9], Err(7)));
        arena.check_invariants().unwrap();
        for mark in marks.into_iter().rev() {
            arena.end_scope(mark).unwrap();
            arena.check_invariants().unwrap();
        }
    }
}

#[test]
fn a_block_from_before_a_mark_is_freed_after_it() {
    // Chunks are so small that a mark's record may lie in another chunk than its position.
    for cap in [0, 64, 200, 4096] {
        let mut bytes = vec![MaybeUninit::uninit(); 100_000];
        let mut arena = Arena::with_source(Buffer::new(&mut bytes));
        arena.set_chunk_cap(cap);
        let dropped = std::sync::Arc::new(());
        for size in 0..200 {
            let mut before = ArenaVec::with_capacity_in(size, &arena);
            before.resize(size, 7_u8);
            let outer = arena.begin_scope();
            drop(before);
            arena.keep(dropped.clone());
            let inner = arena.begin_scope();
            arena.keep(dropped.clone());
            assert_eq!(*arena.alloc_slice_copy(&[1_u64; 3]), [1; 3]);
            arena.check_invariants().unwrap();
            arena.end_scope(inner).unwrap();
            arena.check_invariants().unwrap();
            arena.end_scope(outer).unwrap();
            arena.check_invariants().unwrap();
            assert_eq!(std::sync::Arc::strong_count(&dropped), 1);
        }
    }
}

#[test]
fn marks_go_with_their_arena_when_two_change_places() {
    let [mut one, mut two] = [vec![MaybeUninit::uninit(); 3000], vec![MaybeUninit::uninit(); 3000]];
    let mut first = Arena::with_source(Buffer::new(&mut one));
    let mut second = Arena::with_source(Buffer::new(&mut two));
    let [of_first, of_second] = [first.begin_scope(), second.begin_scope()];
    first.keep(String::from("first"));
    mem::swap(&mut first, &mut second);
    assert_eq!(first.end_scope(of_first), Err(MarkError::NotOpen));
    assert_eq!(second.end_scope(of_second), Err(MarkError::NotOpen));
    assert_eq!((first.end_scope(of_second), second.end_scope(of_first)), (Ok(()), Ok(())));
    let gone = second.begin_scope();
    drop(mem::replace(&mut second, Arena::with_source(Buffer::new(&mut []))));
    assert_eq!(second.end_scope(gone), Err(MarkError::NotOpen));
    assert_eq!(first.end_scope(gone), Err(MarkError::NotOpen));
}

#[test]
fn guards_and_handles_of_two_arenas_may_change_places() {
    let [mut one, mut two] = [vec![MaybeUninit::uninit(); 3000], vec![MaybeUninit::uninit(); 3000]];
    let mut first = Arena::with_source(Buffer::new(&mut one));
    let mut second = Arena::with_source(Buffer::new(&mut two));
    let dropped = Rc::new(());
    {
        let [mut left, mut right] = [first.enter(), second.enter()];
        mem::swap(&mut left, &mut right);
        let [mut outer, mut other] = [left.scope(), right.scope()];
        let [one, two] = [outer.alloc(1), other.alloc(2)];
        outer.keep(Rc::clone(&dropped));
        mem::swap(&mut outer, &mut other);
        outer.keep(Rc::clone(&dropped));
        let three = outer.scope(|inner| {
            inner.keep(Rc::clone(&dropped));
            *inner.alloc(3) + *other.alloc(0)
        });
        assert_eq!((*one, *two, three), (1, 2, 3));
        drop(right);
        assert_eq!(Rc::strong_count(&dropped), 2);
    }
    assert_eq!(Rc::strong_count(&dropped), 1);
    assert_eq!((first.bytes_used(), second.bytes_used()), (0, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn drops_of_kept_values_use_arenas_and_scopes_of_their_own() {
    use allotrope_scope::ambient::{self, Here};

    /// An arena that keeps values, within a value that is kept.
    struct Nested(Arena, u32);

    impl Drop for Nested {
        fn drop(&mut self) {
            let sum = ambient::scope(|| {
                let mut list = ArenaVec::new_in(Here);
                list.extend(0..100_u64);
                list.iter().sum::<u64>()
            });
            assert_eq!(sum, 4950);
            self.0.scope(|scope| _ = scope.keep(vec![1]));
            self.0.reset();
        }
    }

    fn nest(depth: u32) -> Nested {
        let arena = Arena::new();
        if depth > 0 {
            arena.keep(nest(depth - 1));
            arena.keep(nest(depth - 1));
        }
        Nested(arena, depth)
    }

    let pool: ArenaPool = ArenaPool::new();
    let arena = pool.get();
    assert_eq!(arena.keep(nest(3)).1, 3);
    // The guard ends on another thread, and its values with it.
    thread::scope(|threads| {
        threads.spawn(move || drop(arena));
    });
    let mut arena = pool.get();
    arena.scope(|scope| {
        scope.keep(nest(2));
        scope.scope(|inner| _ = inner.keep(nest(2)));
    });
    arena.keep(nest(2));
    // Blocks have its memory; what it keeps opens scopes while it is dropped.
    let escaped = ambient::scope_in(&mut arena, || ArenaBox::new_in(5, Here));
    assert_eq!((*escaped, arena.bytes_held()), (5, 0));
}

#[test]
fn arenas_of_two_guards_may_change_places() {
    let [mut one, mut two] = [vec![MaybeUninit::uninit(); 3000], vec![MaybeUninit::uninit(); 3000]];
    let pools: [ArenaPool<Buffer>; 2] = [ArenaPool::keeping(3000), ArenaPool::keeping(3000)];
    {
        let mut first = pools[0].get_or(|| Arena::with_source(Buffer::new(&mut one)));
        let mut second = pools[1].get_or(|| Arena::with_source(Buffer::new(&mut two)));
        first.keep(String::from("first"));
        second.keep(String::from("second"));
        mem::swap(&mut *first, &mut *second);
        mem::swap(&mut first, &mut second);
    }
    for pool in &pools {
        let arena = pool.get_or(|| panic!("one waits"));
        assert_eq!(arena.bytes_used(), 0);
        assert_eq!(*arena.alloc(1), 1);
        arena.check_invariants().unwrap();
    }
}

#[test]
fn a_handle_that_is_forgotten_takes_nothing_from_others() {
    let mut bytes = vec![MaybeUninit::uninit(); 200_000];
    let mut arena = SharedArena::with_source(Buffer::new(&mut bytes));
    for _ in 0..3 {
        let handle = arena.local();
        let of_handle = handle.alloc_slice_fill_with(100, |n| n);
        mem::forget(handle);
        let [one, two] = [arena.local(), arena.local()];
        let values = [one.alloc_slice_fill_with(100, |_| 1), two.alloc_slice_fill_with(100, |_| 2)];
        arena.alloc_slice_fill_with(100, |_| 3);
        assert!(of_handle.iter().enumerate().all(|(index, n)| index == *n));
        assert!(values[0].iter().all(|n| *n == 1) && values[1].iter().all(|n| *n == 2));
        drop((one, two));
        arena.reset();
    }
}
