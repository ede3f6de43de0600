//! An arena that threads share: each thread's blocks come from a lane of its own.
//!
//! ```text
//! thread ──▶ slot ──▶ table ──▶ lane ──▶ a bump of its cursor          no lock, no atomic write
//!                                 │ no room, or no lane yet
//!                                 ▼
//!                               stock: a chunk, behind a lock; sizes double, so that this is rare
//! ```
//!
//! | file | what is there |
//! |---|---|
//! | [`table`] | which lane a slot has |
//! | [`lane`] | a frontier with chunks of its own |
//! | [`stock`] | what chunks are taken from, and blocks for threads without a slot |
//! | [`front`] | the way through these, call by call |
//! | [`local`] | a lane for one handle |

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Contents, Independent, Source};
use allotrope_sync::facade::const_fn;

use crate::default_source::DefaultSource;
use crate::methods::{block_methods, value_methods};
use crate::places::Places;
use crate::values::{Values, or_exhausted};

mod front;
mod lane;
mod local;
mod stock;
mod table;

use front::Front;
use lane::Lane;
pub use local::LocalArena;
use stock::Stock;
use table::Table;

/// An [`Arena`](crate::Arena) that any number of threads allocate from at once.
///
/// Everything is freed together, by [`reset`](Self::reset) or with the arena. Each thread gets its
/// blocks from chunks of its own, without a lock; only a new chunk is taken from what all share.
///
/// ```
/// use allotrope_scope::SharedArena;
/// use std::thread;
///
/// let mut arena = SharedArena::new();
/// let lines = ["one", "two", "three"];
/// let copies = thread::scope(|threads| {
///     let arena = &arena;
///     let copy = |line| threads.spawn(move || &*arena.alloc_str(line));
///     lines.map(copy).map(|thread| thread.join().unwrap())
/// });
/// assert_eq!(copies, lines);
/// arena.reset();
/// assert_eq!(arena.bytes_used(), 0);
/// ```
///
/// # Handles
///
/// Each call looks up the thread's chunks. A loop does better with [`local`](Self::local), whose
/// handle has chunks to itself, and is as fast as an arena of one thread.
///
/// # Values
///
/// The `alloc` methods are those of [`Arena`](crate::Arena). A value belongs to whoever has the
/// reference, and need not be one that may be sent. Nothing is kept to be dropped: a value with
/// drop glue does not compile here. [`boxed`](Self::boxed) takes it, and drops it with its box.
///
/// ```compile_fail,E0080
/// # use allotrope_scope::SharedArena;
/// let arena = SharedArena::new();
/// arena.alloc(String::from("nobody would free this"));
/// ```
///
/// # Containers
///
/// `&SharedArena` is an `Allocator`. The last block of a thread grows and shrinks in its place, and
/// is free again when that thread frees it; any other goes with the arena.
///
/// # Threads without a slot
///
/// There are as many thread slots as `allotrope_sync::slots` has. Threads beyond that, thread-local
/// destructors that run after a thread has given its slot up, and all threads where there is no
/// `std`, share the stock of chunks itself: a lock for each call.
///
/// A source that allocates from the arena that it supplies ends the program where that takes the lock.
/// Without `std` it waits for ever.
///
/// # Cost
///
/// Some seven instructions more than an [`Arena`](crate::Arena) takes for each call, none through a
/// handle. A thread that allocates holds 128 bytes, and chunks from 4 KiB on that double.
///
/// Source: an arena that threads share, with handles for one thread, is blink-alloc's `SyncBlinkAlloc`.
pub struct SharedArena<S: Source = DefaultSource> {
    table: Table<Lane<S>>,
    stock: Stock<S>,
}

// SAFETY: blocks and values borrow the arena, so that none is in use while it is sent. What is left
// is memory that belongs to no thread in particular, and the source.
unsafe impl<S: Source + Send> Send for SharedArena<S> {}

// SAFETY: the table has its own invariants, a lane is used by one thread at a time (its first
// invariant), and all else is behind the stock's lock, the source included.
unsafe impl<S: Source + Send> Sync for SharedArena<S> {}

impl<S: Source> SharedArena<S> {
    const_fn! {
        /// An arena over `source`; it takes memory on first use.
        pub fn with_source(source: S) -> Self {
            Self { table: Table::new(), stock: Stock::new(source) }
        }
    }

    value_methods!(['v] 'v);
    block_methods!();

    #[inline(always)]
    fn space(&self) -> Front<'_, S> {
        Front(self)
    }

