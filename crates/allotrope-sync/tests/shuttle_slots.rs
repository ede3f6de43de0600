//! Random interleavings of the slot [`Registry`] with more threads than `loom` can explore.
//!
//! Goal: whatever eight threads do with a table that is nearly too small for them, a slot has one
//! owner at a time, and nothing that was left in one is lost.
//!
//! Method: `shuttle` runs the model many times and chooses at random who goes on after each step.
//! It has no weak memory; the orderings are `loom_slots.rs`'s.
#![cfg(shuttle)]

use std::sync::Arc;

use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::thread;
use allotrope_sync::slots::Registry;
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};

/// How many threads there are, and how often each takes a slot.
const THREADS: usize = 8;
const ROUNDS: usize = 12;

/// How many slots are left, fewer than there are threads: some are orphans.
const SLOTS: usize = 6;

/// The caches of a heap that counts.
struct Heap {
    registry: Registry<1>,
    caches: [UnsafeCell<usize>; SLOTS],
    orphans: UnsafeCell<usize>,
    drained: UnsafeCell<usize>,
}

// SAFETY: a cache is accessed under the claim of its slot, `orphans` and `drained` with the orphan
// slot's lock held; the cell notices if not.
unsafe impl Sync for Heap {}

impl Heap {
    /// Adds to `count`, which is the caller's for now.
    fn add(count: &UnsafeCell<usize>, more: usize) {
        // SAFETY: nobody else accesses it (caller), or the cell notices.
        count.with_mut(|count| unsafe { *count += more });
    }

    /// Counts once, in the cache of a slot or in the orphan's.
    fn count(&self) {
        match self.registry.claim() {
            Some(claim) => Self::add(&self.caches[claim.index()], 1),
            None => {
                let _orphan = self.registry.lock_orphan();
                Self::add(&self.orphans, 1);
            }
        }
    }

    /// Empties all caches that nobody owns.
    fn drain(&self) {
        self.registry.drain(|slot| {
            let Some(cache) = self.caches.get(slot) else { return };
            // SAFETY: the slot is claimed meanwhile, or the cell notices.
            let count = cache.with_mut(|cache| std::mem::take(unsafe { &mut *cache }));
            let _orphan = self.registry.lock_orphan();
            Self::add(&self.drained, count);
        });
    }
}

fn model() {
    let heap = Arc::new(Heap {
        registry: Registry::new(),
        caches: [const { UnsafeCell::new(0) }; SLOTS],
        orphans: UnsafeCell::new(0),
        drained: UnsafeCell::new(0),
    });
    // The other slots of the table belong to threads that never end.
    for slot in SLOTS..Registry::<1>::CAPACITY {
        std::mem::forget(heap.registry.claim_vacant(slot).expect("nobody has it"));
    }
    let run = |number: usize| {
        let heap = Arc::clone(&heap);
        thread::spawn(move || {
            for round in 0..ROUNDS {
                heap.count();
                if (number + round) % 5 == 0 {
                    heap.drain();
                }
            }
        })
    };
    let threads: Vec<_> = (0..THREADS).map(run).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    heap.drain();
    let all = heap.caches.iter().chain([&heap.orphans, &heap.drained]);
    // SAFETY: all other threads have ended.
    let counted: usize = all.map(|count| count.with(|count| unsafe { *count })).sum();
    assert_eq!(counted, THREADS * ROUNDS);
    assert!(heap.registry.claim().is_some_and(|claim| claim.index() == 0));
}

/// Runs the model as `scheduler` says.
fn check(scheduler: impl Scheduler + 'static) {
    let mut config = shuttle::Config::new();
    // It has no weak memory: we know.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model);
}

#[test]
fn eight_threads_share_a_small_table() {
    check(RandomScheduler::new_from_seed(1, 1500));
}

/// Few switches at unlikely places (Burckhardt and others 2010: "A randomized scheduler with
/// probabilistic guarantees of finding bugs").
#[test]
fn eight_threads_share_a_small_table_with_few_switches() {
    check(PctScheduler::new_from_seed(1, 4, 1500));
}
