//! Thread slots: a small number for each running thread, and what happens to it at the thread's end.
//!
//! A running thread owns a slot. It claims the lowest vacant one on first use; what is kept under
//! that number (caches of free blocks) is then its own, and nobody else's, until it ends. The next
//! thread that claims the slot inherits what lies there, and [`drain`] empties what nobody has
//! inherited yet. Threads beyond the table, and calls after a thread has given up its slot, share
//! one *orphan* slot, behind a lock.
//!
//! ```text
//! first use        runs              ends                  destructors that run still later
//!    │ claim         │ Owned(3)        │ exit guard: release    │ Orphan, under its lock
//!    ▼               ▼                 ▼                        ▼
//! ───●═══════════════●═════════════════●────────────────────────●───
//! ```

use crate::facade::process_wide;

mod registry;
#[cfg(all(feature = "std", not(any(loom, shuttle))))]
mod threads;
#[cfg(any(not(feature = "std"), loom, shuttle))]
#[path = "one_thread.rs"]
mod threads;

pub use registry::{Claim, Orphan, Registry};
pub use threads::{current, hint, known};

/// The words of the process's table: 64 bytes of bits, a cache line.
///
/// 512 threads that run at once are many; with that many, a table of one pointer per slot is a page.
const WORDS: usize = 512 / usize::BITS as usize;

/// How many slots there are, besides the orphan slot: [`Slot::Owned`] holds numbers below this.
pub const CAPACITY: usize = Registry::<WORDS>::CAPACITY;

process_wide! {
    /// The process's registry.
    static REGISTRY: Registry<WORDS> = Registry::new();
}

/// What the current thread works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A slot of its own, below [`CAPACITY`].
    Owned(usize),
    /// The slot that all share who have none. It may be used only while its lock is held: within
    /// [`with`].
    Orphan,
}

/// Calls `work` with the slot of the current thread; an orphan holds the lock of its slot meanwhile.
///
/// Nobody else works with the same slot until `work` returns, and what was done with it before
/// happened before. `work` must not call this again: an orphan would wait for ever, and others
/// would have their slot twice. It must not end the thread or the process either.
///
/// ```
/// use allotrope_sync::slots::{self, Slot};
///
/// // What a heap keeps for each slot; the last row is the orphan's.
/// let row = slots::with(|slot| match slot {
///     Slot::Owned(index) => index,
///     Slot::Orphan => slots::CAPACITY,
/// });
/// assert!(row <= slots::CAPACITY);
/// ```
#[inline]
pub fn with<R>(work: impl FnOnce(Slot) -> R) -> R {
    match current() {
        Slot::Owned(index) => work(Slot::Owned(index)),
        Slot::Orphan => {
            let _orphan = REGISTRY.lock_orphan();
            work(Slot::Orphan)
        }
    }
}

/// Calls `work` with each slot that was used before and that no thread has, nor gets meanwhile.
pub fn drain(work: impl FnMut(usize)) {
    REGISTRY.drain(work);
}
