//! Every interleaving of the [`SharedBudget`]: who takes, who is refused, who comes after whom.
//!
//! Goal: no more is taken than the limit, nothing is lost, and whoever takes what was given back
//! sees what its last user did: the memory is a `loom` cell, so an access without a happens-before
//! edge panics even if the value read is right.
#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::SharedBudget;
use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::thread;

/// A budget, and the memory that it is for: as much as one thread may take.
struct Memory {
    budget: SharedBudget,
    bytes: UnsafeCell<usize>,
}

// SAFETY: the memory belongs to the thread that took all of the budget.
unsafe impl Sync for Memory {}

/// Takes everything if it can, uses it, and gives it back; says whether it could.
fn use_all(memory: &Memory) -> bool {
    if !memory.budget.take(10) {
        return false;
    }
    // SAFETY: nobody else can take while this thread has all; `loom` would see another access.
    memory.bytes.with_mut(|bytes| unsafe { *bytes += 1 });
    memory.budget.give_back(10);
    true
}

#[test]
fn a_budget_for_one_is_not_taken_by_two() {
    loom::model(|| {
        let budget = Arc::new(SharedBudget::new(10));
        let other = Arc::clone(&budget);
        let other = thread::spawn(move || other.take(6));
        let is_taken = [budget.take(6), other.join().unwrap()];
        assert_eq!(is_taken.iter().filter(|&&is_taken| is_taken).count(), 1);
        assert_eq!(budget.used(), 6);
    });
}

#[test]
fn two_that_fit_both_succeed() {
    loom::model(|| {
        let budget = Arc::new(SharedBudget::new(10));
        let other = Arc::clone(&budget);
        let other = thread::spawn(move || other.take(4));
        assert!(budget.take(6));
        assert!(other.join().unwrap());
        assert!(!budget.take(1));
    });
}

#[test]
fn who_takes_sees_what_the_giver_did() {
    loom::model(|| {
        let budget = SharedBudget::new(10);
        let memory = Arc::new(Memory { budget, bytes: UnsafeCell::new(0) });
        let threads = [(); 2].map(|()| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || usize::from(use_all(&memory)))
        });
        let uses: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(uses >= 1);
        assert_eq!(memory.budget.used(), 0);
        // SAFETY: the other threads have ended.
        assert_eq!(memory.bytes.with(|bytes| unsafe { *bytes }), uses);
    });
}
