//! Shared arenas on several threads.
//!
//! Goal: blocks that two threads have at once; a lane that two threads use; blocks that are lost when
//! their thread ends; memory that grows with the number of threads that there ever were.
//!
//! Method: the threaded scenarios of `allotrope-conformance`, and what they do not have. `cargo xtask
//! tsan` runs this file under ThreadSanitizer.
//!
//! `ALLOTROPE_STEPS` says how many calls each thread makes.

use std::alloc::Layout;
use std::cell::RefCell;
use std::env;
use std::ptr::NonNull;
use std::sync::Barrier;
use std::thread;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_scope::SharedArena;

/// A suite with as many steps as the environment says.
fn suite<S: Source>(
    make: impl Fn(TestUpstream) -> SharedArena<S>,
) -> Suite<impl for<'u> Subject<Allocator<'u> = SharedArena<S>>> {
    let suite = Suite::new(make).max_size(16 * 1024).max_align(4096);
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite,
    }
}

#[test]
fn shared_arena() {
    let suite = suite(|upstream| SharedArena::with_source(Upstream::new(upstream)));
    assert!(suite.assert_threads().served > 0);
}

#[test]
fn shared_arena_over_pages() {
    let suite = suite(|_| SharedArena::with_source(OsPages::new()));
    assert!(suite.assert_threads().served > 0);
}

#[test]
fn handles_and_threads_allocate_side_by_side() {
    let mut arena = SharedArena::new();
    for _ in 0..5 {
        let start = Barrier::new(4);
        let work = |thread: usize| {
            start.wait();
            let mut values = Vec::new();
            for n in 0..500 {
                let handle = arena.local();
                values.extend((0..10).map(|m| (n + m, handle.alloc(thread << 24 | (n + m)))));
                values.push((n, arena.alloc(thread << 24 | n)));
            }
            values.iter().all(|(n, value)| **value == (thread << 24 | n))
        };
        let all = thread::scope(|threads| {
            let work = &work;
            let threads = [1, 2, 3, 4].map(|thread| threads.spawn(move || work(thread)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(all, [true; 4]);
        arena.reset();
    }
}

#[test]
fn a_thread_goes_on_in_the_chunks_of_one_that_has_ended() {
    let arena = SharedArena::new();
    let mut values = Vec::new();
    for n in 0..500_u64 {
        values.push(thread::scope(|threads| threads.spawn(|| arena.alloc(n)).join().unwrap()));
    }
    assert!(values.iter().zip(0..).all(|(value, n)| **value == n));
    // Other tests run meanwhile, so that the slot is not always the same.
    assert!(arena.bytes_held() <= 512 * 1024, "{}", arena.bytes_held());
}

#[test]
fn handles_are_sent_from_thread_to_thread() {
    let arena = SharedArena::new();
    let mut handle = arena.local();
    let mut values = Vec::new();
    for n in 0..50 {
        let work = move || {
            let value = handle.alloc(n);
            (handle, value)
        };
        let (sent, value) = thread::scope(|threads| threads.spawn(work).join().unwrap());
        handle = sent;
        values.push(value);
    }
    drop(handle);
    assert!(values.iter().enumerate().all(|(n, value)| **value == n));
}

static OUTLIVING: SharedArena = SharedArena::new();

/// Allocates when its thread has given its slot up.
struct Late(RefCell<Vec<(NonNull<u8>, Layout)>>);

impl Drop for Late {
    fn drop(&mut self) {
        let layout = Layout::new::<u64>();
        for (block, old) in self.0.get_mut().drain(..).rev() {
            // SAFETY: allocated below, filled, and freed once.
            unsafe {
                assert_eq!(block.cast::<u64>().read(), 7);
                let larger = Layout::new::<[u64; 9]>();
                let block = OUTLIVING.grow(block, old, larger).unwrap().cast::<u64>();
                assert_eq!(block.read(), 7);
                let block = OUTLIVING.shrink(block.cast(), larger, layout).unwrap().cast::<u64>();
                assert_eq!(block.read(), 7);
                OUTLIVING.deallocate(block.cast(), layout);
            }
        }
        assert_eq!((*OUTLIVING.alloc(1_u64), *OUTLIVING.local().alloc(2_u64)), (1, 2));
    }
}

thread_local! {
    static LATE: Late = const { Late(RefCell::new(Vec::new())) };
}

#[test]
fn destructors_of_thread_locals_allocate_when_the_slot_is_gone() {
    let work = || {
        // It is registered before the slot is claimed, and so runs after that is given up.
        LATE.with(|late| {
            let layout = Layout::new::<u64>();
            for _ in 0..600 {
                let block = OUTLIVING.allocate(layout).unwrap().cast::<u8>();
                // SAFETY: the block is new.
                unsafe { block.cast::<u64>().write(7) };
                late.0.borrow_mut().push((block, layout));
            }
        });
    };
    for _ in 0..5 {
        let threads = [(); 3].map(|()| thread::spawn(work));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
