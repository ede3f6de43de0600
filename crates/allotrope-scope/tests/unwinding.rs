//! What a user supplies to an arena panics, at each of its calls in turn.
//!
//! Goal: values that are dropped twice or never, blocks that stay, chunks that are lost, a scope that does
//! not end.
//!
//! Method: sources must not unwind, so a child for each of their calls must abort. The panic of a closure,
//! of an iterator, of `Clone`, `Drop` or `Display` is caught, and everything must be as if the call had
//! not been made, or the scope had ended.

#[allow(dead_code, reason = "arenas have no hooks")]
#[path = "../../allotrope-core/tests/shaky/mod.rs"]
mod shaky;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use allocator_api2::alloc::Global;
use allocator_api2::boxed::Box;
use allotrope_core::Upstream;
use allotrope_scope::ambient::{self, Here};
use allotrope_scope::{Arena, ArenaPool, Scope, SharedArena, try_alloc_fmt};
use shaky::{Fuse, Row, bytes, ends_at_every_panic, over_both, use_allocator};

#[test]
fn a_panic_of_a_source_went_through_an_arena() {
    let rows: &[Row] = over_both! {
        "an arena": |source| {
            let mut arena = Arena::with_source(source);
            use_allocator(&arena);
            arena.scope(|scope| _ = scope.alloc_slice_copy(&vec![7_u8; 3_000_000]));
            arena.reset();
            arena.shrink_to(0);
        },
        "a shared arena": |source| {
            let mut arena = SharedArena::with_source(source);
            use_allocator(&arena);
            arena.local().alloc_slice_copy(&vec![7_u8; 3_000_000]);
            arena.reset();
            arena.shrink_to(0);
        },
    };
    ends_at_every_panic("a_panic_of_a_source_went_through_an_arena", rows);
}

/// What burns a fuse as it is made or dropped, and counts those that are there.
struct Bomb {
    fuse: Arc<Fuse>,
    living: Arc<AtomicIsize>,
}

impl Bomb {
    fn new(fuse: &Arc<Fuse>, living: &Arc<AtomicIsize>) -> Self {
        fuse.burn();
        living.fetch_add(1, Ordering::Relaxed);
        Self { fuse: fuse.clone(), living: living.clone() }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
        self.fuse.burn();
    }
}

/// What burns a fuse as it is made, cloned or printed, and need not be dropped.
struct Spark<'a>(&'a Fuse, [u64; 5]);

impl<'a> Spark<'a> {
    fn new(fuse: &'a Fuse) -> Self {
        fuse.burn();
        Self(fuse, [7; 5])
    }
}

impl Clone for Spark<'_> {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl fmt::Display for Spark<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.burn();
        write!(formatter, "{:?}", self.1)
    }
}

/// Whether `call` is done, and was not cut short by a panic.
fn is_done<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_ok()
}

/// Calls everything that makes values of what a user supplies. `used` says how many bytes are in use, if
/// that can be said; a call that is cut short must not have changed it.
macro_rules! make_values {
    ($space:expr, $fuse:expr, $used:expr) => {{
        let (fuse, used) = ($fuse, $used);
        let space = &$space;
        let sparks = || [Spark(fuse, [1; 5]), Spark(fuse, [2; 5]), Spark(fuse, [3; 5])];
        let sparkling = || sparks().into_iter().inspect(|spark| spark.0.burn());
        let calls: [&dyn Fn(); 8] = [
            &|| _ = space.alloc_with(|| Spark::new(fuse)),
            &|| _ = space.alloc_try_with(|| Ok::<_, ()>(Spark::new(fuse))),
            &|| _ = space.alloc_try_with(|| Err::<(), _>(Spark::new(fuse).1)),
            &|| _ = space.alloc_slice_fill_with(3, |_| Spark::new(fuse)),
            &|| _ = space.alloc_slice_clone(&sparks()),
            &|| _ = space.alloc_slice_fill_iter(sparkling()),
            &|| _ = try_alloc_fmt!(space, "{} {}", Spark(fuse, [1; 5]), Spark(fuse, [2; 5])),
            &|| _ = space.try_alloc_with(|| (Spark::new(fuse), space.alloc(7_u8)).1),
        ];
        for (index, call) in calls.iter().enumerate() {
            let before = used();
            // The last has put a value of its own in the arena.
            assert!(is_done(call) || used() == before || index == 7, "call {index}");
        }
    }};
}

/// Runs `test` once for each call that may panic, and once without a panic.
fn swept(test: impl Fn(&Arc<Fuse>, &Arc<AtomicIsize>)) {
    for good in 0.. {
        let (fuse, living) = (Arc::new(Fuse::new(good)), Arc::new(AtomicIsize::new(0)));
        test(&fuse, &living);
        assert_eq!(living.load(Ordering::Relaxed), 0, "{good}: values that are never dropped");
        if !fuse.is_blown() {
            assert!(good > 3, "few calls");
            break;
        }
    }
}

