//! A box in a pool: it owns a value, and gives its place back when it is dropped.

use core::borrow::{Borrow, BorrowMut};
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::AllocError;

/// A pool of places for `T`s: what a [`PoolBox`] needs of its pool.
///
/// Only this crate's pools are.
///
/// # Safety
///
/// A place that `take` returns is aligned, valid for reads and writes of a `T`, and nobody else's,
/// until it is given back or the pool is dropped, wherever the pool is moved. `give_back` may be
/// called while a panic unwinds.
pub unsafe trait Places<T> {
    /// Takes a place for one value.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is none.
    #[doc(hidden)]
    fn take(&self) -> Result<NonNull<T>, AllocError>;

    /// Takes a place back.
    ///
    /// # Safety
    ///
    /// `take` returned it, and nobody uses it any more.
    #[doc(hidden)]
    unsafe fn give_back(&self, place: NonNull<T>);
}

#[cold]
#[inline(never)]
fn exhausted() -> ! {
    panic!("the pool's source has no more memory")
}

/// Gives a place back when it goes out of scope.
struct GiveBack<'p, T, O: Places<T>> {
    pool: &'p O,
    place: NonNull<T>,
}

impl<T, O: Places<T>> Drop for GiveBack<'_, T, O> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `pool.take` returned the place, and whoever makes one of these gives it up.
        unsafe { self.pool.give_back(self.place) };
    }
}

/// A value in a pool `O`, an [`ObjectPool`](crate::ObjectPool) or a
/// [`SharedObjectPool`](crate::SharedObjectPool), owned.
///
/// One in a pool that threads share can be sent to another thread, and dropped there, if its value
/// can.
pub struct PoolBox<'p, T, O: Places<T>> {
    value: NonNull<T>,
    pool: &'p O,
    owns: PhantomData<T>,
}

// SAFETY: a box owns its value, and has a reference to its pool, which it calls when it is dropped.
unsafe impl<T: Send, O: Places<T> + Sync> Send for PoolBox<'_, T, O> {}

// SAFETY: through a shared box one reaches its value alone.
unsafe impl<T: Sync, O: Places<T> + Sync> Sync for PoolBox<'_, T, O> {}

impl<'p, T, O: Places<T>> PoolBox<'p, T, O> {
    #[inline(always)]
    pub(super) fn insert(pool: &'p O, value: T) -> Self {
        match pool.take() {
            // SAFETY: the pool has just given the place out.
            Ok(place) => unsafe { Self::fill(pool, place, value) },
            Err(AllocError) => exhausted(),
        }
    }

    #[inline(always)]
    pub(super) fn try_insert(pool: &'p O, value: T) -> Result<Self, T> {
        match pool.take() {
            // SAFETY: as in `insert`.
            Ok(place) => Ok(unsafe { Self::fill(pool, place, value) }),
            Err(AllocError) => Err(value),
        }
    }

    #[inline(always)]
    pub(super) fn insert_with(pool: &'p O, make: impl FnOnce() -> T) -> Self {
        let Ok(place) = pool.take() else { exhausted() };
        let free_place = GiveBack { pool, place };
        let value = make();
        mem::forget(free_place);
        // SAFETY: as in `insert`, and the place was not given back.
        unsafe { Self::fill(pool, place, value) }
    }

    /// # Safety
    ///
    /// As for [`ObjectPool::from_raw`](crate::ObjectPool::from_raw), with this pool.
    #[inline(always)]
    pub(super) const unsafe fn from_raw_in(pool: &'p O, value: NonNull<T>) -> Self {
        Self { value, pool, owns: PhantomData }
    }

    /// A box of a value that is moved to its place.
    ///
    /// # Safety
    ///
    /// `pool.take` returned the place, which nobody else has.
    #[inline(always)]
    unsafe fn fill(pool: &'p O, place: NonNull<T>, value: T) -> Self {
        // SAFETY: a place is aligned and valid for a `T` (`Places`), and this one is ours (caller).
        unsafe { place.write(value) };
        Self { value: place, pool, owns: PhantomData }
    }
}

impl<'p, T, O: Places<T>> PoolBox<'p, T, O> {
    /// Takes the value out.
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        let free_place = GiveBack { pool: this.pool, place: this.value };
        // SAFETY: the value is moved out, and the box is forgotten.
        let value = unsafe { this.value.read() };
        drop(free_place);
        value
    }

    /// The value's place, which nobody owns then: half the size of a box, for those who hold many
    /// and know their pool. [`ObjectPool::from_raw`](crate::ObjectPool::from_raw) makes a box of it again.
    ///
    /// ```
    /// use allotrope_core::{ObjectPool, OsPages, PoolBox};
    ///
    /// let pool = ObjectPool::new(OsPages::new());
    /// let handle = PoolBox::into_raw(pool.insert(String::from("here")));
    /// // SAFETY: from a box of this pool, just above.
    /// assert_eq!(*unsafe { pool.from_raw(handle) }, "here");
    /// assert!(pool.is_empty());
    /// ```
    #[inline]
    pub const fn into_raw(this: Self) -> NonNull<T> {
        let value = this.value;
        mem::forget(this);
        value
    }

    /// Leaves the value in the pool until the pool is dropped. It is not dropped itself.
    pub fn leak(self) -> &'p mut T {
        let mut value = ManuallyDrop::new(self).value;
        // SAFETY: the value stays as long as the pool does, and nobody else can reach it.
        unsafe { value.as_mut() }
    }
}

impl<T, O: Places<T>> Drop for PoolBox<'_, T, O> {
    #[inline]
    fn drop(&mut self) {
        // The place is free again even if dropping the value unwinds.
        let free_place = GiveBack { pool: self.pool, place: self.value };
        // SAFETY: the box owns the value, and is dropped once.
        unsafe { self.value.drop_in_place() };
        drop(free_place);
    }
}

impl<T, O: Places<T>> Deref for PoolBox<'_, T, O> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the box owns an initialized value.
        unsafe { self.value.as_ref() }
    }
}

impl<T, O: Places<T>> DerefMut for PoolBox<'_, T, O> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the box is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T, O: Places<T>> AsRef<T> for PoolBox<'_, T, O> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T, O: Places<T>> AsMut<T> for PoolBox<'_, T, O> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T, O: Places<T>> Borrow<T> for PoolBox<'_, T, O> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T, O: Places<T>> BorrowMut<T> for PoolBox<'_, T, O> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug, O: Places<T>> fmt::Debug for PoolBox<'_, T, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

impl<T: fmt::Display, O: Places<T>> fmt::Display for PoolBox<'_, T, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, formatter)
    }
}
