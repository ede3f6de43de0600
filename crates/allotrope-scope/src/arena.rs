//! An arena: memory that is freed together, all at once or scope by scope.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Broken, Independent, Source};

use crate::chunk_use::{ChunkUse, chunk_uses};
use crate::default_source::DefaultSource;
use crate::drop_list::{self, Owner};
use crate::mark::{Mark, MarkError, Marks};
use crate::methods::{block_methods, value_methods};
use crate::scope::{Guard, Scope};
use crate::space::{Position, Space};
use crate::values::{Values, or_exhausted};

/// Memory that is freed together: a frontier moves through chunks, and everything behind it goes at
/// once, or scope by scope.
///
/// An arena takes its chunks from a [`Source`]: pages of the operating system unless told otherwise,
/// the user's own bytes ([`Buffer`](allotrope_core::Buffer): no other allocation, ever), or any
/// allocator ([`Upstream`](allotrope_core::Upstream)). Chunks double in size up to a
/// [cap](Self::set_chunk_cap), and are kept for reuse until [`shrink_to`](Self::shrink_to) or the
/// arena's end.
///
/// ```
/// use allotrope_scope::Arena;
///
/// let mut arena = Arena::new();
/// let squares = arena.alloc_slice_fill_with(4, |n| n * n);
/// let name = arena.alloc_str("squares");
/// assert_eq!((&*name, &*squares), ("squares", &[0, 1, 4, 9][..]));
///
/// arena.reset();
/// assert_eq!(arena.bytes_used(), 0);
/// ```
///
/// # Values
///
/// The `alloc` methods take values that need no drop, and return `&mut`. A value that does need one
/// does not compile there:
///
/// ```compile_fail,E0080
/// # use allotrope_scope::Arena;
/// let arena = Arena::new();
/// arena.alloc(String::from("nobody would free this"));
/// ```
///
/// [`keep`](Self::keep) drops it when the scope ends, [`boxed`](Self::boxed) with a box:
///
/// ```
/// # use allotrope_scope::Arena;
/// let arena = Arena::new();
/// let text = arena.keep(String::from("this is freed with"));
/// text.push_str(" the arena");
/// ```
///
/// Every method that panics when there is no memory has a twin, `try_…`, that returns an error.
///
/// # Scopes
///
/// Everything since a scope began is freed when it ends, and its memory is used again. Scopes nest to
/// any depth; see [`Scope`].
///
/// ```
/// # use allotrope_scope::Arena;
/// # let mut arena = Arena::new();
/// for request in 0..1000 {
///     arena.scope(|scope| {
///         let words = scope.alloc_slice_fill_with(100, |n| n + request);
///         assert_eq!(words[1], request + 1);
///     });
/// }
/// assert_eq!(arena.bytes_used(), 0);
/// ```
///
/// # Containers
///
/// `&Arena` is an `Allocator` (and so is an arena by value). The last block grows and shrinks in its
/// place, and is free again when it is freed; any other goes with its scope.
///
/// ```
/// # use allotrope_scope::Arena;
/// use allocator_api2::vec::Vec;
///
/// let arena = Arena::new();
/// let mut numbers = Vec::new_in(&arena);
/// numbers.extend(0..1000);
/// let numbers: &mut [i32] = numbers.leak();
/// assert_eq!(numbers.len(), 1000);
/// ```
///
/// # Cost
///
/// A value takes some six instructions, and its size rounded up to 8. All bookkeeping is in the
/// handle and at the start of each chunk.
///
/// Sources: the arena of bumpalo (values, and containers over a shared reference), the scopes of
/// bump-scope (an inner scope borrows the outer handle, not its values).
pub struct Arena<S: Source = DefaultSource> {
    space: Space<S>,
    marks: Marks,
}

// SAFETY: blocks and values borrow the arena, so that none is in use while it is sent; the values
// that it still drops may be sent, by the bounds of `keep`, and those of forgotten guards are never
// touched. Everything else is memory that belongs to no thread in particular.
unsafe impl<S: Source + Send> Send for Arena<S> {}

impl<S: Source> Arena<S> {
    /// An arena over `source`; it takes memory on first use.
    pub const fn with_source(source: S) -> Self {
        Self { space: Space::new(source), marks: Marks::new() }
    }