#[test]
fn closures_that_panic_leave_nothing_in_an_arena() {
    swept(|fuse, _| {
        let arena = Arena::with_source(Upstream::new(Global));
        make_values!(arena, fuse, || arena.bytes_used());
        assert_eq!(arena.check_invariants(), Ok(()));
    });
    swept(|fuse, _| {
        let mut arena = Arena::with_source(Upstream::new(Global));
        arena.alloc([7_u8; 100]);
        let used = arena.bytes_used();
        is_done(|| {
            arena.scope(|scope| {
                make_values!(*scope, fuse, || 0);
                fuse.burn();
            });
        });
        assert_eq!((arena.bytes_used(), arena.check_invariants()), (used, Ok(())));
    });
}

#[test]
fn closures_that_panic_leave_a_shared_arena_in_order() {
    swept(|fuse, _| {
        let mut arena = SharedArena::with_source(Upstream::new(Global));
        make_values!(arena, fuse, || 0);
        make_values!(arena.local(), fuse, || 0);
        arena.reset();
        assert_eq!(arena.bytes_used(), 0);
        assert_eq!(arena.alloc_slice_fill_with(1000, |n| n)[999], 999);
    });
}

/// Keeps values in a scope and in one within it.
fn keep_values(
    scope: &mut Scope<'_, '_, Upstream<Global>>,
    fuse: &Arc<Fuse>,
    living: &Arc<AtomicIsize>,
) {
    scope.keep(Bomb::new(fuse, living));
    scope.keep(Bomb::new(fuse, living));
    scope.scope(|inner| {
        inner.keep(Bomb::new(fuse, living));
        let boxed = inner.boxed(Bomb::new(fuse, living));
        inner.keep(Bomb::new(fuse, living));
        drop(boxed);
    });
    fuse.burn();
    scope.alloc([7_u8; 5000]);
}

#[test]
fn a_drop_that_panics_keeps_no_other_value_from_being_dropped() {
    swept(|fuse, living| {
        let mut arena = Arena::with_source(Upstream::new(Global));
        for _ in 0..2 {
            is_done(|| arena.scope(|scope| keep_values(scope, fuse, living)));
            assert_eq!((arena.bytes_used(), arena.check_invariants()), (0, Ok(())));
            assert_eq!(living.load(Ordering::Relaxed), 0);
        }
    });
}

#[test]
fn kept_values_that_panic_are_dropped_once_by_whatever_ends_them() {
    swept(|fuse, living| {
        let mut arena = Arena::with_source(Upstream::new(Global));
        let keep = |arena: &Arena<_>| is_done(|| _ = arena.keep(Bomb::new(fuse, living)));
        keep(&arena);
        let mark = arena.begin_scope();
        keep(&arena);
        keep(&arena);
        is_done(|| arena.end_scope(mark));
        assert_eq!(arena.check_invariants(), Ok(()));
        keep(&arena);
        is_done(|| arena.reset());
        assert_eq!((arena.bytes_used(), arena.check_invariants()), (0, Ok(())));
        keep(&arena);
        keep(&arena);
        is_done(|| drop(arena));
    });
}

#[test]
fn an_arena_whose_request_panics_goes_back_to_its_pool() {
    swept(|fuse, living| {
        let arenas = ArenaPool::<Upstream<Global>, 4>::keeping(1 << 20);
        for _ in 0..3 {
            is_done(|| {
                let arena = arenas.get_or(|| {
                    fuse.burn();
                    Arena::default()
                });
                arena.keep(Bomb::new(fuse, living));
                arena.alloc_with(|| Spark::new(fuse));
                arena.keep(Bomb::new(fuse, living));
            });
            assert_eq!(arenas.get().bytes_used(), 0);
        }
    });
}

#[test]
fn an_ambient_scope_that_panics_ends() {
    swept(|fuse, living| {
        let mut arena = Arena::new();
        let run = |escaped: &Cell<Option<Box<u64, Here>>>| {
            let bomb = Box::new_in(Bomb::new(fuse, living), Here);
            ambient::scope(|| {
                fuse.burn();
                escaped.set(Some(Box::new_in(7, Here)));
                drop(Box::new_in(Bomb::new(fuse, living), Here));
            });
            drop(bomb);
        };
        let escaped = Cell::new(None);
        is_done(|| ambient::scope_in(&mut arena, || run(&escaped)));
        assert!(escaped.take().is_none_or(|seven| *seven == 7));
        assert_eq!((arena.bytes_used(), arena.check_invariants()), (0, Ok(())));
    });
    assert!(Box::try_new_in(bytes(1), Here).is_err(), "a scope is still open");
}