    /// A handle with chunks of its own, for many calls of one thread; O(1), behind the lock.
    ///
    /// ```
    /// # use allotrope_scope::SharedArena;
    /// let arena = SharedArena::new();
    /// let handle = arena.local();
    /// let numbers = handle.alloc_slice_fill_with(100, |n| n);
    /// drop(handle); // another one goes on in its chunks
    /// assert_eq!(numbers[99], 99);
    /// ```
    ///
    /// # Panics
    ///
    /// If the source has no more memory.
    pub fn local(&self) -> LocalArena<'_, S> {
        or_exhausted(self.try_local())
    }

    /// As [`local`](Self::local).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has no more memory; nothing has changed then.
    pub fn try_local(&self) -> Result<LocalArena<'_, S>, AllocError> {
        LocalArena::new(&self.stock)
    }

    /// Frees everything; keeps all memory for new values.
    pub fn reset(&mut self) {
        self.table = Table::new();
        // SAFETY: `self` is borrowed mutably, so that nobody uses blocks, or a lane.
        unsafe { self.stock.get_mut().reset() };
    }

    /// Gives memory that is not in use back to the source, until no more than `bytes` bytes are
    /// held, or everything is in a thread's chunks. After a [`reset`](Self::reset) nothing is.
    pub fn shrink_to(&mut self, bytes: usize) {
        // SAFETY: the stock is set back to its start alone.
        unsafe { self.stock.get_mut().space.shrink_to(bytes, false) };
    }

    /// How many bytes the blocks of all threads take, with what lies unused between and behind them
    /// in chunks that are full; not what threads without a slot have. Walks the chunks.
    pub fn bytes_used(&mut self) -> usize {
        let shelves = self.stock.get_mut();
        let mut used = 0;
        // SAFETY: `self` is borrowed mutably, so that nobody has a lane.
        unsafe {
            shelves.each_lane(|space| used += space.used().map(in_use).sum::<usize>());
        }
        used
    }

    /// How many bytes are held from the source for all threads, bookkeeping included: what is in use,
    /// and what is free.
    pub fn bytes_held(&self) -> usize {
        self.stock.locked(|shelves| shelves.space.chunks.held())
    }

    /// How many bytes may be held from the source at most.
    pub fn allocation_limit(&self) -> Option<usize> {
        let limit = self.stock.locked(|shelves| shelves.space.chunks.limit());
        Some(limit).filter(|limit| *limit < usize::MAX)
    }

    /// Sets how many bytes all threads together may hold from the source at most, as
    /// [`Arena::set_allocation_limit`](crate::Arena::set_allocation_limit) does.
    ///
    /// A request that would need more makes free chunks go that the calling thread has, or nobody. Those
    /// of other threads stay theirs until [`reset`](Self::reset).
    pub fn set_allocation_limit(&self, limit: Option<usize>) {
        self.stock.locked(|shelves| shelves.space.chunks.set_limit(limit.unwrap_or(usize::MAX)));
    }

    /// Sets up to what size in bytes the chunks of each thread double; 1 MiB unless set.
    pub fn set_chunk_cap(&mut self, bytes: usize) {
        let shelves = self.stock.get_mut();
        shelves.set_cap(bytes);
        // SAFETY: `self` is borrowed mutably, so that nobody has a lane.
        unsafe { shelves.each_lane(|space| space.chunks.set_cap(bytes)) };
    }

    /// Allocates as a thread with slot `slot` does; `slots::CAPACITY` and above is one without.
    ///
    /// For models, whose threads have slots of a registry of their own.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    ///
    /// # Safety
    ///
    /// The slot is the caller's.
    #[doc(hidden)]
    pub unsafe fn allocate_in(
        &self,
        slot: usize,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Front(self).allocate_in(slot, Contents::Unknown, layout) }
    }
}

/// How many bytes blocks take in a chunk in which they end at `end`.
fn in_use((chunk, end): (crate::chunk::ChunkRef, NonNull<u8>)) -> usize {
    end.addr().get() - chunk.start().addr().get()
}

impl<S: Source + Default> Default for SharedArena<S> {
    fn default() -> Self {
        Self::with_source(S::default())
    }
}

impl<S: Source> fmt::Debug for SharedArena<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.bytes_held();
        formatter.debug_struct("SharedArena").field("bytes_held", &held).finish_non_exhaustive()
    }
}

// SAFETY: blocks lie in chunks, which do not move with the arena. They are handed out once until
// they are freed, or everything is by calls that borrow the arena mutably.
unsafe impl<S: Source> allotrope_core::api::Sound for SharedArena<S> {}
allotrope_core::impl_allocator!([S: Source] SharedArena<S>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent> Independent for SharedArena<S> {}
