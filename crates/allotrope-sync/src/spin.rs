//! A lock that needs no operating system: it waits by trying again.

use crate::facade::atomic::{AtomicBool, Ordering};
use crate::facade::{const_fn, constant, hint};
use lock_api::{GuardSend, RawMutex};

/// A spin lock, for where there is no operating system to wait with.
///
/// A thread that waits keeps its processor busy, and one that is interrupted while it has the lock
/// keeps all others waiting; where there is an operating system, a lock that sleeps is better. It
/// is not fair, and locking it twice from one thread, an interrupt handler included, never ends.
///
/// Waiting threads read and do not write, so that they do not fight over the cache line
/// (Rudolph and Segall 1984: "test and test-and-set").
///
/// # Orderings
///
/// The exchange that takes the lock is `Acquire`, the store that opens it `Release`: what one holder
/// wrote is visible to the next. An exchange that fails, and the reads while the lock is taken, only
/// decide when to try again.
///
/// A swap would do, too, but one that fails writes: `loom` does not know in which order that and the
/// store that opens the lock are, and lets the waiting thread wait for ever.
#[derive(Debug, Default)]
pub struct SpinLock {
    is_locked: AtomicBool,
}

impl SpinLock {
    const_fn! {
        /// A lock that nobody holds.
        pub fn new() -> Self {
            Self { is_locked: AtomicBool::new(false) }
        }
    }
}

// SAFETY: `lock` and `try_lock` return a guard only after the exchange found the flag down
// and put it up, which one thread does at a time until `unlock` puts it down.
unsafe impl RawMutex for SpinLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api makes locks from this")]
    const INIT: Self = constant!(Self::new());

    type Guard = GuardSend;

    #[inline]
    fn lock(&self) -> GuardSend {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            core::hint::cold_path();
            while self.is_locked.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        }
    }

    #[inline]
    fn try_lock(&self) -> Option<GuardSend> {
        let taken =
            self.is_locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock(&self, _: GuardSend) {
        self.is_locked.store(false, Ordering::Release);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use std::thread;

    #[test]
    fn lock_excludes_others_until_it_is_opened() {
        let lock = SpinLock::default();
        let guard = lock.lock();
        assert!(lock.is_locked() && lock.try_lock().is_none());
        // SAFETY: locked above, with this guard.
        unsafe { lock.unlock(guard) };
        assert!(!lock.is_locked() && lock.try_lock().is_some());
    }

    #[test]
    fn what_a_holder_writes_the_next_one_sees() {
        let rounds = if cfg!(miri) { 20 } else { 100 };
        let counter = lock_api::Mutex::<SpinLock, usize>::new(0);
        let start = std::sync::Barrier::new(4);
        let count = || {
            start.wait();
            for _ in 0..rounds {
                let mut counter = counter.lock();
                let seen = *counter;
                thread::yield_now();
                *counter = seen + 1;
            }
        };
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(count);
            }
        });
        assert_eq!(counter.into_inner(), 4 * rounds);
    }
}
