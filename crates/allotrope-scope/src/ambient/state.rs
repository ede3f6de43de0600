//! A scope that [`Here`](struct@super::Here) allocates from: open, or retired.
//!
//! ```text
//!          Open::new            the end, no block in use
//! arena ────────────▶ open ─────────────────────────────▶ back to its owner
//!                      │
//!                      └──────▶ retired ─────────────────▶ dropped
//!              the end, blocks in use     the last one freed
//! ```
//!
//! # Invariants
//!
//! 1. A state lies in a block of its own arena, and is not moved; the arena is read out of it once, by
//!    who ends the scope, or frees the last block of one that is retired.
//! 2. `blocks` is how many blocks name this state.
//! 3. `CURRENT` and `outer` are states of open scopes of this thread, whose `Open` are further up
//!    on its stack.

use core::cell::Cell;
use core::mem;
use core::ptr::NonNull;

use allotrope_core::AllocError;

use crate::Arena;
use crate::drop_list::{self, Owner};
use crate::space::Position;

pub(super) struct State {
    pub(super) arena: Arena,
    /// How many blocks are in use.
    pub(super) blocks: Cell<usize>,
    pub(super) is_open: Cell<bool>,
    outer: Option<NonNull<State>>,
    /// Where the arena was before.
    begin: Position,
}

std::thread_local! {
    static CURRENT: Cell<Option<NonNull<State>>> = const { Cell::new(None) };
}

/// The innermost open scope of this thread.
#[inline(always)]
pub(super) fn current() -> Option<NonNull<State>> {
    CURRENT.get()
}

/// A scope that is open, until this is dropped. It does not leave the function that made it.
pub(super) struct Open<'a> {
    arena: &'a mut Arena,
    state: NonNull<State>,
}

impl<'a> Open<'a> {
    /// Begins a scope in `arena`, which is empty meanwhile.
    pub(super) fn new(arena: &'a mut Arena) -> Result<Self, AllocError> {
        let begin = arena.space().position();
        let place = arena.space().place_for::<State>()?;
        let limit = arena.allocation_limit();
        let (blocks, is_open) = (Cell::new(0), Cell::new(true));
        let own = mem::take(arena);
        arena.set_allocation_limit(limit);
        let state = State { arena: own, blocks, is_open, outer: CURRENT.get(), begin };
        // SAFETY: the block is new, and fits.
        unsafe { place.write(state) };
        CURRENT.set(Some(place));
        Ok(Self { arena, state: place })
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // SAFETY: the scope is open, and so its state is there.
        let state = unsafe { self.state.as_ref() };
        CURRENT.set(state.outer);
        state.is_open.set(false);
        let begin = state.begin;
        if state.blocks.get() == 0 {
            // SAFETY: invariant 1; nobody names this state any more.
            *self.arena = unsafe { self.state.read() }.arena;
            // SAFETY: the position is the arena's, from before; no block since then is in use.
            unsafe { self.arena.space().rewind(begin) };
            return;
        }
        // One block more, which keeps the arena through drops that free the others.
        let _kept = Block::new(self.state);
        // SAFETY: the values were kept before the scope, by an arena that is borrowed mutably: nobody
        // uses them.
        unsafe { drop_list::run(state.arena.space(), Owner::ARENA, None) };
    }
}

/// One block that is in use, as far as counting goes: the last of a retired scope, when it is
/// dropped, frees the arena.
pub(super) struct Block(NonNull<State>);

impl Block {
    /// One more block of an open scope.
    #[inline(always)]
    pub(super) fn new(place: NonNull<State>) -> Self {
        // SAFETY: the scope is open, so that its state is there.
        let state = unsafe { place.as_ref() };
        state.blocks.set(state.blocks.get() + 1);
        Self(place)
    }

    /// It stays in use.
    #[inline(always)]
    pub(super) fn keep(self) {
        mem::forget(self);
    }

    /// One that was [kept](Self::keep).
    ///
    /// # Safety
    ///
    /// It is taken once.
    #[inline(always)]
    pub(super) unsafe fn take(place: NonNull<State>) -> Self {
        Self(place)
    }
}

impl Drop for Block {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this block is counted, so that the state is there (invariant 1).
        let state = unsafe { self.0.as_ref() };
        let blocks = state.blocks.get() - 1;
        state.blocks.set(blocks);
        if blocks == 0 && !state.is_open.get() {
            free(self.0);
        }
    }
}

/// Frees the arena of a retired scope in which no block is in use.
#[cold]
#[inline(never)]
fn free(place: NonNull<State>) {
    // SAFETY: invariant 1; nobody names this state any more.
    drop(unsafe { place.read() });
}
