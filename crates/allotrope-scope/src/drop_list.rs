//! Values that wait to be dropped: a list through the arena's memory, newest first.
//!
//! ```text
//! drops ──▶ │Node│value│ ──▶ │Node│value│ ──▶ │Node│value│ ──▶ nothing
//!            guard 3          guard 2          guard 2
//! ```
//!
//! All guards of an arena share the list, and a node says whose it is: when a guard ends, it drops
//! its own values and passes over those of inner guards that were forgotten. These may borrow what
//! is gone by then.
//!
//! # Invariants
//!
//! 1. A node in the list is in memory that is not freed before the list is cut below the node.
//! 2. The value of a node is valid and dropped by nobody else.
//! 3. A node leaves the list before its value is dropped: a drop that panics is not repeated.

use core::ptr::NonNull;

use allotrope_core::{AllocError, Broken, Source};

use crate::space::Space;

/// What stands before a value that waits to be dropped.
pub(crate) struct Node {
    before: Option<NonNull<Node>>,
    owner: Owner,
    drop: unsafe fn(NonNull<Node>),
}

/// Who drops a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner(u64);

impl Owner {
    /// The arena itself.
    pub(crate) const ARENA: Self = Self(0);

    /// A new guard of `space`.
    #[inline(always)]
    pub(crate) fn guard<S: Source>(space: &Space<S>) -> Self {
        // It starts above the arena, and 64 bits do not wrap around.
        let guards = space.guards.get() + 1;
        space.guards.set(guards);
        Self(guards)
    }
}

#[repr(C)]
struct Kept<T> {
    node: Node,
    value: T,
}

/// # Safety
///
/// `node` is the start of a `Kept<T>` whose value is valid and not used any more.
unsafe fn drop_kept<T>(node: NonNull<Node>) {
    // SAFETY: as the caller promises; the value is a field of it.
    unsafe { (&raw mut (*node.cast::<Kept<T>>().as_ptr()).value).drop_in_place() };
}

/// Puts `value` into `space`, to be dropped by `owner`. On failure the value is dropped now.
///
/// # Safety
///
/// The value may be dropped whenever `owner` [runs](run) its list, by whichever thread does that; the
/// list is cut below the node before its block is freed.
pub(crate) unsafe fn keep<S: Source, T>(
    space: &Space<S>,
    owner: Owner,
    value: T,
) -> Result<NonNull<T>, AllocError> {
    let place = space.place_for::<Kept<T>>()?;
    let node = Node { before: space.drops.get(), owner, drop: drop_kept::<T> };
    // SAFETY: the block is new and fits.
    unsafe { place.write(Kept { node, value }) };
    space.drops.set(Some(place.cast()));
    // SAFETY: a field of what was just written.
    Ok(unsafe { NonNull::new_unchecked(&raw mut (*place.as_ptr()).value) })
}

/// Drops the values of `owner` that came after `until`, newest first, and cuts the list there.
///
/// If a drop panics, the others still run, and the panic goes on; if a second one panics, the
/// program aborts, as where a `Vec` is dropped.
///
/// # Safety
///
/// `until` is in the list, or `None`; nobody uses a value of `owner` after it any more.
#[cold]
#[inline(never)]
pub(crate) unsafe fn run<S: Source>(space: &Space<S>, owner: Owner, until: Option<NonNull<Node>>) {
    let mut rest = Rest { space, owner, until };
    rest.run();
}

/// What is left to do, also when a drop unwinds.
struct Rest<'a, S: Source> {
    space: &'a Space<S>,
    owner: Owner,
    until: Option<NonNull<Node>>,
}

impl<S: Source> Rest<'_, S> {
    fn run(&mut self) {
        while let Some(node) = self.space.drops.get()
            && self.until != Some(node)
        {
            // SAFETY: invariant 1.
            let &Node { before, owner, drop } = unsafe { node.as_ref() };
            self.space.drops.set(before);
            if owner == self.owner {
                // SAFETY: invariants 2 and 3, and the function is the one for this value.
                unsafe { drop(node) };
            }
        }
    }
}

impl<S: Source> Drop for Rest<'_, S> {
    fn drop(&mut self) {
        self.run();
    }
}

/// Checks invariant 1.
pub(crate) fn check_invariants<S: Source>(space: &Space<S>) -> Result<(), Broken> {
    let mut next = space.drops.get();
    while let Some(node) = next {
        if !space.has_block_at(node.cast()) {
            let invariant = "a value that waits to be dropped is in memory that is in use";
            return Err(Broken { invariant, address: node.addr().get() });
        }
        // SAFETY: invariant 1, as was just checked.
        next = unsafe { node.as_ref() }.before;
    }
    Ok(())
}
