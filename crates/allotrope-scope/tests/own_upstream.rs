//! An upstream that calls the arena that it supplies does no harm.
//!
//! Goal: blocks that overlap, or get lost, because a call came in the middle of another one.
//!
//! Method: a hook of the upstream, safe code, puts values into the arena whenever that gets a chunk
//! or gives one back; all values are looked at in the end. An arena that threads share, which has a
//! lock, ends the program instead of waiting for itself.

use std::cell::{Cell, OnceCell, RefCell};
use std::hint::black_box;
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use allocator_api2::vec::Vec as ArenaVec;
use allotrope_conformance::child;
use allotrope_core::{
    BestFit, DefaultPolicy, Event, EventKind, Events, Hook, Local, Locked, OsPages, Upstream,
};
use allotrope_scope::{Arena, SharedArena};

type Inner = Local<BestFit<OsPages, DefaultPolicy, CallsAbove>>;
type Above = Arena<Upstream<&'static Inner>>;

/// What is leaked stays reachable, so that no sanitizer takes it for lost.
static LEAKED: AtomicPtr<Above> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    static ABOVE: OnceCell<&'static Above> = const { OnceCell::new() };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static PUT: RefCell<Vec<&'static mut [usize]>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy)]
struct CallsAbove;

impl Hook for CallsAbove {
    type Record = Events;

    fn on_event(&self, event: &Event) {
        let Some(above) = ABOVE.with(|above| above.get().copied()) else { return };
        let depth = DEPTH.get();
        if depth == 3 {
            return;
        }
        DEPTH.set(depth + 1);
        // Now and then one that has a chunk of its own.
        let len =
            event.address / 16 % 40 + if (event.address / 16).is_multiple_of(5) { 3000 } else { 0 };
        if let Ok(put) = above.try_alloc_slice_fill_with(len, |index| len + index) {
            PUT.with_borrow_mut(|all| all.push(put));
        }
        DEPTH.set(depth);
    }
}

#[test]
fn values_put_while_the_arena_gets_a_chunk_have_places_of_their_own() {
    let inner: &'static Inner =
        Box::leak(Box::new(Local::new(BestFit::with_hook(OsPages::new(), CallsAbove))));
    let above: &'static Above = Box::leak(Box::new(Arena::with_source(Upstream::new(inner))));
    // By way of `black_box`: a store that nobody reads would be left out.
    black_box(&LEAKED).store(ptr::from_ref(above).cast_mut(), Ordering::Relaxed);
    ABOVE.with(|cell| assert!(cell.set(above).is_ok()));
    let mut lists = Vec::new();
    for round in 0..200_usize {
        let mut list = ArenaVec::new_in(above);
        list.extend((0..round * 37 % 5000).map(|index| round ^ index));
        lists.push((round, list));
        if round % 7 == 3 {
            let other = round * 5 % lists.len();
            let (seed, list) = &mut lists[other];
            let (seed, len) = (*seed, list.len());
            list.extend((len..len + 2000).map(|index| seed ^ index));
        }
        if round % 5 == 4 {
            lists.swap_remove(round * 3 % lists.len());
        }
        above.check_invariants().unwrap();
    }
    for (seed, list) in &lists {
        assert!(list.iter().enumerate().all(|(index, value)| *value == seed ^ index), "{seed}");
    }
    PUT.with_borrow(|all| {
        assert!(all.len() > 20, "{} calls came back", all.len());
        for put in all {
            assert!(put.iter().enumerate().all(|(index, value)| *value == put.len() + index));
        }
    });
    inner.check_invariants().unwrap();
}

type InnerOfMany = Locked<BestFit<OsPages, DefaultPolicy, CallsShared>>;
type Shared = SharedArena<Upstream<&'static InnerOfMany>>;

static INNER: LazyLock<InnerOfMany> =
    LazyLock::new(|| Locked::new(BestFit::with_hook(OsPages::new(), CallsShared)));
static SHARED: LazyLock<Shared> =
    LazyLock::new(|| SharedArena::with_source(Upstream::new(&*INNER)));

/// Asks the arena for memory whenever it gets a chunk: then its lock is taken.
#[derive(Clone, Copy)]
struct CallsShared;

impl Hook for CallsShared {
    type Record = Events;

    fn on_event(&self, event: &Event) {
        if event.kind == EventKind::Allocate {
            let _ = SHARED.try_alloc([0_u8; 100_000]);
        }
    }
}

#[test]
fn an_arena_of_threads_waited_for_itself_where_its_upstream_called_it() {
    const NAME: &str = "an_arena_of_threads_waited_for_itself_where_its_upstream_called_it";
    if child::role().is_some() {
        SHARED.alloc(1);
        return;
    }
    child::play(NAME, "call")
        .must_have_aborted("an upstream called the allocator that it supplies");
}
