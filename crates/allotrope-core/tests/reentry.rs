//! An upstream that calls the allocator that it supplies is stopped before it does harm.
//!
//! Method: the cycle is made in a child process, by safe code: a hook of the upstream allocates from
//! the allocator above. The child must abort, and say why.

use std::alloc::Layout;
use std::cell::OnceCell;
use std::panic;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::child;
use allotrope_core::{
    BestFit, DefaultPolicy, Event, Events, Hook, Local, Locked, ObjectPool, OsPages, Upstream,
};

type Inner = Local<BestFit<OsPages, DefaultPolicy, CallsAbove>>;
type Above = &'static Upper;

struct Upper {
    heap: Local<BestFit<Upstream<&'static Inner>>>,
    locked: Locked<BestFit<Upstream<&'static Inner>>>,
    pool: ObjectPool<u64, Upstream<&'static Inner>>,
    misuse: fn(Above),
}

thread_local! {
    static ABOVE: OnceCell<Above> = const { OnceCell::new() };
}

#[derive(Clone, Copy)]
struct CallsAbove;

impl Hook for CallsAbove {
    type Record = Events;
    fn on_event(&self, _: &Event) {
        ABOVE.with(|above| {
            let above = above.get().unwrap();
            (above.misuse)(above);
        });
    }
}

/// Runs the test `name` again in a child that does `misuse`, and checks that it aborts.
fn aborts(name: &str, misuse: fn(Above)) {
    if child::role().is_some() {
        let inner: &'static Inner =
            Box::leak(Box::new(Local::new(BestFit::with_hook(OsPages::new(), CallsAbove))));
        let above: Above = Box::leak(Box::new(Upper {
            heap: Local::new(BestFit::new(Upstream::new(inner))),
            locked: Locked::new(BestFit::new(Upstream::new(inner))),
            pool: ObjectPool::new(Upstream::new(inner)),
            misuse,
        }));
        ABOVE.with(|cell| assert!(cell.set(above).is_ok()));
        return misuse(above);
    }
    child::play(name, "misuse").must_have_aborted("called the allocator that it supplies");
}

#[test]
fn a_heap_whose_upstream_calls_it_aborts() {
    aborts("a_heap_whose_upstream_calls_it_aborts", |above| {
        let _ = above.heap.allocate(Layout::new::<u64>());
    });
}

#[test]
fn a_locked_heap_waited_for_itself_where_its_upstream_called_it() {
    aborts("a_locked_heap_waited_for_itself_where_its_upstream_called_it", |above| {
        let _ = above.locked.allocate(Layout::new::<u64>());
    });
}

/// An allocator that panics.
struct Panics;

// SAFETY: it has no blocks.
unsafe impl Allocator for Panics {
    fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        panic!("for want of anything better");
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

#[test]
fn a_panic_hook_waited_for_the_lock_that_the_panic_was_under() {
    const NAME: &str = "a_panic_hook_waited_for_the_lock_that_the_panic_was_under";
    static HEAP: Locked<BestFit<Upstream<Panics>>> =
        Locked::new(BestFit::new(Upstream::new(Panics)));
    if child::role().is_none() {
        return child::play(NAME, "panic").must_have_aborted("allotrope: an upstream called");
    }
    panic::set_hook(Box::new(|_| _ = HEAP.allocate(Layout::new::<u64>())));
    let _ = HEAP.allocate(Layout::new::<u64>());
}

#[test]
fn a_pool_whose_upstream_calls_it_aborts() {
    aborts("a_pool_whose_upstream_calls_it_aborts", |above| {
        drop(above.pool.insert(1));
    });
}
