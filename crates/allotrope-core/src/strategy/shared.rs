//! Strategies that threads share without a lock.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::AllocError;
use crate::strategy::{Broken, carry_over};

/// A way of cutting memory into blocks that any number of threads may use at once.
///
/// The counterpart of [`Strategy`](crate::Strategy) with `&self`: the one place where an algorithm
/// knows of threads. What [fits](crate::Strategy#fits) a block is the same, and so is what a size
/// of 0 is served with.
///
/// No method with `&self` ever invalidates a block or gives memory back to the source: another
/// thread might be looking at it. [`trim`](Self::trim) and [`reset`](Self::reset) take `&mut self`.
///
/// # Safety
///
/// Implementors uphold the *Guarantees* of every method, and their methods do not unwind. Calls of
/// several threads act as if they came one after the other. What a thread did to a block before it
/// freed it happens before its next user gets it.
pub unsafe trait SharedStrategy {
    /// How many bytes a block for `layout` really takes, or `None` if no block is ever large
    /// enough. A pure function: monotone in the size, and the extent of an extent is itself.
    fn extent(layout: Layout) -> Option<usize>;

    /// Allocates a block that fits `layout`.
    ///
    /// # Guarantees
    ///
    /// As for [`Strategy::allocate`](crate::Strategy::allocate).
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no such block; the strategy is unchanged then.
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: the block is new, and valid for writes of its whole length.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Frees a block, on any thread.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate).
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout);

    /// Makes a block that `old` fits into one for `new`, in place where possible.
    ///
    /// # Guarantees
    ///
    /// As for [`Strategy::grow`](crate::Strategy::grow).
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block and the strategy are unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`](crate::Strategy::grow).
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; `old` is the smaller of the two.
        unsafe { self.relocate(start, old, new, old.size()) }
    }

    /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Self::grow).
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let block = unsafe { self.grow(start, old, new) }?;
        let (kept, len) = (old.size(), block.len());
        // SAFETY: `kept <= new.size() <= len`, and the block is valid for writes of `len` bytes.
        unsafe { block.cast::<u8>().add(kept).write_bytes(0, len - kept) };
        Ok(block)
    }

    /// Makes a block that `old` fits into one for `new`, in place where the rest is really given
    /// back.
    ///
    /// # Guarantees
    ///
    /// As for [`Strategy::shrink`](crate::Strategy::shrink).
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block and the strategy are unchanged then.
    /// [`Strategy::shrink`](crate::Strategy::shrink) says when that may be.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::shrink`](crate::Strategy::shrink).
    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; `new` is the smaller of the two.
        unsafe { self.relocate(start, old, new, new.size()) }
    }

    /// Allocates a block for `new`, copies `kept` bytes into it, and frees the old one.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no block for `new`; nothing has changed then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) with `old`, unless an error is returned; and `kept`
    /// is at most either size.
    #[doc(hidden)]
    unsafe fn relocate(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        kept: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(new)?;
        // SAFETY: both blocks are in use, so they do not overlap, and have `kept` bytes (caller).
        unsafe { carry_over(start, block, kept) };
        // SAFETY: as the caller promises.
        unsafe { self.deallocate(start, old) };
        Ok(block)
    }

    /// Takes every block back at once: none is valid afterwards. What is held of the source's
    /// memory is kept for reuse.
    fn reset(&mut self);

    /// Gives memory that no block needs back to the source, as far as the source takes it.
    fn trim(&mut self);

    /// How many bytes are in blocks that were handed out and not freed yet, each with its
    /// [extent](Self::extent). While other threads are at work, it is about what it was.
    fn bytes_used(&self) -> usize;

    /// How many bytes are in free blocks. While other threads are at work, it is about what it was.
    fn bytes_free(&self) -> usize;

    /// How many bytes of its source's memory the strategy holds: used, free, bookkeeping, and lost
    /// to alignment. Address space that is reserved ahead does not count.
    fn bytes_held(&self) -> usize;

    /// Checks every invariant that the strategy's memory can be held against. Takes time in
    /// proportion to what it holds. While other threads are at work it may find what is only
    /// halfway done.
    ///
    /// # Errors
    ///
    /// The first invariant found broken, which means that this crate has a bug, or that somebody
    /// wrote to memory that was not theirs.
    fn check_invariants(&self) -> Result<(), Broken>;
}

/// Inherent methods that call those of [`SharedStrategy`], so that nobody needs to import it.
macro_rules! shared_strategy_methods {
    () => {
        shared_strategy_methods!(safe allocate allocate_zeroed);
        shared_strategy_methods!(resize grow grow_zeroed shrink);
        shared_strategy_methods!(count bytes_used bytes_free bytes_held);

        /// Frees a block, on any thread; see [`SharedStrategy::deallocate`].
        ///
        /// # Safety
        ///
        /// As there.
        #[inline(always)]
        pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            // SAFETY: as the caller promises.
            unsafe { SharedStrategy::deallocate(self, start, layout) };
        }

        /// Takes every block back at once; see [`SharedStrategy::reset`].
        pub fn reset(&mut self) {
            SharedStrategy::reset(self);
        }

        /// Gives memory that no block needs back to the source; see [`SharedStrategy::trim`].
        pub fn trim(&mut self) {
            SharedStrategy::trim(self);
        }

        /// Checks every invariant; see [`SharedStrategy::check_invariants`].
        ///
        /// # Errors
        ///
        /// The first invariant found broken.
        pub fn check_invariants(&self) -> Result<(), Broken> {
            SharedStrategy::check_invariants(self)
        }
    };
    (safe $($method:ident)*) => {$(
        #[doc = concat!("See [`SharedStrategy::", stringify!($method), "`].")]
        ///
        /// # Errors
        ///
        /// [`AllocError`] when there is no such block; nothing has changed then.
        #[inline(always)]
        pub fn $method(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            SharedStrategy::$method(self, layout)
        }
    )*};
    (resize $($method:ident)*) => {$(
        #[doc = concat!("See [`SharedStrategy::", stringify!($method), "`].")]
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        ///
        /// # Safety
        ///
        /// As there.
        #[inline]
        pub unsafe fn $method(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            unsafe { SharedStrategy::$method(self, start, old, new) }
        }
    )*};
    (count $($method:ident)*) => {$(
        #[doc = concat!("See [`SharedStrategy::", stringify!($method), "`].")]
        pub fn $method(&self) -> usize {
            SharedStrategy::$method(self)
        }
    )*};
}
pub(crate) use shared_strategy_methods;
