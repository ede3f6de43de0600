//! A handle to a shared arena that has a lane to itself.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Independent, Source};

use super::lane::Held;
use super::stock::Stock;
use crate::default_source::DefaultSource;
use crate::methods::{block_methods, value_methods};
use crate::places::Places;
use crate::values::{Values, or_exhausted};

/// A handle to a [`SharedArena`](super::SharedArena) for many calls of one thread, as fast as an arena
/// of its own.
///
/// What is put here stays as long as the arena, whatever becomes of the handle; its chunks go on to
/// the next handle, or to a thread that has none yet. It may be sent to another thread, as a whole, but not be shared.
///
/// ```
/// use allotrope_scope::SharedArena;
/// use allocator_api2::vec::Vec;
/// use std::thread;
///
/// let arena = SharedArena::new();
/// let sum: u64 = thread::scope(|threads| {
///     let work = |first: u64| {
///         let handle = arena.local();
///         let mut numbers = Vec::new_in(&handle);
///         numbers.extend(first..first + 1000);
///         numbers.iter().sum::<u64>()
///     };
///     let threads = [0, 1000].map(|first| threads.spawn(move || work(first)));
///     threads.map(|thread| thread.join().unwrap()).iter().sum()
/// });
/// assert_eq!(sum, (0..2000).sum());
/// ```
pub struct LocalArena<'a, S: Source = DefaultSource> {
    lane: Held<'a, S>,
    stock: &'a Stock<S>,
}

// SAFETY: who has the handle has the lane, and nobody else; values borrow the arena, not the handle,
// and are whose they are. The stock is behind its lock.
unsafe impl<S: Source + Send> Send for LocalArena<'_, S> {}

impl<'a, S: Source> LocalArena<'a, S> {
    pub(super) fn new(stock: &'a Stock<S>) -> Result<Self, AllocError> {
        let place = stock.locked(|shelves| shelves.take_lane())?;
        // SAFETY: it was taken for this handle, from this stock.
        let lane = unsafe { Held::new(place, stock) };
        Ok(Self { lane, stock })
    }

    value_methods!([] 'a);
    block_methods!();

    #[inline(always)]
    fn space(&self) -> &Held<'a, S> {
        &self.lane
    }
}

impl<S: Source> Drop for LocalArena<'_, S> {
    fn drop(&mut self) {
        let place = self.lane.place();
        // SAFETY: the lane was the handle's, which goes, and values do not need it.
        self.stock.locked(|shelves| unsafe { shelves.vacate(place) });
    }
}

impl<S: Source> fmt::Debug for LocalArena<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalArena").finish_non_exhaustive()
    }
}

// SAFETY: blocks are handed out once until they are freed, and stay as long as the arena, which is
// borrowed for `'a`.
unsafe impl<'a, S: Source> allotrope_core::api::Sound for LocalArena<'a, S> {}
allotrope_core::impl_allocator!(['a, S: Source] LocalArena<'a, S>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent> Independent for LocalArena<'_, S> {}
