//! What serves for atomics on a target without compare-and-swap: cells, for one thread at a time.
//!
//! They have the names and methods of `core`'s atomics, those that are needed where no thread shares
//! anything. None is `Sync`, and that is what keeps them sound: neither is what is made of them, so
//! that the compiler refuses to share it without a lock. Orderings say nothing to them.

use core::cell::Cell;

pub use core::sync::atomic::Ordering;

/// `AtomicBool`, for one thread.
pub type AtomicBool = Atomic<bool>;
/// `AtomicPtr`, for one thread.
pub type AtomicPtr<T> = Atomic<*mut T>;
/// `AtomicUsize`, for one thread.
pub type AtomicUsize = Atomic<usize>;

/// What a cell may hold: values that are no more than their bits.
///
/// # Safety
///
/// A value means the same on any thread, and whoever has one can do no harm with it but by `unsafe`
/// code.
pub unsafe trait Plain: Copy + PartialEq {}

// SAFETY: it is a bit.
unsafe impl Plain for bool {}
// SAFETY: it is a number.
unsafe impl Plain for usize {}
// SAFETY: whoever follows a pointer answers for that.
unsafe impl<T> Plain for *mut T {}

/// A value that one thread at a time reads and writes.
#[derive(Debug)]
#[repr(transparent)]
pub struct Atomic<T: Plain>(Cell<T>);

// SAFETY: a value of `T` means the same on any thread.
unsafe impl<T: Plain> Send for Atomic<T> {}

impl<T: Plain> Atomic<T> {
    /// Holds `value`.
    #[inline(always)]
    pub const fn new(value: T) -> Self {
        Self(Cell::new(value))
    }

    /// The value.
    #[inline(always)]
    pub fn load(&self, _: Ordering) -> T {
        self.0.get()
    }

    /// Sets the value.
    #[inline(always)]
    pub fn store(&self, value: T, _: Ordering) {
        self.0.set(value);
    }

    /// Sets the value, and returns what it was.
    #[inline(always)]
    pub fn swap(&self, value: T, _: Ordering) -> T {
        self.0.replace(value)
    }

    /// Sets the value if it is `current`, and returns what it was.
    ///
    /// # Errors
    ///
    /// What it is instead.
    #[inline(always)]
    pub fn compare_exchange(&self, current: T, new: T, _: Ordering, _: Ordering) -> Result<T, T> {
        let value = self.0.get();
        if value != current {
            return Err(value);
        }
        self.0.set(new);
        Ok(value)
    }

    /// As [`compare_exchange`](Self::compare_exchange): nothing makes it fail for no reason.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline(always)]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        self.compare_exchange(current, new, success, failure)
    }
}

impl Atomic<usize> {
    /// Adds to the value, which wraps around, and returns what it was.
    #[inline(always)]
    pub fn fetch_add(&self, more: usize, _: Ordering) -> usize {
        self.0.replace(self.0.get().wrapping_add(more))
    }

    /// Subtracts from the value, which wraps around, and returns what it was.
    #[inline(always)]
    pub fn fetch_sub(&self, less: usize, _: Ordering) -> usize {
        self.0.replace(self.0.get().wrapping_sub(less))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;
    use core::sync::atomic;

    const ORDERING: Ordering = Ordering::Relaxed;

    #[test]
    fn cells_do_what_atomics_do() {
        let (cell, atomic) = (AtomicUsize::new(5), atomic::AtomicUsize::new(5));
        let (relaxed, add) = (Ordering::Relaxed, usize::MAX - 2);
        assert_eq!(cell.fetch_add(add, relaxed), atomic.fetch_add(add, relaxed));
        assert_eq!(cell.fetch_sub(9, relaxed), atomic.fetch_sub(9, relaxed));
        assert_eq!(cell.swap(7, relaxed), atomic.swap(7, relaxed));
        for (current, new) in [(7, 8), (7, 9), (8, 7)] {
            let results = [
                cell.compare_exchange(current, new, relaxed, relaxed),
                atomic.compare_exchange(current, new, relaxed, relaxed),
            ];
            assert_eq!(results[0], results[1], "{current} to {new}");
            assert_eq!(cell.load(relaxed), atomic.load(relaxed));
        }
        cell.store(1, relaxed);
        assert_eq!(cell.compare_exchange_weak(1, 2, relaxed, relaxed), Ok(1));
    }

    #[test]
    fn flags_and_pointers_are_cells_too() {
        let flag = AtomicBool::new(false);
        assert!(!flag.swap(true, ORDERING) && flag.swap(true, ORDERING));
        let mut target = 1_u8;
        let pointer = AtomicPtr::new(ptr::null_mut());
        let exchanged =
            pointer.compare_exchange_weak(ptr::null_mut(), &raw mut target, ORDERING, ORDERING);
        assert_eq!(exchanged, Ok(ptr::null_mut()));
        assert_eq!(pointer.load(ORDERING), &raw mut target);
    }

    /// True of every type; which of the two impls says so is not clear of one that is `Sync`.
    trait NotShared<Impl> {
        const HOLDS: bool = true;
    }
    impl<T> NotShared<()> for T {}
    impl<T: Sync> NotShared<bool> for T {}

    #[test]
    fn cells_are_sent_but_not_shared() {
        fn send(_: impl Send) {}
        send(AtomicPtr::new(ptr::null_mut::<u8>()));
        send(AtomicUsize::new(0));
        send(AtomicBool::new(false));
        const { assert!(<AtomicPtr<u8> as NotShared<_>>::HOLDS) };
        const { assert!(<AtomicUsize as NotShared<_>>::HOLDS) };
        const { assert!(<AtomicBool as NotShared<_>>::HOLDS) };
    }
}
