//! A scope that [`Here`](struct@super::Here) allocates from: open, or retired.
//!
//! ```text
//!          Open::new            the end, no block in use
//! arena ────────────▶ open ─────────────────────────────▶ back to its owner
//!                      │
//!                      └──────▶ retired ─────────────────▶ dropped
//!              the end, blocks in use     the last one freed
//!
//! CURRENT ──▶ State 3 ──▶ State 2 ──▶ State 1 ──▶ nothing      by `before`
//! ```
//!
//! # Invariants
//!
//! 1. A state lies in a block of its own arena, and is not moved; the arena is read out of it once, by
//!    who ends the scope, or frees the last block of one that is retired.
//! 2. `blocks` is how many blocks name this state.
//! 3. The chain from `CURRENT` along `before` has every open scope of this thread once, the newest
//!    first, and nothing else. A scope leaves it where it stands, before anything else of its end:
//!    scopes of several stacks end in any order, and one that is forgotten stays.

use core::cell::Cell;
use core::mem;
use core::ptr::NonNull;
use std::io::Write;

use allotrope_core::AllocError;

use crate::Arena;
use crate::drop_list::{self, Owner};
use crate::space::Position;

pub(super) struct State {
    pub(super) arena: Arena,
    /// How many blocks are in use.
    pub(super) blocks: Cell<usize>,
    pub(super) is_open: Cell<bool>,
    /// The newest of the open scopes that began before this one.
    before: Cell<Option<NonNull<State>>>,
    /// Where the arena was before.
    begin: Position,
}

std::thread_local! {
    static CURRENT: Cell<Option<NonNull<State>>> = const { Cell::new(None) };
}

/// The newest open scope of this thread.
#[inline(always)]
pub(super) fn current() -> Option<NonNull<State>> {
    CURRENT.get()
}

/// Takes the state at `place`, which an open scope of this thread has, out of the chain: from its
/// front, unless scopes end in another order than that of one stack.
#[inline(always)]
fn unlink(place: NonNull<State>) {
    if CURRENT.get() != Some(place) {
        return unlink_later(place);
    }
    // SAFETY: states in the chain are there (invariant 3).
    CURRENT.set(unsafe { place.as_ref() }.before.get());
}

/// As [`unlink`], for a state that is not the first.
///
/// One that this thread does not have has come here with a stack that was moved from another
/// thread, though an open scope is not `Send`. It could not leave the other chain: the program ends.
#[cold]
#[inline(never)]
fn unlink_later(place: NonNull<State>) {
    let mut next = CURRENT.get();
    while let Some(newer) = next {
        // SAFETY: states in the chain are there (invariant 3).
        let newer = unsafe { newer.as_ref() };
        next = newer.before.get();
        if next == Some(place) {
            // SAFETY: as above.
            newer.before.set(unsafe { place.as_ref() }.before.get());
            return;
        }
    }
    let sentence = b"allotrope: an ambient scope ended on another thread than it began on\n";
    _ = std::io::stderr().write_all(sentence);
    std::process::abort();
}

/// A scope that is open, until this is dropped: in any order, and perhaps never.
pub(super) struct Open<'a> {
    arena: &'a mut Arena,
    state: NonNull<State>,
}

impl<'a> Open<'a> {
    /// Begins a scope in `arena`, which is empty meanwhile.
    pub(super) fn new(arena: &'a mut Arena) -> Result<Self, AllocError> {
        let begin = arena.space().position();
        let place = arena.space().place_for::<State>()?;
        let (limit, cap) = (arena.allocation_limit(), arena.chunk_cap());
        let own = mem::take(arena);
        // If blocks keep its memory, this is the user's arena, as they have set it.
        arena.set_allocation_limit(limit);
        arena.set_chunk_cap(cap);
        let (blocks, is_open, before) = (Cell::new(0), Cell::new(true), Cell::new(CURRENT.get()));
        let state = State { arena: own, blocks, is_open, before, begin };
        // SAFETY: the block is new, and fits.
        unsafe { place.write(state) };
        CURRENT.set(Some(place));
        Ok(Self { arena, state: place })
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        unlink(self.state);
        // SAFETY: the scope is open, and so its state is there.
        let state = unsafe { self.state.as_ref() };
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
        // SAFETY: blocks are in use.
        let _kept = unsafe { Block::new(self.state) };
        // SAFETY: the values were kept before the scope, by an arena that is borrowed mutably: nobody
        // uses them.
        unsafe { drop_list::run(state.arena.space(), Owner::ARENA, None) };
    }
}

/// One block that is in use, as far as counting goes: the last of a retired scope, when it is
/// dropped, frees the arena.
pub(super) struct Block(NonNull<State>);

