//! The registry of slots against a trivially right twin, a set behind a mutex.
//!
//! One after the other, both answer the same; with many threads, both keep the same promises.
#![cfg(not(any(loom, shuttle)))]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use allotrope_sync::slots::{Claim, Registry};

/// The words of the registries here.
const WORDS: usize = 2;

/// Their slots.
const CAPACITY: usize = Registry::<WORDS>::CAPACITY;

/// What the registry and its twin have in common.
trait Slots: Default + Sync {
    type Claim<'a>
    where
        Self: 'a;

    fn claim(&self) -> Option<Self::Claim<'_>>;
    fn claim_vacant(&self, index: usize) -> Option<Self::Claim<'_>>;
    fn drain(&self, work: impl FnMut(usize));
    fn used(&self) -> usize;
    fn index(claim: &Self::Claim<'_>) -> usize;
}

impl Slots for Registry<WORDS> {
    type Claim<'a> = Claim<'a, WORDS>;

    fn claim(&self) -> Option<Claim<'_, WORDS>> {
        Registry::claim(self)
    }

    fn claim_vacant(&self, index: usize) -> Option<Claim<'_, WORDS>> {
        Registry::claim_vacant(self, index)
    }

    fn drain(&self, work: impl FnMut(usize)) {
        Registry::drain(self, work);
    }

    fn used(&self) -> usize {
        Registry::used(self)
    }

    fn index(claim: &Claim<'_, WORDS>) -> usize {
        claim.index()
    }
}

/// The twin: which slots are taken, and how many ever were.
#[derive(Default)]
struct Twin {
    state: Mutex<(BTreeSet<usize>, usize)>,
}

struct TwinClaim<'a> {
    twin: &'a Twin,
    index: usize,
}

impl Twin {
    /// Takes the first slot of `candidates` that is vacant.
    fn take(&self, mut candidates: impl Iterator<Item = usize>) -> Option<TwinClaim<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, used) = &mut *state;
        let index = candidates.find(|&index| index < CAPACITY && taken.insert(index))?;
        *used = (*used).max(index + 1);
        Some(TwinClaim { twin: self, index })
    }
}

impl Drop for TwinClaim<'_> {
    fn drop(&mut self) {
        let mut state = self.twin.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(state.0.remove(&self.index));
    }
}

impl Slots for Twin {
    type Claim<'a> = TwinClaim<'a>;

    fn claim(&self) -> Option<TwinClaim<'_>> {
        self.take(0..CAPACITY)
    }

    fn claim_vacant(&self, index: usize) -> Option<TwinClaim<'_>> {
        self.take([index].into_iter())
    }

    fn drain(&self, mut work: impl FnMut(usize)) {
        for index in 0..self.used() {
            if let Some(claim) = self.claim_vacant(index) {
                work(claim.index);
            }
        }
    }

    fn used(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn index(claim: &TwinClaim<'_>) -> usize {
        claim.index
    }
}

/// Numbers that look random and are the same each time (Steele, Lea and Flood 2014: "SplitMix").
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}

fn steps() -> usize {
    if cfg!(miri) { 300 } else { 30_000 }
}

#[test]
fn one_after_the_other_both_answer_the_same() {
    for seed in 0..4 {
        let (registry, twin) = (Registry::<WORDS>::default(), Twin::default());
        let mut claims = Vec::new();
        let mut random = Random(seed);
        for step in 0..steps() {
            // Full at times, and empty at times.
            let is_growing = step % 1024 < 600;
            match random.below(8) {
                0 => {
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    registry.drain(|slot| ours.push(slot));
                    twin.drain(|slot| theirs.push(slot));
                    assert_eq!(ours, theirs);
                }
                1 => {
                    let index = random.below(CAPACITY + 8);
                    push(&mut claims, registry.claim_vacant(index), twin.claim_vacant(index));
                }
                kind if (kind < 6) == is_growing => {
                    push(&mut claims, registry.claim(), twin.claim());
                }
                _ if claims.is_empty() => {}
                _ => drop(claims.swap_remove(random.below(claims.len()))),
            }
            assert_eq!(registry.used(), twin.used());
        }
    }
}

/// Keeps both claims, which are the same.
fn push<'a>(
    claims: &mut Vec<(Claim<'a, WORDS>, TwinClaim<'a>)>,
    ours: Option<Claim<'a, WORDS>>,
    theirs: Option<TwinClaim<'a>>,
) {
    assert_eq!(ours.as_ref().map(Claim::index), theirs.as_ref().map(|claim| claim.index));
    claims.extend(ours.zip(theirs));
}

#[test]
fn many_threads_never_share_a_slot_in_the_registry() {
    never_share::<Registry<WORDS>>();
}

#[test]
fn many_threads_never_share_a_slot_in_the_twin() {
    never_share::<Twin>();
}

/// Threads claim, give back and drain; each slot counts its owners and its claims.
fn never_share<S: Slots>() {
    const THREADS: usize = 8;
    let slots = S::default();
    let has_owner = [const { AtomicBool::new(false) }; CAPACITY];
    let claims = [const { AtomicUsize::new(0) }; CAPACITY];
    let drained = AtomicUsize::new(0);
    let begin = |slot: usize| {
        assert!(!has_owner[slot].swap(true, Ordering::Relaxed), "slot {slot} has two owners");
        // Not one access: another owner's would be lost.
        claims[slot].store(claims[slot].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    };
    let end = |slot: usize| assert!(has_owner[slot].swap(false, Ordering::Relaxed));
    let drain = || {
        slots.drain(|slot| {
            assert!(!has_owner[slot].swap(true, Ordering::Relaxed), "slot {slot} has an owner");
            let count = claims[slot].load(Ordering::Relaxed);
            claims[slot].store(0, Ordering::Relaxed);
            drained.fetch_add(count, Ordering::Relaxed);
            assert!(has_owner[slot].swap(false, Ordering::Relaxed));
        });
    };
    let run = |seed| {
        let mut random = Random(seed);
        let (mut mine, mut count) = (Vec::new(), 0);
        for _ in 0..steps() / THREADS {
            match random.below(16) {
                0 => drain(),
                1..8 if mine.len() < 4 => {
                    let claim = slots.claim().expect("there are more slots than claims");
                    begin(S::index(&claim));
                    count += 1;
                    mine.push(claim);
                }
                _ if mine.is_empty() => {}
                _ => {
                    let claim = mine.swap_remove(random.below(mine.len()));
                    end(S::index(&claim));
                }
            }
        }
        mine.iter().for_each(|claim| end(S::index(claim)));
        count
    };
    let counted: usize = thread::scope(|scope| {
        let threads = [0, 1, 2, 3, 4, 5, 6, 7].map(|seed| scope.spawn(move || run(seed)));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    drain();
    assert_eq!(drained.into_inner(), counted);
    // Each thread had at most four, and one at a time while it drained.
    assert!(slots.used() <= 5 * THREADS, "{}", slots.used());
    assert!(slots.claim().is_some_and(|claim| S::index(&claim) == 0));
}
