//! The slots of the process's threads: dense, exclusive, given back, and safe to ask for at the
//! very end of a thread.
//!
//! The tests share the process's slots, so one runs at a time, in a thread that it waits for:
//! whatever numbers its threads get, no other test's have to do with them.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError, mpsc};
use std::thread;

use allotrope_sync::slots::{self, CAPACITY, Slot};

/// Runs `test` while no other test runs.
fn alone(test: impl FnOnce() + Send + 'static) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    in_a_thread(test);
}

/// What `work` returns in a thread that has ended, its destructors included.
fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(work).join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// What `work` returns in each of `count` threads, which have ended, their destructors included.
fn in_threads<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let spawn = || thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, &work);
        let threads: Vec<_> = (0..count).map(|_| spawn().unwrap()).collect();
        // The end of the scope alone would not wait for the destructors.
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
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
    alone(|| {
        for _ in 0..3 {
            assert_eq!(slots::current(), Slot::Owned(0));
            assert_eq!(slots::with(|slot| slot), Slot::Owned(0));
            assert_eq!(slots::hint(), 0);
        }
        assert_eq!(in_a_thread(slots::hint), 1);
    });
}

#[test]
fn threads_that_run_at_once_have_the_lowest_slots() {
    alone(|| {
        let barrier = Barrier::new(20);
        let mut slots = in_threads(20, || {
            let slot = owned();
            barrier.wait();
            slot
        });
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..20));
    });
}

#[test]
fn thousands_of_short_threads_have_few_slots() {
    const AT_ONCE: usize = 8;
    let rounds = if cfg!(miri) { 4 } else { 500 };
    alone(move || {
        for _ in 0..rounds {
            let slots = in_threads(AT_ONCE, owned);
            assert!(slots.iter().all(|&slot| slot < AT_ONCE), "{slots:?}");
        }
    });
}

thread_local! {
    /// Made before the thread has a slot, and after.
    static BEFORE: AtTheEnd = const { AtTheEnd(Cell::new(None)) };
    static AFTER: AtTheEnd = const { AtTheEnd(Cell::new(None)) };
}

/// Asks for a slot when its thread ends, and sends it.
struct AtTheEnd(Cell<Option<mpsc::Sender<[Slot; 2]>>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        // A panic in here would end the process.
        let slots = [slots::with(|slot| slot), slots::current()];
        self.0.take().unwrap().send(slots).unwrap();
    }
}

/// Might the exit guard run after other destructors of thread-locals, whenever those were made? On
/// `windows-gnu` thread-locals are keys of the system, and run in the order in which the process, and
/// not the thread, first used each of them.
const GUARD_IS_LAST: bool = cfg!(all(windows, target_env = "gnu"));

#[test]
fn who_asks_after_the_exit_guard_is_an_orphan() {
    alone(|| {
        for _ in 0..20 {
            let (send, receive) = mpsc::channel();
            let slot = in_a_thread(move || {
                BEFORE.with(|end| end.0.set(Some(send.clone())));
                let slot = owned();
                AFTER.with(|end| end.0.set(Some(send)));
                slot
            });
            assert_eq!(slot, 0, "a slot has leaked");
            // Destructors run one way or the other: the exit guard is in the middle.
            let mut seen: Vec<[Slot; 2]> = receive.iter().collect();
            seen.sort_by_key(|slots| slots[0] == Slot::Orphan);
            let second = if GUARD_IS_LAST { seen[1][0] } else { Slot::Orphan };
            assert_eq!(seen, [[Slot::Owned(0); 2], [second; 2]]);
        }
    });
}

#[test]
fn who_asks_first_in_a_destructor_gives_the_slot_back() {
    alone(|| {
        for _ in 0..20 {
            let (send, receive) = mpsc::channel();
            in_a_thread(move || BEFORE.with(|end| end.0.set(Some(send))));
            assert_eq!(receive.recv().unwrap(), [Slot::Owned(0); 2]);
        }
    });
}

#[test]
fn threads_beyond_the_table_share_the_orphan_slot() {
    const THREADS: usize = CAPACITY + 10;
    alone(|| {
        let barrier = Barrier::new(THREADS);
        let inside = AtomicUsize::new(0);
        // A panic would keep the others waiting at the barrier: what is wrong is said at the end.
        let seen = in_threads(THREADS, || {
            let slot = slots::current();
            barrier.wait();
            let (with, others) = slots::with(|with| {
                if with != Slot::Orphan {
                    return (with, 0);
                }
                let others = inside.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::Relaxed);
                (with, others)
            });
            let hint = slots::hint();
            // Nobody leaves, and no slot becomes vacant, before all have worked.
            barrier.wait();
            (slot, with, hint, others)
        });
        let mut owned = BTreeSet::new();
        for &(slot, with, hint, others) in &seen {
            assert_eq!((with, others), (slot, 0), "two orphans at once, or a change of slots");
            match slot {
                Slot::Owned(index) => assert!(index == hint && owned.insert(index)),
                Slot::Orphan => assert_eq!(hint, 0),
            }
        }
        assert!(owned.into_iter().eq(0..CAPACITY));
        assert_eq!(seen.len(), THREADS);
    });
}

#[test]
fn an_orphan_gets_a_slot_once_one_is_vacant() {
    alone(|| {
        let (full, leave) = (Barrier::new(CAPACITY + 1), Barrier::new(CAPACITY + 1));
        let (gone, all_gone) = mpsc::channel();
        thread::scope(|scope| {
            let (full, leave) = (&full, &leave);
            let late = scope.spawn(move || {
                full.wait();
                let before = (slots::current(), slots::hint());
                leave.wait();
                all_gone.recv().unwrap();
                (before, slots::current())
            });
            in_threads(CAPACITY, || {
                slots::current();
                full.wait();
                leave.wait();
            });
            gone.send(()).unwrap();
            assert_eq!(late.join().unwrap(), ((Slot::Orphan, 0), Slot::Owned(0)));
        });
    });
}

#[test]
fn vacant_slots_are_drained_and_meanwhile_taken() {
    alone(|| {
        assert_eq!(owned(), 0);
        let barrier = Barrier::new(3);
        in_threads(3, || {
            slots::current();
            barrier.wait();
        });
        let mut drained = Vec::new();
        slots::drain(|slot| {
            drained.push(slot);
            assert_ne!(in_a_thread(owned), slot);
        });
        // The tests before may have used more.
        assert!(drained.starts_with(&[1, 2, 3]) && drained.is_sorted());
    });
}
