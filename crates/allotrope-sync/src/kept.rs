//! A few addresses that threads leave for each other: what one no longer needs, another takes.
//!
//! ```text
//! put ──▶ │ a │ – │ b │ – │ ──▶ take
//! ```
//!
//! Both look at each place once. A put that finds all places full, and a take that finds all empty,
//! says so; neither waits.
//!
//! # Invariants
//!
//! 1. An address in a place belongs to the places; who takes it out owns it.
//!
//! # Orderings
//!
//! Who takes an address may use what lies there: the taker's `Acquire` sees the putter's `Release`,
//! and with it all that the putter did there before.

use core::ptr::{self, NonNull};

use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::facade::{array_of, const_fn};

/// Up to `N` addresses.
#[derive(Debug)]
pub struct Kept<const N: usize> {
    places: [AtomicPtr<u8>; N],
}

impl<const N: usize> Kept<N> {
    const_fn! {
        /// No address yet.
        pub fn new() -> Self {
            Self { places: array_of!(AtomicPtr::new(ptr::null_mut())) }
        }
    }

    /// Leaves `address` here; false if there is no place for it.
    pub fn put(&self, address: NonNull<u8>) -> bool {
        let (empty, address) = (ptr::null_mut(), address.as_ptr());
        self.places.iter().any(|place| {
            place.compare_exchange(empty, address, Ordering::Release, Ordering::Relaxed).is_ok()
        })
    }

    /// Takes an address away, if there is one.
    pub fn take(&self) -> Option<NonNull<u8>> {
        // Looking first keeps places that are empty from moving between caches.
        let full = self.places.iter().filter(|place| !place.load(Ordering::Relaxed).is_null());
        full.filter_map(|place| NonNull::new(place.swap(ptr::null_mut(), Ordering::Acquire))).next()
    }
}

impl<const N: usize> Default for Kept<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_kept_as_there_are_places() {
        let kept = Kept::<2>::new();
        let bytes = [0_u8; 3];
        let [first, second, third] = [0, 1, 2].map(|index| NonNull::from_ref(&bytes[index]));
        assert_eq!(kept.take(), None);
        assert!(kept.put(first) && kept.put(second) && !kept.put(third));
        assert!(kept.take().is_some() && kept.put(third));
        let left = [kept.take(), kept.take(), kept.take()];
        assert!(left.contains(&Some(third)) && left[2].is_none() && left[0] != left[1]);
    }
}
