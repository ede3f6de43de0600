//! The slot of the current thread.
//!
//! ```text
//! INDEX (Cell, no destructor)    UNCLAIMED ──first use──▶ 0 ≤ slot < CAPACITY ──exit──▶ ORPHAN
//! EXIT  (Claim, destructor)                               registered            runs
//! ```
//!
//! Two thread-locals, since one with a destructor cannot be read while and after that runs. The
//! index has none: reading it is a load and a compare, at any time in the life of a thread.
//!
//! # Invariants
//!
//! 1. While a thread's index is below [`CAPACITY`], that thread's exit guard holds the claim for it,
//!    or is about to get it in `claim`, further up on this thread's stack.
//! 2. Once a thread is an orphan by its exit guard, it stays one.

use core::cell::Cell;

use super::{CAPACITY, Claim, REGISTRY, Slot, WORDS};

/// The thread has not asked yet, or there was no vacant slot when it did.
const UNCLAIMED: usize = usize::MAX;

/// The thread's exit guard has run.
const ORPHAN: usize = usize::MAX - 1;

std::thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(UNCLAIMED) };
    static EXIT: ExitGuard = const { ExitGuard { claim: Cell::new(None) } };
}

/// Gives the thread's slot back when the thread ends.
struct ExitGuard {
    claim: Cell<Option<Claim<'static, WORDS>>>,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        // The claim is dropped after this: from here on the slot is no longer ours to use.
        INDEX.set(ORPHAN);
    }
}

/// The slot of the current thread, which claims one on first use.
///
/// A slot that is owned is the thread's until its exit guard runs, among the destructors of its
/// thread-locals: it must not be kept beyond the call in which it was asked for.
#[inline]
pub fn current() -> Slot {
    match INDEX.get() {
        index if index < CAPACITY => Slot::Owned(index),
        _ => claim(),
    }
}

/// The number of the current thread's slot, if it has one already; else [`CAPACITY`] or more.
///
/// It claims none, so that a table of fewer slots is looked up with one comparison: one that fails
/// asks [`current`]. As there, the slot is the thread's for the call in which it was asked for.
#[inline(always)]
pub fn known() -> usize {
    INDEX.get()
}

/// A small number for the current thread, to spread threads over something: that of its slot, or 0
/// for an orphan.
///
/// It promises nothing: two threads may have the same, and a thread another one in its next call.
#[inline]
pub fn hint() -> usize {
    match INDEX.get() {
        index if index < CAPACITY => index,
        _ => match claim() {
            Slot::Owned(index) => index,
            Slot::Orphan => 0,
        },
    }
}

#[cold]
#[inline(never)]
fn claim() -> Slot {
    if INDEX.get() == ORPHAN {
        return Slot::Orphan;
    }
    let Some(claim) = REGISTRY.claim() else { return Slot::Orphan };
    let index = claim.index();
    // First the index: to register the guard's destructor may allocate, and so come back to here.
    INDEX.set(index);
    match EXIT.try_with(|exit| exit.claim.set(Some(claim))) {
        Ok(()) => Slot::Owned(index),
        // The guard has gone without our knowing; the claim went with the closure.
        Err(_) => {
            INDEX.set(ORPHAN);
            Slot::Orphan
        }
    }
}
