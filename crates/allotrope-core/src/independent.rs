//! Independence: whose memory cannot lie in another allocator's blocks.
//!
//! ```text
//! independent                                     not known to be
//!
//! heap ─▶ OsPages                                 heap ─▶ &dyn Allocator ─▶ ?
//! heap ─▶ Upstream ─▶ Global                                                │
//! heap ─▶ Upstream ─▶ &other ─▶ Buffer            anything, the heap above ◀┘ included
//! ```
//!
//! # Why the type decides
//!
//! A [`Fallback`](crate::Fallback) has the part that it asks for itself. The other part can have memory from that one
//! only through the fallback: so the fallback, or a reference to it, would have to be among what the
//! other part is made of. A type cannot contain itself, not even behind references, if it names all
//! that it is made of. Who does not is a trait object, or looks something up: those are not
//! independent.

use lock_api::RawMutex;

use crate::{
    BestFit, Buffer, FixedSize, Hook, Local, Locked, Policy, Segregated, Source, Strategy,
};

/// An allocator, strategy or source whose type says where all of its memory comes from, and thus
/// not from whatever it becomes part of.
///
/// A [`Fallback`](crate::Fallback) finds a block's owner by its address. That is right only if the one part has no
/// memory from the other. [`Fallback::new`](crate::Fallback::new) asks for a part of which that is certain.
///
/// | independent | where |
/// |---|---|
/// | [`Buffer`], [`OsPages`](crate::OsPages), [`Null`](crate::Null), `Global` (with the feature `alloc`) | always |
/// | [`Upstream`](crate::Upstream), the wrappers of [`compat`](crate::compat) | over what is independent |
/// | strategies, [`Local`], [`Locked`], [`Pool`](crate::Pool), heaps, arenas | over a source that is |
/// | what is composed | where all parts are |
/// | references | to what is |
///
/// It has `Sized` as a condition, so that no trait object is independent.
///
/// # Safety
///
/// Each block lies in memory of the operating system, of a [`Buffer`], or of the program's global
/// allocator, or in a block of an `Independent` allocator that the type of this one names: a field,
/// or behind one, or a type parameter. Where it calls a trait object for memory, or an allocator that
/// it looks up, that one was made before, and has its memory from nowhere else either.
///
/// `Global` counts as the program's global allocator, whatever that is made of: a fallback that finds
/// itself below it ends the program.
#[diagnostic::on_unimplemented(
    message = "the memory of `{Self}` may come from the very allocator that it becomes part of",
    note = "`Fallback::new_unchecked` takes any part, under a condition",
    note = "`Global` is known with the feature `alloc`"
)]
pub unsafe trait Independent: Sized {}

// SAFETY: the bytes are the user's, borrowed before anything was made over them: so no block of an
// allocator that it could become part of.
unsafe impl Independent for Buffer<'_> {}

// SAFETY: its memory is that of the allocator it refers to.
unsafe impl<A: Independent> Independent for &A {}

// SAFETY: blocks lie in regions of the source, here and for the other strategies.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for BestFit<S, P, H> {}

// SAFETY: as for `BestFit`.
unsafe impl<const SIZE: usize, S: Source + Independent, P: Policy, H: Hook> Independent
    for FixedSize<SIZE, S, P, H>
{
}

// SAFETY: as for `BestFit`.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for Segregated<S, P, H> {}

// SAFETY: blocks are the strategy's.
unsafe impl<S: Strategy + Independent> Independent for Local<S> {}

// SAFETY: blocks are the strategy's; a lock has none.
unsafe impl<S: Strategy + Independent, R: RawMutex> Independent for Locked<S, R> {}
