//! Sharing: who may use a strategy, and how it becomes an allocator.
//!
//! A strategy takes `&mut self`; an allocator takes `&self`. [`Local`] makes the one of the other
//! for one thread and costs nothing; [`Locked`] does it for many threads behind a lock.

mod gate;
mod local;
#[cfg_attr(target_has_atomic = "ptr", path = "lock/spin.rs")]
#[cfg_attr(not(target_has_atomic = "ptr"), path = "lock/none.rs")]
mod lock;
mod locked;
mod object_pool;
mod pool_box;
#[cfg(target_has_atomic = "64")]
mod shared_object_pool;

pub use local::Local;
#[cfg(not(target_has_atomic = "ptr"))]
pub use lock::NoLock;
pub use locked::Locked;
pub use object_pool::ObjectPool;
pub use pool_box::{Places, PoolBox};
#[cfg(target_has_atomic = "64")]
pub use shared_object_pool::SharedObjectPool;

/// The methods that an allocator over a strategy has, each a call of the strategy's through
/// `self.run`, which borrows or locks it.
macro_rules! strategy_methods {
    () => {
        /// Allocates a block that fits `layout`. A size of 0 is served without touching memory.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when there is no such block; nothing has changed then.
        #[inline]
        pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            self.run(|strategy| strategy.allocate(layout))
        }

        /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
        ///
        /// # Errors
        ///
        /// As for [`allocate`](Self::allocate).
        #[inline]
        pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            self.run(|strategy| strategy.allocate_zeroed(layout))
        }

        /// Frees a block.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::deallocate`].
        #[inline]
        pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            // SAFETY: as the caller promises.
            self.run(|strategy| unsafe { strategy.deallocate(start, layout) });
        }

        /// Makes a block that `old` fits into one for `new`, which is no smaller.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::grow`].
        #[inline]
        pub unsafe fn grow(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            self.run(|strategy| unsafe { strategy.grow(start, old, new) })
        }

        /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
        ///
        /// # Errors
        ///
        /// As for [`grow`](Self::grow).
        ///
        /// # Safety
        ///
        /// As for [`Strategy::grow_zeroed`].
        #[inline]
        pub unsafe fn grow_zeroed(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            self.run(|strategy| unsafe { strategy.grow_zeroed(start, old, new) })
        }

        /// Makes a block that `old` fits into one for `new`, which is no larger.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        /// [`Strategy::shrink`] says when that may be.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::shrink`].
        #[inline]
        pub unsafe fn shrink(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            self.run(|strategy| unsafe { strategy.shrink(start, old, new) })
        }

        /// Takes every block back at once; see [`Strategy::reset`].
        pub fn reset(&mut self) {
            self.run(Strategy::reset);
        }

        /// Gives memory that no block needs back to the source; see [`Strategy::trim`].
        pub fn trim(&self) {
            self.run(Strategy::trim);
        }

        /// How many bytes are in use; see [`Strategy::bytes_used`].
        pub fn bytes_used(&self) -> usize {
            self.run(|strategy| strategy.bytes_used())
        }

        /// How many bytes are free; see [`Strategy::bytes_free`].
        pub fn bytes_free(&self) -> usize {
            self.run(|strategy| strategy.bytes_free())
        }

        /// How many bytes are held of the source's; see [`Strategy::bytes_held`].
        pub fn bytes_held(&self) -> usize {
            self.run(|strategy| strategy.bytes_held())
        }

        /// The size of the largest free block; see [`Strategy::largest_free_block`].
        pub fn largest_free_block(&self) -> usize {
            self.run(|strategy| strategy.largest_free_block())
        }

        /// Checks every invariant; see [`Strategy::check_invariants`].
        ///
        /// # Errors
        ///
        /// The first invariant found broken.
        pub fn check_invariants(&self) -> Result<(), Broken> {
            self.run(|strategy| strategy.check_invariants())
        }
    };
}
use strategy_methods;

/// What an allocator over [`BestFit`](crate::BestFit) has besides.
macro_rules! best_fit_methods {
    () => {
        /// Copies the runs of used and free memory into `spans`, in address order, as far as they
        /// have room there, and returns how many there are in all; see
        /// [`BestFit::spans`](crate::BestFit::spans).
        pub fn copy_spans(&self, spans: &mut [Span]) -> usize {
            self.run(|strategy| {
                let mut count = 0;
                for span in strategy.spans() {
                    if let Some(place) = spans.get_mut(count) {
                        *place = span;
                    }
                    count += 1;
                }
                count
            })
        }
    };
}
use best_fit_methods;

/// What an allocator over [`Segregated`](crate::Segregated) has besides.
macro_rules! segregated_methods {
    () => {
        /// Allocates a block for `layout` for each place of `blocks`, as far as there are any, and
        /// returns how many; see
        /// [`Segregated::allocate_batch`](crate::Segregated::allocate_batch).
        pub fn allocate_batch(
            &self,
            layout: Layout,
            blocks: &mut [MaybeUninit<NonNull<u8>>],
        ) -> usize {
            self.run(|strategy| strategy.allocate_batch(layout, blocks))
        }

        /// Frees many blocks.
        ///
        /// # Safety
        ///
        /// As for [`Segregated::deallocate_batch`](crate::Segregated::deallocate_batch).
        pub unsafe fn deallocate_batch(&self, layout: Layout, blocks: &[NonNull<u8>]) {
            // SAFETY: as the caller promises.
            self.run(|strategy| unsafe { strategy.deallocate_batch(layout, blocks) });
        }
    };
}
use segregated_methods;