impl Block {
    /// One more block of a scope.
    ///
    /// # Safety
    ///
    /// The state at `place` is there: its scope is open, or another of its blocks is in use.
    #[inline(always)]
    pub(super) unsafe fn new(place: NonNull<State>) -> Self {
        // SAFETY: as the caller promises.
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
    /// It is one that was kept with this state, and it is taken once.
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
            // SAFETY: the scope is retired, and its last block goes.
            unsafe { free(self.0) };
        }
    }
}

/// Frees the arena of a scope.
///
/// # Safety
///
/// The scope is retired, and no block of it is in use: nobody names its state any more.
#[cold]
#[inline(never)]
unsafe fn free(place: NonNull<State>) {
    // SAFETY: invariant 1; nobody names this state any more (caller).
    drop(unsafe { place.read() });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::alloc::Layout;
    use std::vec::Vec;

    use super::*;
    use crate::ambient::Here;

    const COUNT: usize = 4;

    /// Every order of `0..COUNT`.
    fn orders() -> Vec<Vec<usize>> {
        (0..COUNT).fold(std::vec![Vec::new()], |orders, next| {
            let longer = orders.iter().flat_map(|order: &Vec<usize>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, next);
                    longer
                })
            });
            longer.collect()
        })
    }

    /// The states of this thread's open scopes, the newest first.
    fn chain() -> Vec<NonNull<State>> {
        // SAFETY: states in the chain are there.
        let before = |state: &NonNull<State>| unsafe { state.as_ref() }.before.get();
        core::iter::successors(current(), before).collect()
    }

    /// Begins four scopes, with a block in those of `with_blocks`, ends them in this order, and frees
    /// the blocks.
    fn end_in(order: &[usize], with_blocks: usize) {
        let layout = Layout::new::<[u64; 8]>();
        let mut arenas: Vec<_> = (0..COUNT).map(|_| Arena::new()).collect();
        let (mut open, mut blocks) = (Vec::new(), Vec::new());
        for (index, arena) in arenas.iter_mut().enumerate() {
            open.push(Open::new(arena).ok());
            if with_blocks >> index & 1 == 1 {
                let block = Here.allocate(layout).unwrap().cast::<u64>();
                // SAFETY: the block is new, and longer.
                unsafe { block.write(index as u64) };
                blocks.push((index, block));
            }
        }
        for ended in order {
            open[*ended] = None;
            let left: Vec<_> = open.iter().flatten().rev().map(|open| open.state).collect();
            assert_eq!(chain(), left, "{order:?} {with_blocks:b}");
            let block = Here.allocate(layout);
            assert_eq!(block.is_ok(), !left.is_empty(), "{order:?} {with_blocks:b}");
            if let Ok(block) = block {
                // SAFETY: the block is new, as long, and freed with its layout.
                unsafe {
                    block.cast::<u8>().write_bytes(0xEE, layout.size());
                    Here.deallocate(block.cast(), layout);
                }
            }
        }
        drop(open);
        for (index, block) in blocks {
            assert_eq!(arenas[index].bytes_held(), 0, "the block has its memory");
            // SAFETY: the block is in use, and freed here.
            unsafe {
                assert_eq!(block.read(), index as u64, "{order:?} {with_blocks:b}");
                Here.deallocate(block.cast(), layout);
            }
        }
        for (index, arena) in arenas.iter().enumerate() {
            assert_eq!(arena.bytes_used(), 0);
            assert_eq!(arena.bytes_held() > 0, with_blocks >> index & 1 == 0);
            arena.check_invariants().unwrap();
        }
    }

    #[test]
    fn scopes_end_in_every_order_with_blocks_in_use_and_without() {
        assert_eq!(orders().len(), 24);
        for order in orders() {
            (0..1 << COUNT).for_each(|with_blocks| end_in(&order, with_blocks));
        }
    }

    #[test]
    fn a_scope_that_is_forgotten_stays_open_and_keeps_its_memory() {
        let mut arenas = [Arena::new(), Arena::new(), Arena::new()];
        let [outer, forgotten, inner] = arenas.each_mut().map(|arena| Open::new(arena).unwrap());
        let place = forgotten.state;
        mem::forget(forgotten);
        drop(outer);
        assert_eq!(chain(), [inner.state, place]);
        drop(inner);
        assert_eq!(chain(), [place]);
        // The arena that it was given is another one now, and the next scope's to use.
        arenas[1].alloc(1);
        drop(Open::new(&mut arenas[1]).unwrap());
        arenas[1].reset();
        assert_eq!(chain(), [place]);
        assert!(Here.allocate(Layout::new::<u64>()).is_ok());
    }
}
