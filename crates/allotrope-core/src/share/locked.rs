//! Sharing behind a lock: a strategy for many threads.

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_sync::fatal::no_unwinding;
use allotrope_sync::inside;
use lock_api::{Mutex, RawMutex};

use super::lock::SpinLock;
use super::{best_fit_methods, segregated_methods, strategy_methods};
use crate::api::{impl_allocator, impl_global_alloc};
use crate::{AllocError, BestFit, Broken, Hook, Policy, Segregated, Source, Span, Strategy};

/// A strategy as an allocator for many threads, behind one lock.
///
/// The lock is any of `lock_api`'s: our [`SpinLock`], which needs no operating system, or one that
/// sleeps, such as `parking_lot::RawMutex`, which is the better choice where there is one. A program
/// without an operating system that shares with interrupt handlers brings one that turns interrupts
/// off; a target without compare-and-swap has no `SpinLock`, and needs one.
///
/// `Locked` and `&Locked` are `Allocator`s, and a `Locked` in a `static` is a `GlobalAlloc`:
///
/// ```
/// use allotrope_core::{BestFit, Locked, OsPages};
///
/// #[global_allocator]
/// static HEAP: Locked<BestFit<OsPages>> = Locked::new(BestFit::new(OsPages::new()));
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(HEAP.bytes_used() >= 4000);
/// # drop(numbers);
/// ```
///
/// A global allocator's lock must not allocate. `parking_lot`'s does, when a thread waits for the
/// first time: from there it comes back to the lock that it waits for, until the stack overflows.
/// So there it is [`SpinLock`], or a lock that is known not to.
///
/// Hooks are told after the lock is open again.
pub struct Locked<S, R = SpinLock> {
    strategy: Mutex<R, S>,
}

impl<S, R: RawMutex> Locked<S, R> {
    /// Shares `strategy` behind a lock that the type names:
    /// `Locked::<_, parking_lot::RawMutex>::with_lock(strategy)`.
    pub const fn with_lock(strategy: S) -> Self {
        Self::over(Mutex::new(strategy))
    }

    pub(super) const fn over(strategy: Mutex<R, S>) -> Self {
        Self { strategy }
    }

    /// The strategy, which no allocation can be under way in now.
    pub fn get_mut(&mut self) -> &mut S {
        self.strategy.get_mut()
    }

    /// The strategy itself.
    pub fn into_inner(self) -> S {
        self.strategy.into_inner()
    }
}

impl<S: Strategy, R: RawMutex> Locked<S, R> {
    strategy_methods!();

    /// Runs `work` on the strategy; for what a strategy of another crate can do besides.
    ///
    /// # Safety
    ///
    /// `work` does not come back to this allocator.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn visit<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        self.run(work)
    }

    /// Runs `work` on the strategy, and then, unlocked, tells the hook what has happened.
    #[inline(always)]
    pub(crate) fn run<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        // An allocator must not unwind, though its lock may.
        let (result, events) = no_unwinding(|| {
            let locked = || {
                let mut strategy = self.strategy.lock();
                (work(&mut strategy), strategy.take_events())
            };
            if S::MAY_REENTER { inside::once(self, locked) } else { locked() }
        });
        events.deliver();
        result
    }
}

impl<S: Source, P: Policy, H: Hook, R: RawMutex> Locked<BestFit<S, P, H>, R> {
    best_fit_methods!();
}

impl<S: Source, P: Policy, H: Hook, R: RawMutex> Locked<Segregated<S, P, H>, R> {
    segregated_methods!();
}

// SAFETY: as for `Local`, and the lock lets one thread at a time at the strategy.
unsafe impl<S: Strategy, R: RawMutex> crate::api::Sound for Locked<S, R> {}
impl_allocator!([S: Strategy, R: RawMutex] Locked<S, R>);

// SAFETY: the strategy's guarantees are those that a global allocator owes.
impl_global_alloc!([S: Strategy, R: RawMutex] Locked<S, R>);

impl<S: Strategy, R: RawMutex> fmt::Debug for Locked<S, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not a word about the strategy: whoever prints this may hold the lock.
        formatter.debug_struct("Locked").finish_non_exhaustive()
    }
}