    /// An arena over `source` whose first chunk has room for `bytes` bytes of blocks.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has not so much memory.
    pub fn try_with_capacity_in(bytes: usize, source: S) -> Result<Self, AllocError> {
        let arena = Self::with_source(source);
        arena.space.make_room(bytes)?;
        Ok(arena)
    }

    /// As [`try_with_capacity_in`](Self::try_with_capacity_in).
    ///
    /// # Panics
    ///
    /// If the source has not so much memory.
    pub fn with_capacity_in(bytes: usize, source: S) -> Self {
        or_exhausted(Self::try_with_capacity_in(bytes, source))
    }

    value_methods!(['v] 'v);
    block_methods!();

    #[inline(always)]
    pub(crate) fn space(&self) -> &Space<S> {
        &self.space
    }

    /// Puts `value` here, to be dropped by [`reset`](Self::reset), by the
    /// [`end_scope`](Self::end_scope) of a scope that is open now, or with the arena.
    ///
    /// What is kept is dropped in reverse order, each value once; a drop that panics does not keep
    /// the others from being dropped. The value may be dropped at any later time, by whatever
    /// thread has the arena then; a [`Scope`] also keeps values that borrow, and such that
    /// cannot be sent.
    ///
    /// # Panics
    ///
    /// If the source has no more memory.
    #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
    #[inline]
    pub fn keep<T: Send + 'static>(&self, value: T) -> &mut T {
        or_exhausted(self.try_keep(value))
    }

