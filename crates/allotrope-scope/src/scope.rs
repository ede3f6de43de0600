//! Scopes: everything since a scope began is freed when it ends, and the memory is used again.
//!
//! ```text
//! arena   │ a a │ b b b │ c c │          │
//!               │       │     └ frontier
//!               │       └ inner scope began: `c` is freed when it ends
//!               └ outer scope began: `b` is freed when it ends, and may be used all the time
//! ```
//!
//! # Why values cannot escape, and drops see nothing that is gone
//!
//! 1. `&'s mut T` is all that a scope returns, and `'s` is a lifetime of which nobody knows more than
//!    that it ends with the scope: the closure has to do for every `'s`, and a guard is borrowed
//!    for `'s`. (A guard that is leaked never ends.)
//! 2. An inner scope borrows the handle of the outer one mutably, not its values: these can be
//!    used, but no value can be put there, nor a container grow there, until the inner one ends.
//! 3. What `keep` takes outlives `'o`, which began before the scope and ends after it. So a kept
//!    value borrows nothing of its own scope, neither another kept value nor itself, and no drop
//!    can see what was dropped before it. `Scope` and `Guard` are invariant in `'o`, or it could be
//!    made shorter; `Guard` implements `Drop`, so that `'o` is alive when the values are dropped.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Independent, Source};

use crate::default_source::DefaultSource;
use crate::drop_list::{self, Owner};
use crate::methods::{block_methods, value_methods};
use crate::space::{Position, Space};
use crate::values::{Values, or_exhausted};

/// A part of an arena's life: what is put here stays for `'s`, and is freed when the scope ends.
///
/// ```
/// use allotrope_scope::{Arena, Scope};
///
/// fn words<'s>(scope: &Scope<'s, '_>, text: &str) -> &'s mut [&'s str] {
///     let copy = &*scope.alloc_str(text);
///     let words = scope.alloc_slice_fill_with(copy.split(' ').count(), |_| "");
///     words.iter_mut().zip(copy.split(' ')).for_each(|(place, word)| *place = word);
///     words
/// }
///
/// let mut arena = Arena::new();
/// let count = arena.scope(|scope| words(scope, "all of this is freed again").len());
/// assert_eq!(count, 6);
/// assert_eq!(arena.bytes_used(), 0);
/// ```
///
/// # Nesting
///
/// An inner scope borrows the handle of the outer one. Its values can be read and written all the
/// time, but nothing can be put there before the inner scope has ended:
///
/// ```
/// # use allotrope_scope::Arena;
/// # let mut arena = Arena::new();
/// arena.scope(|outer| {
///     let sum = outer.alloc(0);
///     for turn in 1..=3 {
///         outer.scope(|inner| *sum += *inner.alloc(turn));
///     }
///     let average = outer.alloc(*sum / 3);
///     assert_eq!(*average, 2);
/// });
/// ```
///
/// ```compile_fail,E0502
/// # use allotrope_scope::Arena;
/// # let mut arena = Arena::new();
/// arena.scope(|outer| {
///     outer.scope(|inner| *outer.alloc(1) + *inner.alloc(1));
/// });
/// ```
///
/// A container of the outer scope that grew meanwhile would get memory that the inner scope frees;
/// so it borrows the handle, and does not let an inner scope begin. Make a slice of it first, by
/// `alloc_slice_copy` or `alloc_slice_fill_iter`, or give it an arena of its own. There is no handle that would allow both: each
/// container would have to know, whenever it grows, which scope is the innermost.
///
/// # Values that are dropped
///
/// [`keep`](Self::keep) takes what outlives the scope (`'o`), so that no drop sees what is gone. The
/// values of a guard that is forgotten are never dropped; all else goes on as if it had ended.
///
/// # Containers
///
/// A scope is an `Allocator`, by reference and by value.
///
/// ```
/// # use allotrope_scope::Arena;
/// use allocator_api2::vec::Vec;
///
/// let mut arena = Arena::new();
/// arena.scope(|scope| {
///     let mut numbers = Vec::new_in(&*scope);
///     numbers.extend(0..1000);
///     assert_eq!(numbers[999], 999);
/// });
/// ```
pub struct Scope<'s, 'o, S: Source = DefaultSource> {
    space: &'s Space<S>,
    owner: Owner,
    outlived: Invariant<'o>,
}

/// Neither longer nor shorter.
type Invariant<'o> = PhantomData<fn(&'o ()) -> &'o ()>;

impl<'s, S: Source> Scope<'s, '_, S> {
    value_methods!([] 's);
    block_methods!();

    #[inline(always)]
    fn space(&self) -> &'s Space<S> {
        self.space
    }
}

