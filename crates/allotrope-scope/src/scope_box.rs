//! A box in an arena: it owns a value, and drops it before the scope ends.

use core::borrow::{Borrow, BorrowMut};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A value in an arena or scope, owned: it is dropped with the box, and its memory is freed with
/// the scope.
///
/// One pointer. A box that is forgotten leaks its value, like any other.
///
/// ```
/// use allotrope_scope::Arena;
///
/// let mut arena = Arena::new();
/// arena.scope(|scope| {
///     let mut names = scope.boxed(vec!["one".to_string()]);
///     names.push("two".to_string());
///     assert_eq!(names.len(), 2);
///     drop(names); // and both strings
/// });
/// ```
pub struct ScopeBox<'s, T> {
    value: NonNull<T>,
    owns: PhantomData<T>,
    memory: PhantomData<&'s mut T>,
}

// SAFETY: a box owns its value, and reaches nothing else of the arena.
unsafe impl<T: Send> Send for ScopeBox<'_, T> {}

// SAFETY: as above.
unsafe impl<T: Sync> Sync for ScopeBox<'_, T> {}

impl<'s, T> ScopeBox<'s, T> {
    /// # Safety
    ///
    /// `value` is valid, nobody else's, and in memory that stays for `'s`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(value: NonNull<T>) -> Self {
        Self { value, owns: PhantomData, memory: PhantomData }
    }

    /// Takes the value out.
    pub fn into_inner(this: Self) -> T {
        let this = ManuallyDrop::new(this);
        // SAFETY: the value is the box's own, and the box is not used any more.
        unsafe { this.value.read() }
    }

    /// The value until the scope ends; it is never dropped.
    pub fn leak(this: Self) -> &'s mut T {
        // SAFETY: the value is the box's own, and its memory stays for `'s`.
        unsafe { ManuallyDrop::new(this).value.as_mut() }
    }
}

impl<T> Drop for ScopeBox<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the value is the box's own.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T> Deref for ScopeBox<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the value is the box's own.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for ScopeBox<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is the box's own.
        unsafe { self.value.as_mut() }
    }
}

impl<T> AsRef<T> for ScopeBox<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> AsMut<T> for ScopeBox<'_, T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T> Borrow<T> for ScopeBox<'_, T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T> BorrowMut<T> for ScopeBox<'_, T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for ScopeBox<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl<T: fmt::Display> fmt::Display for ScopeBox<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
