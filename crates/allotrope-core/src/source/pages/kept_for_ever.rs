//! A part of the store that is made in pages of its own when it is first needed, and stays.
//!
//! # Orderings
//!
//! Published with `Release` and read with `Acquire`: whoever finds it sees what it was made of.

use core::marker::PhantomData;
use core::ptr;

use allotrope_sync::facade::atomic::{AtomicPtr, Ordering};
use allotrope_sync::facade::const_fn;

use super::Platform;

/// A `T`, or none yet.
#[derive(Debug)]
pub(super) struct KeptForEver<T, N> {
    place: AtomicPtr<T>,
    platform: PhantomData<fn() -> N>,
}

impl<T, N: Platform> KeptForEver<T, N> {
    const_fn! {
        /// None yet.
        pub(super) fn new() -> Self {
            Self { place: AtomicPtr::new(ptr::null_mut()), platform: PhantomData }
        }
    }

    /// What there is.
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        // SAFETY: what is published is initialized, and stays for ever.
        unsafe { self.place.load(Ordering::Acquire).as_ref() }
    }

    /// What there is, or else what `make` returns. `None` if the system has no memory for it.
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.get().or_else(|| self.publish(make()))
    }

    /// Publishes `value`, unless another thread has published one meanwhile.
    #[cold]
    fn publish(&self, value: T) -> Option<&T> {
        const { assert!(align_of::<T>() <= 4096, "pages are aligned enough") };
        let size = size_of::<T>().next_multiple_of(N::page_size().max(N::REGION_ALIGN));
        let (start, _) = N::reserve(size)?;
        // SAFETY: the range is the one just reserved, or nobody else knows of it.
        if N::needs_commit() && !unsafe { N::commit(start, size) } {
            // SAFETY: as above.
            unsafe { N::release(start, size) };
            return None;
        }
        let made = start.cast::<T>();
        // SAFETY: the pages are usable, ours alone, large enough and aligned.
        unsafe { made.write(value) };
        let expected = ptr::null_mut();
        let (published, relaxed) = (Ordering::Release, Ordering::Relaxed);
        if self.place.compare_exchange(expected, made.as_ptr(), published, relaxed).is_err() {
            // SAFETY: the pages were never published. `T` is given up without a drop: it is plain
            // data, and has just been made.
            unsafe { N::release(start, size) };
        }
        self.get()
    }
}
