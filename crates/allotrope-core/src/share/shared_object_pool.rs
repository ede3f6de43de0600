//! A pool of objects of one type that threads share, owned by boxes that borrow the pool.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_sync::facade::const_fn;

use super::pool_box::{Places, PoolBox};
use crate::{AllocError, DefaultPolicy, Policy, Pool, SharedStrategy, Source};

/// A pool of `T`s for any number of threads, without a lock: an [`ObjectPool`](crate::ObjectPool)
/// over a [`Pool`].
///
/// Any thread inserts, and any thread drops a box, wherever it was made. A place is as large as the
/// power of two that has room for a `T`; one beyond 4 KiB is pages of its own.
///
/// ```
/// use std::thread;
/// use allotrope_core::{OsPages, SharedObjectPool};
///
/// let pool = SharedObjectPool::new(OsPages::new());
/// let greeting = pool.insert(String::from("hello"));
/// thread::scope(|threads| {
///     threads.spawn(|| {
///         let answer = pool.insert(format!("{}, world", *greeting));
///         assert_eq!(*answer, "hello, world");
///         drop(greeting);
///     });
/// });
/// assert!(pool.is_empty());
/// ```
///
/// Values that stay on their thread do so here, too:
///
/// ```compile_fail
/// # use allotrope_core::{OsPages, SharedObjectPool};
/// let pool = SharedObjectPool::new(OsPages::new());
/// let count = pool.insert(std::rc::Rc::new(1));
/// std::thread::scope(|threads| {
///     threads.spawn(|| drop(count));
/// });
/// ```
pub struct SharedObjectPool<T, S: Source, P: Policy = DefaultPolicy> {
    pool: Pool<S, P>,
    holds: PhantomData<*mut T>,
}

// SAFETY: sending the pool sends what leaked values it may hold, and the pool of blocks.
unsafe impl<T: Send, S: Source, P: Policy> Send for SharedObjectPool<T, S, P> where Pool<S, P>: Send {}

// SAFETY: through a shared pool values are inserted and dropped by several threads, but never
// looked at by two.
unsafe impl<T: Send, S: Source, P: Policy> Sync for SharedObjectPool<T, S, P> where Pool<S, P>: Sync {}

impl<T, S: Source> SharedObjectPool<T, S> {
    const_fn! {
        /// A pool in the regions of `source`.
        pub fn new(source: S) -> Self {
            Self::with_policy(source)
        }
    }
}

impl<T, S: Source, P: Policy> SharedObjectPool<T, S, P> {
    const_fn! {
        /// A pool in the regions of `source`, by the figures of a policy that the type names.
        pub fn with_policy(source: S) -> Self {
            Self { pool: Pool::with_policy(source), holds: PhantomData }
        }
    }

    /// Inserts `value`.
    ///
    /// # Panics
    ///
    /// If the source has no more memory; [`try_insert`](Self::try_insert) gives the value back.
    #[inline]
    pub fn insert(&self, value: T) -> PoolBox<'_, T, Self> {
        PoolBox::insert(self, value)
    }

    /// Inserts `value`, or gives it back.
    ///
    /// # Errors
    ///
    /// `value`, if the source has no more memory.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<PoolBox<'_, T, Self>, T> {
        PoolBox::try_insert(self, value)
    }

    /// Inserts what `make` returns, which is made after its place is known, so that a large value
    /// need not be moved. If `make` unwinds, the place is the pool's again.
    ///
    /// # Panics
    ///
    /// If the source has no more memory; `make` is not called then.
    #[inline]
    pub fn insert_with(&self, make: impl FnOnce() -> T) -> PoolBox<'_, T, Self> {
        PoolBox::insert_with(self, make)
    }

    /// Makes a box of what [`PoolBox::into_raw`] made a pointer of, on any thread: it owns the
    /// value again.
    ///
    /// # Safety
    ///
    /// [`PoolBox::into_raw`] returned `value` for a box of this very pool, which may have been
    /// moved since. It was not made a box of since then, the value there was neither dropped nor
    /// moved out, and nobody has a reference to it. On another thread than that of the box, `T` is
    /// `Send`, and the call of `into_raw` happened before this one.
    #[inline]
    pub const unsafe fn from_raw(&self, value: NonNull<T>) -> PoolBox<'_, T, Self> {
        // SAFETY: as the caller promises.
        unsafe { PoolBox::from_raw_in(self, value) }
    }

    /// How many values the pool holds, leaked ones included. O(chunks); of values without a size
    /// nothing is counted. While other threads insert and drop, it is about what it was.
    pub fn len(&self) -> usize {
        match Pool::<S, P>::extent(Layout::new::<T>()) {
            None | Some(0) => 0,
            Some(extent) => self.pool.bytes_used() / extent,
        }
    }

    /// Does it hold no value?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values it holds at most without asking its source for more memory; of those that
    /// do not lie in pages of their own.
    pub fn capacity(&self) -> usize {
        self.pool.capacity(Layout::new::<T>())
    }

    /// How many bytes of its source's memory the pool holds.
    pub fn bytes_held(&self) -> usize {
        self.pool.bytes_held()
    }

    /// Gives memory that no value lies in back to the source. No box can be there then, but leaked
    /// values may be, and those that are pointers now.
    pub fn trim(&mut self) {
        self.pool.trim();
    }
}

// SAFETY: the pool's blocks are nobody else's until they are freed, and served by this layout.
unsafe impl<T, S: Source, P: Policy> Places<T> for SharedObjectPool<T, S, P> {
    #[inline(always)]
    fn take(&self) -> Result<NonNull<T>, AllocError> {
        self.pool.allocate(Layout::new::<T>()).map(NonNull::cast)
    }

    #[inline(always)]
    unsafe fn give_back(&self, place: NonNull<T>) {
        // SAFETY: as the caller promises.
        unsafe { self.pool.deallocate(place.cast(), Layout::new::<T>()) };
    }
}

impl<T, S: Source, P: Policy> fmt::Debug for SharedObjectPool<T, S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedObjectPool").field("len", &self.len()).finish_non_exhaustive()
    }
}
