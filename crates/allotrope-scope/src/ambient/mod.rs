//! The current thread's innermost scope, as an allocator of no size.
//!
//! ```text
//! CURRENT ──▶ State 2 ──▶ State 1 ──▶ nothing       open scopes of this thread, newest first
//!             │ arena      │ arena
//!             │ blocks: 3  │ blocks: 0
//!             ▲
//!             └─────── │ its State │ block │        what stands before each block says whose it is
//! ```
//!
//! [`Here`](struct@Here) has no lifetime, so that the borrow checker does not keep its containers in their scope.
//! Counting does: a scope that ends while blocks of it are in use *retires*. Its arena lives on, in
//! its own memory, until the last of these blocks is freed; one that is leaked keeps it for ever.
//!
//! | file | what is there |
//! |---|---|
//! | `state.rs` | an open or retired scope, and who frees its arena |
//! | `blocks.rs` | blocks that know their scope |
//!
//! # Why that is sound
//!
//! 1. `Here` is neither `Send` nor `Sync`: all its blocks are allocated, resized and freed by one
//!    thread, and counts are plain cells. What is in a block may be shared or leaked, and stays.
//! 2. A block is in the arena of the scope that it names, for as long as it is in use: scopes do not
//!    share arenas, an arena that an open scope has is not accessible otherwise, and at its end it goes back
//!    to its owner only if no block is in use.
//! 3. A block that grows does so in its own scope if that is open, even if it is not the innermost, else
//!    it moves to the innermost. So no memory of an inner scope gets into an outer container by
//!    growth; a container that was made in an inner scope retires that when it escapes.
//! 4. The thread-local has no destructor: destructors of others may free blocks at any time. When
//!    a thread ends, blocks that are never freed keep their memory.
//! 5. A scope that ends leaves the chain wherever it stands there, and takes no other with it. So
//!    the chain has open scopes only, in whatever order they end, and `Here` allocates from none
//!    that has ended.
//!
//! # Scopes that interleave
//!
//! Scopes of one stack end in reverse order. Coroutines of one thread have a stack each, and their
//! scopes begin and end in any order. Nothing here sees that a thread changes its stack, so the
//! *innermost* scope is the newest of the thread that has not ended, whichever stack began it:
//!
//! ```text
//! coroutine a  ├── scope A ──┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄── goes on ─┤ A ends
//! coroutine b                 ├── scope B ──┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄── goes on ─┤ B ends
//! `Here` means │      A      │       B       │     B     │           B           │ no scope
//! ```
//!
//! A block belongs to the scope that it was allocated in, whoever uses it, and keeps that scope's
//! memory when it is in use beyond the end. A coroutine that goes on while a newer scope of another
//! one is open allocates from that; its containers grow in the scope that they have. To keep
//! their memory apart, let coroutines not be suspended within a scope, or give each an
//! [`Arena`] and its containers `&arena`.
//!
//! A scope that is forgotten, with a coroutine that never goes on and is never dropped, does not end. It
//! stays in the chain: `Here` means it when no newer one is open, and its memory is never freed.

use allotrope_core::AllocError;
use allotrope_sync::facade::process_wide;

use crate::values::or_exhausted;
use crate::{Arena, ArenaPool};

mod blocks;
mod state;

pub use blocks::Here;
use state::Open;

process_wide! {
    /// What [`scope`] takes arenas from.
    static ARENAS: ArenaPool = ArenaPool::new();
}

/// Calls `run`, during which [`Here`](struct@Here) allocates from an arena that the process keeps for this.
///
/// When `run` returns or unwinds, everything is freed, and the memory kept for the next scope; but
/// if blocks are still in use then, the memory stays until the last of them is freed.
///
/// ```
/// use allocator_api2::vec::Vec;
/// use allotrope_scope::ambient::{self, Here};
///
/// let sum: u64 = ambient::scope(|| {
///     let mut numbers = Vec::new_in(Here);
///     numbers.extend(0..100_u64);
///     numbers.iter().sum()
/// });
/// assert_eq!(sum, 4950);
/// assert_eq!(size_of::<Vec<u64, Here>>(), 24);
///
/// // What escapes keeps its memory.
/// let escaped = ambient::scope(|| {
///     let mut text = Vec::new_in(Here);
///     text.extend_from_slice(b"still there");
///     text
/// });
/// assert_eq!(escaped, b"still there");
/// ```
///
/// # Panics
///
/// If the operating system has no more memory.
pub fn scope<R>(run: impl FnOnce() -> R) -> R {
    scope_in(&mut ARENAS.get(), run)
}

/// As [`scope`], with an arena of the caller's, which has its memory back afterwards.
///
/// If blocks are still in use when `run` returns or unwinds, they have the arena's memory, and `arena` is a
/// new one, with the same limit and chunk cap: what was put there before by [`keep`](Arena::keep) is dropped then, and open marks are closed.
///
/// ```
/// use allocator_api2::boxed::Box;
/// use allotrope_scope::Arena;
/// use allotrope_scope::ambient::{self, Here};
///
/// let mut arena = Arena::with_capacity(10_000);
/// for turn in 0..100 {
///     let boxed = ambient::scope_in(&mut arena, || *Box::new_in(turn, Here));
///     assert_eq!((boxed, arena.bytes_used()), (turn, 0));
/// }
/// ```
///
/// # Panics
///
/// If the operating system has no more memory.
pub fn scope_in<R>(arena: &mut Arena, run: impl FnOnce() -> R) -> R {
    or_exhausted(try_scope_in(arena, run))
}

/// As [`scope_in`].
///
/// # Errors
///
/// [`AllocError`] if the operating system has no more memory; `run` is not called then.
pub fn try_scope_in<R>(arena: &mut Arena, run: impl FnOnce() -> R) -> Result<R, AllocError> {
    let _open = Open::new(arena)?;
    Ok(run())
}
