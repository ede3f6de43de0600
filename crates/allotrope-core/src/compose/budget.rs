//! Budgets: how many bytes a [`Limit`](super::Limit) may have out, for one thread or for many.

#[cfg(target_has_atomic = "ptr")]
mod shared;

use core::cell::Cell;

mod sealed {
    /// Budgets are ours: their methods do not unwind in the middle of a call.
    pub trait Sealed {}
}

/// What a [`Limit`](super::Limit) takes its bytes from: a [`LocalBudget`], a
/// [`SharedBudget`](crate::SharedBudget), or a reference to one that several limits share.
pub trait Budget: sealed::Sealed {
    /// Takes `bytes`, if so many are left; if not, nothing has changed.
    fn take(&self, bytes: usize) -> bool;

    /// Gives back `bytes` that were taken.
    fn give_back(&self, bytes: usize);

    /// How many bytes are taken.
    fn used(&self) -> usize;

    /// How many bytes may be taken in all.
    fn limit(&self) -> usize;

    /// Sets how many bytes may be taken in all. What is taken stays taken, though it may be more.
    fn set_limit(&self, bytes: usize);
}

/// A number of bytes of which one thread takes and gives back parts. O(1).
#[derive(Debug, Default)]
pub struct LocalBudget {
    used: Cell<usize>,
    limit: Cell<usize>,
}

impl LocalBudget {
    /// A budget of `limit` bytes, nothing of it taken.
    pub const fn new(limit: usize) -> Self {
        Self { used: Cell::new(0), limit: Cell::new(limit) }
    }
}

impl sealed::Sealed for LocalBudget {}

impl Budget for LocalBudget {
    #[inline(always)]
    fn take(&self, bytes: usize) -> bool {
        let Some(sum) = self.used.get().checked_add(bytes) else { return false };
        let is_left = sum <= self.limit.get();
        if is_left {
            self.used.set(sum);
        }
        is_left
    }

    #[inline(always)]
    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().wrapping_sub(bytes));
    }

    fn used(&self) -> usize {
        self.used.get()
    }

    fn limit(&self) -> usize {
        self.limit.get()
    }

    fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }
}

/// Forwards to the inherent methods, or to those behind a reference.
macro_rules! forward {
    ([$($parameters:tt)*] $type:ty, $budget:ty) => {
        impl<$($parameters)*> sealed::Sealed for $type {}

        impl<$($parameters)*> Budget for $type {
            #[inline(always)]
            fn take(&self, bytes: usize) -> bool { <$budget>::take(self, bytes) }
            #[inline(always)]
            fn give_back(&self, bytes: usize) { <$budget>::give_back(self, bytes) }
            fn used(&self) -> usize { <$budget>::used(self) }
            fn limit(&self) -> usize { <$budget>::limit(self) }
            fn set_limit(&self, bytes: usize) { <$budget>::set_limit(self, bytes) }
        }
    };
}
forward!([B: Budget] &B, B);
#[cfg(target_has_atomic = "ptr")]
use forward;
