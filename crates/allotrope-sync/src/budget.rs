//! A budget of bytes that threads share: what is taken never exceeds the limit.
//!
//! # Invariants
//!
//! 1. `used` is what was taken and not given back, and a take leaves it at the limit at most: it
//!    adds by compare and exchange to the very sum that it has compared with the limit, so two
//!    takes that fit only one by one do not both succeed.
//!
//! # Orderings
//!
//! - Taking is `Acquire`, giving back is `Release`: whoever takes what another thread gave back
//!   sees what that did before. An allocator of exactly the limit's size behind a budget thus has
//!   room for what the budget admits: it saw the free first.
//! - A take that fails reads nothing but the sum, and the limit guards no memory: `Relaxed`.

use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::const_fn;

/// A number of bytes of which any number of threads take and give back parts. Lock-free, O(1).
///
/// ```
/// use allotrope_sync::SharedBudget;
///
/// let budget = SharedBudget::new(1000);
/// assert!(budget.take(600));
/// assert!(!budget.take(600));
/// budget.give_back(600);
/// assert!(budget.take(600));
/// ```
#[derive(Debug)]
pub struct SharedBudget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl SharedBudget {
    const_fn! {
        /// A budget of `limit` bytes, nothing of it taken.
        pub fn new(limit: usize) -> Self {
            Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
        }
    }

    /// Takes `bytes`, if so many are left; if not, nothing has changed.
    #[inline]
    pub fn take(&self, bytes: usize) -> bool {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let Some(sum) = used.checked_add(bytes) else { return false };
            if sum > self.limit.load(Ordering::Relaxed) {
                return false;
            }
            let (taken, refused) = (Ordering::Acquire, Ordering::Relaxed);
            match self.used.compare_exchange_weak(used, sum, taken, refused) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
    }

    /// Gives back `bytes` that were taken.
    #[inline]
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Release);
    }

    /// How many bytes are taken. Other threads may change it at any time.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How many bytes may be taken in all.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets how many bytes may be taken in all, from the next take on. What is taken stays taken,
    /// though it may be more.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }
}
