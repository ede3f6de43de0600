//! The slots of the process's threads: dense, exclusive, given back, and safe to ask for at the
//! very end of a thread.
#![cfg(all(feature = "std", not(loom)))]

use std::collections::BTreeSet;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

use allotrope_sync::slots::{self, CAPACITY, Slot};

/// Keeps the other tests from starting threads: they share the process's slots. libtest's own
/// threads, one for each test, are counted with them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The slot of the current thread, which has one of its own.
fn owned() -> usize {
    match slots::current() {
        Slot::Owned(index) => index,
        Slot::Orphan => panic!("an orphan"),
    }
}

#[test]
fn a_thread_keeps_its_slot() {
    let _alone = alone();
    let slot = owned();
    assert!(slot < CAPACITY);
    assert_eq!(slots::current(), Slot::Owned(slot));
    assert_eq!(slots::with(|slot| slot), Slot::Owned(slot));
    assert_eq!(slots::hint(), slot);
}

#[test]
fn threads_that_run_at_once_have_different_slots() {
    const THREADS: usize = 20;
    let _alone = alone();
    let barrier = Barrier::new(THREADS);
    let slots = Mutex::new(BTreeSet::new());
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                let is_new = slots.lock().unwrap().insert(owned());
                barrier.wait();
                assert!(is_new);
            });
        }
    });
    assert_eq!(slots.into_inner().unwrap().len(), THREADS);
}