impl<'s, 'o, S: Source> Scope<'s, 'o, S> {
    /// Puts `value` here, to be dropped when the scope ends.
    ///
    /// What is kept is dropped in reverse order, each value once; a drop that panics does not keep
    /// the others from being dropped. A value may borrow what outlives the scope, but nothing of
    /// this scope:
    ///
    /// ```
    /// use allotrope_scope::Arena;
    ///
    /// let mut arena = Arena::new();
    /// arena.scope(|outer| {
    ///     let name = outer.alloc_str("outer");
    ///     outer.scope(|inner| {
    ///         let list = inner.keep(vec![&*name]);
    ///         list.push("of the outer scope's values");
    ///     });
    /// });
    /// ```
    ///
    /// ```compile_fail
    /// # use allotrope_scope::Arena;
    /// # let mut arena = Arena::new();
    /// arena.scope(|scope| {
    ///     let name = scope.alloc_str("inner");
    ///     scope.keep(vec![&*name]);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If the source has no more memory.
    #[inline]
    pub fn keep<T: 'o>(&self, value: T) -> &'s mut T {
        or_exhausted(self.try_keep(value))
    }

    /// As [`keep`](Self::keep).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has no more memory; `value` is dropped then.
    #[inline]
    pub fn try_keep<T: 'o>(&self, value: T) -> Result<&'s mut T, AllocError> {
        // SAFETY: the value outlives `'o`, in which the guard of this scope ends, which is all that
        // drops it; the guard is of this thread, and cuts the list before it frees blocks.
        let mut kept = unsafe { drop_list::keep(self.space, self.owner, value) }?;
        // SAFETY: the value is new, nobody else has it, and it is dropped when `'s` is over.
        Ok(unsafe { kept.as_mut() })
    }

    /// Calls `run` with an inner scope: what is put there is freed when `run` returns or unwinds.
    #[inline(always)]
    pub fn scope<'i, R>(&'i mut self, run: impl for<'t> FnOnce(&mut Scope<'t, 'i, S>) -> R) -> R {
        // SAFETY: the scope's handle is borrowed for `'i`, and there is one at a time.
        unsafe { Guard::new(self.space) }.run(run)
    }

    /// Begins an inner scope that ends when the guard is dropped.
    #[inline(always)]
    pub fn enter(&mut self) -> Guard<'_, S> {
        // SAFETY: the scope's handle is borrowed as long as the guard is there.
        unsafe { Guard::new(self.space) }
    }
}

impl<S: Source> fmt::Debug for Scope<'_, '_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scope").finish_non_exhaustive()
    }
}

// SAFETY: blocks are handed out once until they are freed, and stay until the guard of the scope
// ends, which is borrowed for `'s`; inner scopes free only what came after they began.
unsafe impl<'s, 'o, S: Source> allotrope_core::api::Sound for Scope<'s, 'o, S> {}
allotrope_core::impl_allocator!(['s, 'o, S: Source] Scope<'s, 'o, S>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent> Independent for Scope<'_, '_, S> {}

/// A scope that ends when its guard is dropped.
///
/// ```
/// use allotrope_scope::Arena;
///
/// let mut arena = Arena::new();
/// let mut guard = arena.enter();
/// let mut outer = guard.scope();
/// let name = outer.alloc_str("of the outer scope");
///
/// let mut inner_guard = outer.enter();
/// let inner = inner_guard.scope();
/// let copy = inner.alloc_str(name);
/// assert_eq!(copy.len(), 18);
/// drop(inner_guard);
///
/// assert_eq!(name, "of the outer scope");
/// drop(guard);
/// assert_eq!(arena.bytes_used(), 0);
/// ```
///
/// Values do not outlive it:
///
/// ```compile_fail,E0505
/// # use allotrope_scope::Arena;
/// let mut arena = Arena::new();
/// let mut guard = arena.enter();
/// let name = guard.scope().alloc_str("short");
/// drop(guard);
/// assert_eq!(name, "short");
/// ```
pub struct Guard<'o, S: Source = DefaultSource> {
    space: &'o Space<S>,
    begin: Position,
    owner: Owner,
    outlived: Invariant<'o>,
}

impl<'o, S: Source> Guard<'o, S> {
    /// Begins a scope in `space`.
    ///
    /// # Safety
    ///
    /// For `'o` nobody uses the space but by the guard: the caller has borrowed the arena mutably for
    /// so long, or the one handle that puts values there.
    #[inline(always)]
    pub(crate) unsafe fn new(space: &'o Space<S>) -> Self {
        let owner = Owner::guard(space);
        Self { space, begin: space.position(), owner, outlived: PhantomData }
    }

    /// The scope, to put values into.
    ///
    /// There is one handle at a time; values and handle borrow the guard.
    #[inline(always)]
    pub fn scope(&mut self) -> Scope<'_, 'o, S> {
        Scope { space: self.space, owner: self.owner, outlived: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn run<R>(mut self, run: impl for<'s> FnOnce(&mut Scope<'s, 'o, S>) -> R) -> R {
        run(&mut self.scope())
    }
}

impl<S: Source> Drop for Guard<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the position is one of this space, which nobody else has used since (`new`), so that
        // no outer scope has ended. Handle and values borrow the guard, which is going now.
        unsafe { self.space.end(self.owner, self.begin) };
    }
}

impl<S: Source> fmt::Debug for Guard<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").finish_non_exhaustive()
    }
}
