//! Misuse of a global allocator is found under the allocator's own lock.
//!
//! Goal: a program that waits for itself. A panic runs the panic hook, which allocates, and so comes back
//! to the lock that is held, or to a strategy in the middle of its work.
//!
//! Method: each misuse in a child process, whose global allocator is the strategy, and whose panic hook
//! allocates. The child must abort within a time limit, and say which promise was broken; the hook must
//! not have run. What is not found with debug assertions is not in the table.

// The sanitizer reports some of it before we do.
#![cfg(all(debug_assertions, not(allotrope_asan)))]

use std::alloc::Layout;
use std::panic;

use allotrope_conformance::child;
use allotrope_conformance::misuse::{
    FREED_AS_LARGE, FREED_FROM_ELSEWHERE, FREED_FROM_WITHIN, FREED_TWICE, GROWN_AFTER_FREE,
    GROWN_FROM_ELSEWHERE, HOOK, LARGE_FREED_TWICE, Switch, ends_at_misuse,
};
use allotrope_core::{BestFit, FixedSize, Local, Locked, OsPages, Pool, Segregated};

#[global_allocator]
static GLOBAL: Switch = Switch;

#[test]
fn best_fit_as_a_global_allocator_waited_for_itself_at_misuse() {
    // SAFETY: debug assertions are on, with which the allocator finds each of these.
    unsafe {
        ends_at_misuse(
            "best_fit_as_a_global_allocator_waited_for_itself_at_misuse",
            || Locked::new(BestFit::new(OsPages::new())),
            &[FREED_TWICE, LARGE_FREED_TWICE, FREED_FROM_ELSEWHERE, GROWN_FROM_ELSEWHERE],
        );
    }
}

#[test]
fn segregated_as_a_global_allocator_waited_for_itself_at_misuse() {
    // SAFETY: debug assertions are on, with which the allocator finds each of these.
    unsafe {
        ends_at_misuse(
            "segregated_as_a_global_allocator_waited_for_itself_at_misuse",
            || Locked::new(Segregated::new(OsPages::new())),
            &[
                FREED_TWICE,
                LARGE_FREED_TWICE,
                GROWN_FROM_ELSEWHERE,
                FREED_FROM_WITHIN,
                FREED_AS_LARGE,
                GROWN_AFTER_FREE,
            ],
        );
    }
}

#[test]
fn blocks_of_one_size_as_a_global_allocator_waited_for_themselves_at_misuse() {
    // SAFETY: debug assertions are on, with which the allocator finds each of these.
    unsafe {
        ends_at_misuse(
            "blocks_of_one_size_as_a_global_allocator_waited_for_themselves_at_misuse",
            || Locked::new(FixedSize::<64, _>::new(OsPages::new())),
            &[FREED_TWICE, FREED_FROM_WITHIN],
        );
    }
}

#[test]
fn a_pool_as_a_global_allocator_ends_at_misuse() {
    // SAFETY: debug assertions are on, with which the allocator finds each of these.
    unsafe {
        ends_at_misuse(
            "a_pool_as_a_global_allocator_ends_at_misuse",
            || Pool::new(OsPages::new()),
            &[
                FREED_TWICE,
                LARGE_FREED_TWICE,
                GROWN_FROM_ELSEWHERE,
                FREED_AS_LARGE,
                GROWN_AFTER_FREE,
            ],
        );
    }
}

#[test]
fn a_panic_hook_that_allocates_was_let_into_a_heap_that_was_borrowed() {
    const NAME: &str = "a_panic_hook_that_allocates_was_let_into_a_heap_that_was_borrowed";
    thread_local! {
        static HEAP: Local<BestFit<OsPages>> = const { Local::new(BestFit::new(OsPages::new())) };
    }
    const LAYOUT: Layout = Layout::new::<u64>();
    if child::role().is_none() {
        let ended = child::play(NAME, "misuse");
        ended.must_have_aborted("allotrope: a block is freed twice");
        return ended.must_not_have_said(HOOK);
    }
    panic::set_hook(Box::new(|_| {
        eprintln!("{HOOK}: {:?}", HEAP.with(|heap| heap.allocate(LAYOUT)));
    }));
    HEAP.with(|heap| {
        let block = heap.allocate(LAYOUT).unwrap().cast();
        // SAFETY: there is none for the second call.
        unsafe {
            heap.deallocate(block, LAYOUT);
            heap.deallocate(block, LAYOUT);
        }
    });
}
