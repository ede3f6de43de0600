//! The registry: which slots are taken, one bit each.
//!
//! ```text
//! slot        0  1  2  3  4  5  6  7 …
//! taken       1  1  0  1  0  0  0  0 …      used = 5
//!                   │     │  └─────────────── never taken: nothing of theirs exists
//!                   │     └─ vacant, used before: the next owner inherits what is in it
//!                   └─ the next claim takes the lowest one that is vacant
//! ```
//!
//! # Invariants
//!
//! 1. A slot's bit is up exactly while one [`Claim`] for it exists, and there is never a second.
//! 2. A slot whose bit was ever up lies below `used`.
//!
//! # Orderings
//!
//! What the former owner of a slot wrote must be visible to the next: the exchange that puts a bit
//! up is `Acquire`, the one that puts it down `Release`. Between the two, others may change other
//! bits of the same word; theirs are read-modify-writes, too, which continue the release sequence,
//! so that an owner synchronizes with all that left before it.
//!
//! The reads before an exchange are `Relaxed`, they only decide what to try; so is an exchange that
//! fails. `used` is `Relaxed`: it publishes nothing, since who wants what is in a slot claims it. A
//! thread that has not heard yet that a slot was used does not drain it, and cannot have been meant
//! to; one to which the claim happened before has.

use core::fmt;

use lock_api::{Mutex, MutexGuard};

use crate::SpinLock;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{array_of, const_fn};

/// Slots in `WORDS` words of bits, and one more behind a lock, for those who get none.
///
/// # Guarantees
///
/// At most one [`Claim`] for a slot exists at a time, and what was done under it happens before
/// what is done under the next. The same holds for the [`Orphan`]. Unsafe code may rely on this.
///
/// ```
/// use allotrope_sync::slots::Registry;
///
/// let registry = Registry::<1>::new();
/// let (first, second) = (registry.claim().unwrap(), registry.claim().unwrap());
/// assert_eq!((first.index(), second.index()), (0, 1));
///
/// drop(first); // its thread has ended
/// assert!(registry.claim_vacant(1).is_none());
/// registry.drain(|slot| assert_eq!(slot, 0));
/// assert_eq!(registry.claim().unwrap().index(), 0);
/// ```
pub struct Registry<const WORDS: usize> {
    taken: [AtomicUsize; WORDS],
    /// The lowest number that no slot which was ever taken has.
    used: AtomicUsize,
    orphan: Mutex<SpinLock, ()>,
}

impl<const WORDS: usize> Registry<WORDS> {
    /// How many slots there are, besides the orphan slot.
    pub const CAPACITY: usize = WORDS * usize::BITS as usize;

    const_fn! {
        /// A registry in which no slot was ever taken.
        pub fn new() -> Self {
            Self {
                taken: array_of!(AtomicUsize::new(0)),
                used: AtomicUsize::new(0),
                orphan: Mutex::from_raw(SpinLock::new(), ()),
            }
        }
    }

    /// Takes the lowest slot that is vacant, and with it what its former owner left.
    ///
    /// The numbers are dense: without others that drain, a slot is taken only when as many threads
    /// as its number have one. O(`WORDS`), more while others take slots of the same word. `None`
    /// when none is vacant.
    pub fn claim(&self) -> Option<Claim<'_, WORDS>> {
        let index = (0..WORDS).find_map(|word| self.put_up_lowest(word))?;
        self.note_use(index);
        Some(Claim { registry: self, index })
    }

    /// Takes slot `index` if it is vacant, and with it what its former owner left.
    ///
    /// O(1). `None` when it is taken, or beyond the table.
    pub fn claim_vacant(&self, index: usize) -> Option<Claim<'_, WORDS>> {
        let (word, bit) = place(index);
        let word = self.taken.get(word)?;
        let is_vacant = |seen: usize| seen & bit == 0;
        if !is_vacant(word.load(Ordering::Relaxed))
            || !is_vacant(word.fetch_or(bit, Ordering::Acquire))
        {
            return None;
        }
        self.note_use(index);
        Some(Claim { registry: self, index })
    }

    /// Calls `work` with each slot that was used and is vacant, which is taken meanwhile.
    ///
    /// No thread has that slot while `work` runs, and none gets it: its caches can be emptied.
    /// Slots that become vacant during the call may be left out. A slot whose `work` unwinds is
    /// vacant again. O(slots used).
    pub fn drain(&self, mut work: impl FnMut(usize)) {
        for index in 0..self.used() {
            if let Some(claim) = self.claim_vacant(index) {
                work(claim.index());
            }
        }
    }

    /// How many slots were ever taken: no slot of this number or above has an owner's leavings.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits for the slot that all share who have none.
    ///
    /// Its owner must not ask for it again before it gives it back: that would wait for ever.
    pub fn lock_orphan(&self) -> Orphan<'_> {
        Orphan { _guard: self.orphan.lock() }
    }

    /// Puts up the lowest bit of `word` that is down, and returns its slot.
    fn put_up_lowest(&self, word: usize) -> Option<usize> {
        let mut seen = self.taken[word].load(Ordering::Relaxed);
        loop {
            let lowest = seen.trailing_ones();
            let bit = 1_usize.checked_shl(lowest)?;
            match self.taken[word].compare_exchange_weak(
                seen,
                seen | bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(word * usize::BITS as usize + lowest as usize),
                Err(now) => seen = now,
            }
        }
    }

    fn note_use(&self, index: usize) {
        if index >= self.used.load(Ordering::Relaxed) {
            self.used.fetch_max(index + 1, Ordering::Relaxed);
        }
    }
}

/// Where the bit of a slot is: its word, and the bit in it.
const fn place(index: usize) -> (usize, usize) {
    let bits = usize::BITS as usize;
    (index / bits, 1 << (index % bits))
}

impl<const WORDS: usize> Default for Registry<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> fmt::Debug for Registry<WORDS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("used", &self.used()).finish_non_exhaustive()
    }
}

/// A slot that is taken, until this is dropped.
#[derive(Debug)]
#[must_use = "the slot is vacant again when its claim is dropped"]
pub struct Claim<'a, const WORDS: usize> {
    registry: &'a Registry<WORDS>,
    index: usize,
}

impl<const WORDS: usize> Claim<'_, WORDS> {
    /// The slot's number, below [`Registry::CAPACITY`].
    pub fn index(&self) -> usize {
        self.index
    }
}

impl<const WORDS: usize> Drop for Claim<'_, WORDS> {
    fn drop(&mut self) {
        let (word, bit) = place(self.index);
        self.registry.taken[word].fetch_and(!bit, Ordering::Release);
    }
}

/// The slot of those who have none, until this is dropped.
#[must_use = "the next one gets the slot when this is dropped"]
pub struct Orphan<'a> {
    _guard: MutexGuard<'a, SpinLock, ()>,
}

impl fmt::Debug for Orphan<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Orphan")
    }
}
