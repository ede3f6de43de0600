//! A pool of warmed arenas: each request takes one, and leaves it for the next.
//!
//! ```text
//! get ◀── │ – │ a │ – │ b │ … addresses of arenas that nobody uses
//!               │
//!               ▼
//!           │ Arena │ room …        each lies at the start of its own memory
//! ```
//!
//! An arena that waits is written into a block of its own, so that the pool is a few words and needs no memory.
//!
//! # Invariants
//!
//! 1. An address in `kept` is that of an `Arena<S>` in memory that this arena holds. Who takes the
//!    address out owns the arena, and reads it once.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use allotrope_core::Source;
use allotrope_sync::Kept;
use allotrope_sync::facade::const_fn;

use crate::default_source::DefaultSource;
use crate::{Arena, growth};

/// Arenas that are used again: [`get`](Self::get) one per request, or per task, of any thread.
///
/// What the guard gives back is reset, and keeps its memory, up to a bound, so that the next request finds
/// it warm. Up to `KEEPS` arenas wait; further ones are dropped.
///
/// ```
/// use allotrope_scope::ArenaPool;
/// use std::thread;
///
/// static ARENAS: ArenaPool = ArenaPool::new();
///
/// fn answer(request: &str) -> usize {
///     let arena = ARENAS.get();
///     let words: &[&str] = arena.alloc_slice_fill_with(3, |n| request.split(' ').nth(n).unwrap());
///     words.iter().map(|word| word.len()).sum()
/// }
///
/// let threads = [(); 4].map(|()| thread::spawn(|| answer("one two three")));
/// assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 11));
/// ```
///
/// # Cost
///
/// To take and to leave an arena are a few exchanges and copies of its handle, without a lock, and
/// without a call to the source while some arena waits. The pool is `KEEPS` words, and one more.
pub struct ArenaPool<S: Source = DefaultSource, const KEEPS: usize = 16> {
    kept: Kept<KEEPS>,
    most_bytes: usize,
    /// Arenas go in and out by a shared reference: invariant, as a cell is.
    arenas: PhantomData<Cell<Arena<S>>>,
}

// SAFETY: the arenas in it are sent from thread to thread, which they may be if the source may.
unsafe impl<S: Source + Send, const KEEPS: usize> Send for ArenaPool<S, KEEPS> {}

// SAFETY: as above; who takes an address owns the arena (invariant 1).
unsafe impl<S: Source + Send, const KEEPS: usize> Sync for ArenaPool<S, KEEPS> {}

impl<S: Source, const KEEPS: usize> ArenaPool<S, KEEPS> {
    const_fn! {
        /// A pool without an arena yet, whose arenas keep up to `bytes` bytes while they wait.
        pub fn keeping(bytes: usize) -> Self {
            Self { kept: Kept::new(), most_bytes: bytes, arenas: PhantomData }
        }
    }

    /// An empty arena: one that waits, or else a new one.
    pub fn get(&self) -> PooledArena<'_, S, KEEPS>
    where
        S: Default,
    {
        self.get_or(Arena::default)
    }

    /// An empty arena: one that waits, or else what `make` returns.
    pub fn get_or(&self, make: impl FnOnce() -> Arena<S>) -> PooledArena<'_, S, KEEPS> {
        let arena = ManuallyDrop::new(self.take().unwrap_or_else(make));
        PooledArena { pool: self, arena }
    }

    /// Drops the arenas that wait.
    pub fn clear(&self) {
        while self.take().is_some() {}
    }

    fn take(&self) -> Option<Arena<S>> {
        let place = self.kept.take()?.cast::<Arena<S>>();
        // SAFETY: invariant 1.
        let mut arena = unsafe { place.read() };
        // The block in which it has lain.
        arena.reset();
        Some(arena)
    }

    /// Keeps an arena that was reset, if there is a place for it, and it has memory to lie in.
    fn put(&self, arena: Arena<S>) {
        let mut arena = arena;
        arena.set_allocation_limit(None);
        arena.set_chunk_cap(growth::CAP);
        arena.shrink_to(self.most_bytes);
        if arena.bytes_held() == 0 {
            return;
        }
        let Ok(place) = arena.space().place_for::<Arena<S>>() else { return };
        // SAFETY: the block is new, and fits; it stays as long as the arena does.
        unsafe { place.write(arena) };
        if !self.kept.put(place.cast()) {
            // SAFETY: nobody else has the address.
            drop(unsafe { place.read() });
        }
    }
}

impl<S: Source, const KEEPS: usize> Drop for ArenaPool<S, KEEPS> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<S: Source, const KEEPS: usize> Default for ArenaPool<S, KEEPS> {
    fn default() -> Self {
        Self::keeping(growth::CAP)
    }
}

impl<S: Source, const KEEPS: usize> fmt::Debug for ArenaPool<S, KEEPS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ArenaPool").field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// An arena of a pool, which it goes back to, empty, when this is dropped.
///
/// It is an [`Arena`] in every respect. What that keeps is dropped when it goes back, by the thread that drops this.
pub struct PooledArena<'p, S: Source = DefaultSource, const KEEPS: usize = 16> {
    pool: &'p ArenaPool<S, KEEPS>,
    arena: ManuallyDrop<Arena<S>>,
}

impl<S: Source, const KEEPS: usize> Deref for PooledArena<'_, S, KEEPS> {
    type Target = Arena<S>;

    #[inline(always)]
    fn deref(&self) -> &Arena<S> {
        &self.arena
    }
}

impl<S: Source, const KEEPS: usize> DerefMut for PooledArena<'_, S, KEEPS> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Arena<S> {
        &mut self.arena
    }
}

impl<S: Source, const KEEPS: usize> Drop for PooledArena<'_, S, KEEPS> {
    fn drop(&mut self) {
        /// Puts the arena back, whether or not the drop of a value in it unwinds.
        struct Back<'a, 'p, S: Source, const KEEPS: usize>(&'a mut PooledArena<'p, S, KEEPS>);

        impl<S: Source, const KEEPS: usize> Drop for Back<'_, '_, S, KEEPS> {
            fn drop(&mut self) {
                // SAFETY: the guard is being dropped, and does not use the arena again.
                let arena = unsafe { ManuallyDrop::take(&mut self.0.arena) };
                self.0.pool.put(arena);
            }
        }

        Back(self).0.reset();
    }
}

impl<S: Source, const KEEPS: usize> fmt::Debug for PooledArena<'_, S, KEEPS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arena.fmt(formatter)
    }
}
