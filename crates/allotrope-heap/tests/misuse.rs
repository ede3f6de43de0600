//! Misuse of a heap as a global allocator is found under the heap's own lock.
//!
//! Goal, method: as in `allotrope-core/tests/misuse.rs`.

// The sanitizer reports some of it before we do.
#![cfg(all(debug_assertions, not(allotrope_asan)))]

use allotrope_conformance::misuse::{
    FREED_AS_LARGE, FREED_FROM_WITHIN, FREED_TWICE, GROWN_AFTER_FREE, GROWN_FROM_ELSEWHERE,
    LARGE_FREED_TWICE, Switch, ends_at_misuse,
};
use allotrope_core::{Locked, OsPages};
use allotrope_heap::LocalHeap;

#[global_allocator]
static GLOBAL: Switch = Switch;

#[test]
fn a_heap_as_a_global_allocator_waited_for_itself_at_misuse() {
    // SAFETY: debug assertions are on, with which the allocator finds each of these.
    unsafe {
        ends_at_misuse(
            "a_heap_as_a_global_allocator_waited_for_itself_at_misuse",
            || Locked::new(LocalHeap::new(OsPages::new())),
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
