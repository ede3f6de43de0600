//! Every interleaving of the [`SpinLock`]: who has it, who waits for it, who only tries.
//!
//! Goal: one thread at a time has the lock, and what it wrote is visible to the next. The guarded
//! counter is a `loom` cell, so an access without a happens-before edge panics even if the value
//! read is right.
#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::SpinLock;
use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::thread;
use lock_api::RawMutex;

/// A counter that the lock guards.
struct Guarded {
    lock: SpinLock,
    count: UnsafeCell<usize>,
}

// SAFETY: the counter is accessed with the lock held.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: SpinLock::new(), count: UnsafeCell::new(0) })
    }

    fn lock_and_add_one(&self) {
        let guard = self.lock.lock();
        self.add_one(guard);
    }

    fn try_to_add_one(&self) -> bool {
        let guard = self.lock.try_lock();
        guard.map(|guard| self.add_one(guard)).is_some()
    }

    fn add_one(&self, guard: <SpinLock as RawMutex>::Guard) {
        // SAFETY: the guard says that the lock is held; `loom` would see another access.
        self.count.with_mut(|count| unsafe { *count += 1 });
        // SAFETY: this thread holds the lock, and this is its guard.
        unsafe { self.lock.unlock(guard) };
    }

    /// What was counted, when all others have ended.
    fn count(&self) -> usize {
        // SAFETY: nobody else is left (caller); `loom` would see another access.
        self.count.with(|count| unsafe { *count })
    }
}

/// Runs `work` on the counter in a thread of its own.
fn spawn<T: 'static>(
    guarded: &Arc<Guarded>,
    work: impl FnOnce(&Guarded) -> T + 'static,
) -> thread::JoinHandle<T> {
    let guarded = Arc::clone(guarded);
    thread::spawn(move || work(&guarded))
}

#[test]
fn what_a_holder_writes_the_next_one_sees() {
    loom::model(|| {
        let guarded = Guarded::new();
        let other = spawn(&guarded, |guarded| {
            guarded.lock_and_add_one();
            guarded.lock_and_add_one();
        });
        guarded.lock_and_add_one();
        other.join().unwrap();
        assert_eq!(guarded.count(), 3);
    });
}

/// Two threads that wait let each other go first, for as long as `loom` explores that: few switches
/// are forced here, and [`two_who_try_and_one_who_waits`] has all of them.
#[test]
fn three_threads_take_turns() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let guarded = Guarded::new();
        let others = [(); 2].map(|()| spawn(&guarded, Guarded::lock_and_add_one));
        guarded.lock_and_add_one();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(guarded.count(), 3);
    });
}

#[test]
fn two_who_try_and_one_who_waits() {
    loom::model(|| {
        let guarded = Guarded::new();
        let others = [(); 2].map(|()| spawn(&guarded, Guarded::try_to_add_one));
        guarded.lock_and_add_one();
        let counted = others.map(|other| usize::from(other.join().unwrap()));
        assert!(!guarded.lock.is_locked());
        assert_eq!(guarded.count(), 1 + counted[0] + counted[1]);
    });
}
