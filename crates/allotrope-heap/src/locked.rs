//! What a heap behind a lock can do besides: a trait, since [`Locked`] is another crate's.

use allotrope_core::{Hook, Locked, Policy, Source};
use lock_api::RawMutex;

use crate::blocks::Block;
use crate::local_heap::LocalHeap;
use crate::stats::HeapStats;

/// The methods of a [`LocalHeap`] behind a lock that [`Locked`] has not of itself. Each takes the lock
/// for as long as it runs.
///
/// ```
/// use allotrope_core::{Locked, OsPages};
/// use allotrope_heap::{LocalHeap, LockedHeap};
///
/// static HEAP: Locked<LocalHeap<OsPages>> = Locked::new(LocalHeap::new(OsPages::new()));
///
/// HEAP.set_limit(Some(64 << 20));
/// let block = HEAP.allocate(std::alloc::Layout::new::<[u8; 100]>());
/// assert!(block.is_ok());
/// assert_eq!(HEAP.stats().used(), 112);
/// ```
pub trait LockedHeap: sealed::Sealed {
    /// What is in use and held; see [`LocalHeap::stats`].
    fn stats(&self) -> HeapStats;

    /// Copies all blocks in use, and returns how many there are; see [`LocalHeap::copy_blocks`].
    fn copy_blocks(&self, blocks: &mut [Block]) -> usize;

    /// How many bytes the heap may hold, at most; see [`LocalHeap::limit`].
    fn limit(&self) -> Option<usize>;

    /// Limits how many bytes the heap may hold; see [`LocalHeap::set_limit`].
    fn set_limit(&self, limit: Option<usize>);
}

mod sealed {
    pub trait Sealed {}
}

impl<S: Source, P: Policy, H: Hook, R: RawMutex> sealed::Sealed for Locked<LocalHeap<S, P, H>, R> {}

/// Runs a heap's method under the lock.
fn under_lock<S: Source, P: Policy, H: Hook, R: RawMutex, T>(
    heap: &Locked<LocalHeap<S, P, H>, R>,
    work: impl FnOnce(&LocalHeap<S, P, H>) -> T,
) -> T {
    // SAFETY: what is run are methods of the heap's (below), which know nothing of the lock.
    unsafe { heap.visit(|heap| work(heap)) }
}

impl<S: Source, P: Policy, H: Hook, R: RawMutex> LockedHeap for Locked<LocalHeap<S, P, H>, R> {
    fn stats(&self) -> HeapStats {
        under_lock(self, LocalHeap::stats)
    }

    fn copy_blocks(&self, blocks: &mut [Block]) -> usize {
        under_lock(self, |heap| heap.copy_blocks(blocks))
    }

    fn limit(&self) -> Option<usize> {
        under_lock(self, LocalHeap::limit)
    }

    fn set_limit(&self, limit: Option<usize>) {
        under_lock(self, |heap| heap.set_limit(limit));
    }
}