    /// As [`keep`](Self::keep).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has no more memory; `value` is dropped then.
    #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
    #[inline]
    pub fn try_keep<T: Send + 'static>(&self, value: T) -> Result<&mut T, AllocError> {
        // SAFETY: the value borrows nothing and may be sent; the arena cuts the list before it frees
        // blocks.
        let mut kept = unsafe { drop_list::keep(&self.space, Owner::ARENA, value) }?;
        // SAFETY: the value is new, nobody else has it, and it is dropped where the arena is
        // borrowed mutably.
        Ok(unsafe { kept.as_mut() })
    }

    /// Calls `run` with a scope: what is put there is freed when `run` returns or unwinds.
    ///
    /// See [`Scope`].
    #[inline(always)]
    pub fn scope<'o, R>(&'o mut self, run: impl for<'s> FnOnce(&mut Scope<'s, 'o, S>) -> R) -> R {
        // SAFETY: the arena is borrowed mutably for `'o`.
        unsafe { Guard::new(&self.space) }.run(run)
    }

    /// Begins a scope that ends when the guard is dropped.
    ///
    /// See [`Guard`].
    #[inline(always)]
    pub fn enter(&mut self) -> Guard<'_, S> {
        // SAFETY: the arena is borrowed mutably as long as the guard is there.
        unsafe { Guard::new(&self.space) }
    }

    /// Begins a scope that ends with [`end_scope`](Self::end_scope), for code that cannot nest.
    ///
    /// ```
    /// use allotrope_scope::{Arena, MarkError};
    ///
    /// let mut arena = Arena::new();
    /// let outer = arena.begin_scope();
    /// arena.alloc(1);
    /// let inner = arena.begin_scope();
    /// arena.alloc(2);
    ///
    /// assert_eq!(arena.end_scope(outer), Err(MarkError::WrongOrder));
    /// arena.end_scope(inner)?;
    /// arena.end_scope(outer)?;
    /// assert_eq!(arena.bytes_used(), 0);
    /// assert_eq!(arena.end_scope(inner), Err(MarkError::NotOpen));
    /// # Ok::<(), MarkError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the source has no more memory.
    pub fn begin_scope(&self) -> Mark {
        or_exhausted(self.try_begin_scope())
    }

    /// As [`begin_scope`](Self::begin_scope).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has no more memory; nothing has changed then.
    pub fn try_begin_scope(&self) -> Result<Mark, AllocError> {
        // SAFETY: it is the arena's own. Only `end_scope` and `reset`, which close marks, and guards,
        // whose positions come after all marks, set it back.
        unsafe { self.marks.begin(&self.space) }
    }

    /// Drops and frees everything since `mark` was made; keeps the memory.
    ///
    /// # Errors
    ///
    /// [`MarkError`] if that is not the innermost open mark of this arena; nothing has changed then.
    pub fn end_scope(&mut self, mark: Mark) -> Result<(), MarkError> {
        let position = self.marks.end(mark)?;
        // SAFETY: the position is one of the space, the innermost that is open; `self` is borrowed
        // mutably, so that nobody uses its blocks.
        unsafe { self.space.end(Owner::ARENA, position) };
        Ok(())
    }

    /// Drops and frees everything; keeps all memory for new values.
    pub fn reset(&mut self) {
        self.marks.clear();
        // SAFETY: everything comes after the start; `self` is borrowed mutably, so that nobody uses
        // its blocks.
        unsafe { self.space.end(Owner::ARENA, Position::START) };
    }

    /// Gives memory that is not in use back to the source, until no more than `bytes` bytes are
    /// held, or everything is in use. A chunk where an open scope began is in use.
    pub fn shrink_to(&mut self, bytes: usize) {
        // SAFETY: positions are those of open marks, and of guards, which would borrow the arena.
        unsafe { self.space.shrink_to(bytes, self.marks.is_any_open()) };
    }

    /// How many bytes blocks take, with what lies unused between and behind them in chunks that are
    /// full. Walks the chunks.
    pub fn bytes_used(&self) -> usize {
        self.chunks().map(|chunk| chunk.used()).sum()
    }

    /// How many bytes are held from the source, bookkeeping included: all chunks, in use or free. It is
    /// at least the memory that they take, for pages that nobody has written take none.
    pub fn bytes_held(&self) -> usize {
        self.space.chunks.held()
    }

    /// The chunks: first those in use, oldest first, then those of one block, then free ones. The
    /// list ends early if a chunk is released, grows, or comes into or out of use for one block while
    /// it is walked.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkUse> {
        chunk_uses(&self.space)
    }

    /// How many bytes may be held from the source at most.
    pub fn allocation_limit(&self) -> Option<usize> {
        Some(self.space.chunks.limit()).filter(|limit| *limit < usize::MAX)
    }

    /// Sets how many bytes may be held from the source at most. It is compared with
    /// [`bytes_held`](Self::bytes_held), and counts a request before the source is asked.
    ///
    /// A request that would need more first makes free chunks go: those of large blocks that
    /// were freed, and those behind the frontier. It fails if that does not suffice, or if the source
    /// has no more; nothing in use has changed then. What is held already stays. A large block that
    /// grows in its chunk is charged what it grows by; one that must be copied, both places.
    ///
    /// Over pages, a limit allows the whole of the page that it ends in, so that one of 512 bytes serves
    /// small values from one page. Another source may pass it where it adds more than was asked for to the
    /// chunk of a large block that grows.
    pub fn set_allocation_limit(&self, limit: Option<usize>) {
        self.space.chunks.set_limit(limit.unwrap_or(usize::MAX));
    }

    /// Up to what size in bytes chunks double.
    pub fn chunk_cap(&self) -> usize {
        self.space.chunks.cap()
    }

    /// Sets up to what size in bytes chunks double; 1 MiB unless set. A block for which that is too
    /// little gets a chunk of its own.
    pub fn set_chunk_cap(&self, bytes: usize) {
        self.space.chunks.set_cap(bytes);
    }

    /// Checks every invariant that the arena's memory can be held against. Takes time in proportion to
    /// the number of chunks, for each mark and each value that is kept.
    ///
    /// # Errors
    ///
    /// The first invariant found broken, which means that this crate has a bug, or that somebody
    /// wrote to memory that was not theirs.
    pub fn check_invariants(&self) -> Result<(), Broken> {
        self.space.check_invariants()?;
        self.marks.check_invariants(&self.space)
    }

    /// Where its memory comes from.
    pub const fn source(&self) -> &S {
        self.space.chunks.source()
    }
}

impl<S: Source> Drop for Arena<S> {
    fn drop(&mut self) {
        if self.space.drops.get().is_some() {
            self.reset();
        }
    }
}

impl<S: Source + Default> Default for Arena<S> {
    fn default() -> Self {
        Self::with_source(S::default())
    }
}

impl<S: Source> fmt::Debug for Arena<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Arena")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_held", &self.bytes_held())
            .finish_non_exhaustive()
    }
}

// SAFETY: blocks lie in chunks, which do not move with the arena. They are handed out once until
// they are freed, or everything is by calls that borrow the arena mutably.
unsafe impl<S: Source> allotrope_core::api::Sound for Arena<S> {}
allotrope_core::impl_allocator!([S: Source] Arena<S>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent> Independent for Arena<S> {}
