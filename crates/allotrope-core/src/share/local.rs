//! Sharing with nobody: a strategy for one thread.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::gate::Gate;
use super::{best_fit_methods, segregated_methods, strategy_methods};
use crate::api::impl_allocator;
use crate::{AllocError, BestFit, Broken, Hook, Policy, Segregated, Source, Span, Strategy};

/// A strategy as an allocator for one thread: no lock, no check, no counter.
///
/// `Local<S>` and `&Local<S>` are `Allocator`s: by value where a container owns all of its memory,
/// by reference where several share it.
///
/// ```
/// use allotrope_core::{BestFit, Local, OsPages};
/// use allocator_api2::{boxed::Box, vec::Vec};
///
/// let heap = Local::new(BestFit::new(OsPages::new()));
/// let mut names = Vec::new_in(&heap);
/// names.push(Box::new_in("one", &heap));
/// names.push(Box::new_in("two", &heap));
/// assert!(heap.bytes_used() > 0);
/// drop(names);
/// assert_eq!(heap.bytes_used(), 0);
/// ```
///
/// It can be sent to another thread, but not be used by two:
///
/// ```compile_fail
/// # use allotrope_core::{BestFit, Local, OsPages};
/// let heap = Local::new(BestFit::new(OsPages::new()));
/// std::thread::scope(|threads| {
///     threads.spawn(|| heap.bytes_used());
/// });
/// ```
///
/// Containers must go before their memory does:
///
/// ```compile_fail
/// # use allotrope_core::{BestFit, Local, OsPages};
/// # use allocator_api2::vec::Vec;
/// let mut heap = Local::new(BestFit::new(OsPages::new()));
/// let mut numbers = Vec::new_in(&heap);
/// numbers.push(1);
/// heap.reset();
/// numbers.push(2);
/// ```
pub struct Local<S> {
    strategy: UnsafeCell<S>,
    gate: Gate,
}

impl<S> Local<S> {
    /// Shares `strategy` with nobody.
    pub const fn new(strategy: S) -> Self {
        Self { strategy: UnsafeCell::new(strategy), gate: Gate::new() }
    }

    /// The strategy, which no allocation can be under way in now.
    pub const fn get_mut(&mut self) -> &mut S {
        self.strategy.get_mut()
    }

    /// The strategy itself.
    pub fn into_inner(self) -> S {
        self.strategy.into_inner()
    }
}

impl<S: Strategy> Local<S> {
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

    /// Runs `work` on the strategy, and then tells the hook what has happened.
    ///
    /// `work` is ours, and calls nothing that could come back here: a source does not call the
    /// allocator that it supplies, or meets the gate; hooks are told after `work` is done.
    #[inline(always)]
    pub(crate) fn run<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        let (result, events) = {
            let _inside = self.gate.enter(S::MAY_REENTER);
            // SAFETY: `Local` is not `Sync`, so this is the only thread here, and `work` does not
            // come back, or not past the gate, so this is the only borrow.
            let strategy = unsafe { &mut *self.strategy.get() };
            (work(strategy), strategy.take_events())
        };
        events.deliver();
        result
    }
}

impl<S: Source, P: Policy, H: Hook> Local<BestFit<S, P, H>> {
    best_fit_methods!();
}

impl<S: Source, P: Policy, H: Hook> Local<Segregated<S, P, H>> {
    segregated_methods!();
}

// SAFETY: blocks are the strategy's; those stay where they are until they are freed, or the
// strategy is dropped or borrowed mutably, wherever it is moved.
unsafe impl<S: Strategy> crate::api::Sound for Local<S> {}
impl_allocator!([S: Strategy] Local<S>);

impl<S: Strategy> From<S> for Local<S> {
    fn from(strategy: S) -> Self {
        Self::new(strategy)
    }
}

impl<S: Strategy + fmt::Debug> fmt::Debug for Local<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Local")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_held", &self.bytes_held())
            .finish_non_exhaustive()
    }
}
