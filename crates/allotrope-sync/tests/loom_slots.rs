//! Every interleaving of the slot [`Registry`]: claim, release, inherit, drain, and the orphan slot.
//!
//! Goal: a slot has one owner at a time, and what one owner left in it is visible to the next,
//! whoever came and went beside it.
//!
//! Method: each slot has a cache, a `loom` cell that its owner counts in. A second owner at the same
//! time, or one that does not see what the former wrote, is an access without a happens-before edge
//! and panics. A claim that is dropped is a thread that ends: its exit guard does just that.
#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::thread;
use allotrope_sync::slots::{Claim, Registry};

/// The slots that the models use.
const SLOTS: usize = 3;

/// One word of slots, with a cache for the first few and for the orphan.
struct Threads {
    registry: Registry<1>,
    caches: [UnsafeCell<usize>; SLOTS],
    orphans: UnsafeCell<usize>,
}

// SAFETY: a cache is accessed under the claim of its slot, or with the orphan slot's lock held.
unsafe impl Sync for Threads {}

impl Threads {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(),
            caches: [(); SLOTS].map(|()| UnsafeCell::new(0)),
            orphans: UnsafeCell::new(0),
        })
    }

    /// What a thread does: claims a slot, counts in its cache, and keeps the slot.
    fn begin(&self) -> Claim<'_, 1> {
        let claim = self.registry.claim().expect("there are more slots than threads");
        self.add(claim.index(), 1);
        claim
    }

    /// What a short thread does, which slot it had.
    fn begin_and_end(&self) -> usize {
        self.begin().index()
    }

    /// Adds to the cache of a slot that this thread has claimed.
    fn add(&self, slot: usize, count: usize) {
        // SAFETY: the slot is claimed (caller); `loom` would see another access.
        self.caches[slot].with_mut(|cache| unsafe { *cache += count });
    }

    /// Empties the caches of all vacant slots, and returns what was in them.
    fn drain(&self) -> usize {
        let mut drained = 0;
        self.registry.drain(|slot| {
            // SAFETY: the slot is claimed while it is drained; `loom` would see another access.
            drained += self.caches[slot].with_mut(|cache| unsafe { std::mem::take(&mut *cache) });
        });
        drained
    }

    /// What an orphan does.
    fn count_as_orphan(&self) {
        let _orphan = self.registry.lock_orphan();
        // SAFETY: the orphan slot is locked; `loom` would see another access.
        self.orphans.with_mut(|count| unsafe { *count += 1 });
    }

    /// Ends the model: every slot is vacant, and all that was counted is there.
    fn expect(&self, counted: usize) {
        let left = self.drain();
        assert_eq!(left, counted);
        let all = [(); SLOTS].map(|()| self.registry.claim().unwrap());
        assert_eq!(all.map(|claim| claim.index()), [0, 1, 2]);
    }
}

/// Runs `work` in a thread of its own.
fn spawn<T: 'static>(
    threads: &Arc<Threads>,
    work: impl FnOnce(&Threads) -> T + 'static,
) -> thread::JoinHandle<T> {
    let threads = Arc::clone(threads);
    thread::spawn(move || work(&threads))
}

#[test]
fn threads_at_once_have_the_lowest_slots() {
    loom::model(|| {
        let threads = Threads::new();
        let other = spawn(&threads, |threads| {
            let claim = threads.begin();
            // The thread does not end while the other one runs.
            let index = claim.index();
            std::mem::forget(claim);
            index
        });
        let claim = threads.begin();
        let mut slots = [claim.index(), other.join().unwrap()];
        slots.sort_unstable();
        assert_eq!(slots, [0, 1]);
        assert_eq!(threads.registry.used(), 2);
    });
}

#[test]
fn a_slot_is_inherited_with_what_is_in_it() {
    loom::model(|| {
        let threads = Threads::new();
        let other = spawn(&threads, |threads| {
            threads.begin_and_end();
            threads.begin_and_end()
        });
        let mine = threads.begin_and_end();
        let others = other.join().unwrap();
        assert!(mine <= 1 && others <= 1);
        threads.expect(3);
    });
}

/// The release of slot 0 is followed by changes to other bits of the same word.
#[test]
fn who_comes_and_goes_beside_does_not_hide_what_was_left() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let threads = Threads::new();
        let others = [(); 2].map(|()| spawn(&threads, Threads::begin_and_end));
        let mine = threads.begin_and_end();
        let others = others.map(|other| other.join().unwrap());
        assert!(mine < SLOTS && others.iter().all(|&slot| slot < SLOTS));
        threads.expect(3);
    });
}

#[test]
fn only_vacant_slots_are_drained() {
    loom::model(|| {
        let threads = Threads::new();
        let other = spawn(&threads, |threads| {
            let claim = threads.begin();
            threads.add(claim.index(), 1);
        });
        let drained = threads.drain();
        assert!(drained == 0 || drained == 2, "half of what a running thread counted: {drained}");
        other.join().unwrap();
        threads.expect(2 - drained);
    });
}

#[test]
fn two_drain_while_one_ends() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let threads = Threads::new();
        let claim = threads.begin();
        let others = [(); 2].map(|()| spawn(&threads, Threads::drain));
        drop(claim);
        let drained: usize = others.map(|other| other.join().unwrap()).iter().sum();
        assert!(drained <= 1);
        threads.expect(1 - drained);
    });
}

#[test]
fn who_claims_what_is_drained_gets_it_empty_or_another() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let threads = Threads::new();
        threads.begin_and_end();
        let drain = spawn(&threads, Threads::drain);
        let begin = spawn(&threads, Threads::begin_and_end);
        let slot = begin.join().unwrap();
        let drained = drain.join().unwrap();
        assert!(slot <= 1 && drained <= 2);
        threads.expect(2 - drained);
    });
}

#[test]
fn a_vacant_slot_has_one_taker() {
    loom::model(|| {
        let threads = Threads::new();
        threads.begin_and_end();
        let take = |threads: &Threads| {
            let claim = threads.registry.claim_vacant(0);
            if claim.is_some() {
                threads.add(0, 1);
            }
            claim.map(std::mem::forget).is_some()
        };
        let other = spawn(&threads, take);
        let first = take(&threads);
        let second = other.join().unwrap();
        assert!(first != second, "taken by both, or by nobody");
    });
}

#[test]
fn orphans_take_turns() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let threads = Threads::new();
        let others = [(); 2].map(|()| spawn(&threads, Threads::count_as_orphan));
        threads.count_as_orphan();
        for other in others {
            other.join().unwrap();
        }
        // SAFETY: all others have ended.
        assert_eq!(threads.orphans.with(|count| unsafe { *count }), 3);
    });
}
