//! The pool: blocks of powers of two, for any number of threads, without a lock.
//!
//! ```text
//! shard 0 │ 16 │ 32 │ 64 │ … │ 4096 │       shard 1 │ 16 │ 32 │ 64 │ …
//!                      │                                       │
//!                      ▼ a word of a chunk: 32 blocks          ▼
//! chunk  │ head │ words │ block │ block │ …        │ head │ words │ block │ …
//!
//! class  64: ready ──▶ chunk ──▶ chunk      chunks with free blocks that no shard has
//! spare:           ──▶ chunk ──▶ chunk      chunks without a class
//! ```
//!
//! A thread takes blocks from the word of its shard, so that threads of different shards meet only
//! where one frees what another allocated. Shards and the ready list are how free blocks are found
//! quickly; the words in the chunks' heads alone say what is free. Each part has its chapter:
//! [`occupancy`](allotrope_sync::chapters::occupancy), [`stacks`](allotrope_sync::chapters::stacks),
//! [`growth`](allotrope_sync::chapters::growth).
//!
//! # Invariants
//!
//! 1. A chunk with a class is in the list of all chunks of its class, and nothing else is there.
//! 2. A chunk with a free block is held: it is some shard's, it is in the ready stack of its class,
//!    or a call is under way that will see to it.
//! 3. Chunks keep their class, and regions stay, until the pool is borrowed mutably.
//! 4. A shard's word of a class is one of a chunk of that class, made by `Classed::word`. In the
//!    ready stack of a class are chunks of that class, in the stack of spare ones chunks without
//!    one. All are this pool's.

mod batch;
mod chunk;
mod keep;
mod large;
mod regions;
mod release;
mod take;

use core::alloc::Layout;
use core::fmt;
use core::ptr::{self, NonNull};

use allotrope_sync::facade::atomic::AtomicPtr;
use allotrope_sync::facade::{array_of, const_fn};
use allotrope_sync::{PushList, TaggedStack, Word, slots};

use large::Way;
use regions::Regions;

use crate::api::{impl_allocator, impl_global_alloc};
use crate::hook::{Hook, NoHook, Record};
use crate::layout::powers::{CLASSES, block_size, class_of};
use crate::policy::ValidPolicy;
use crate::strategy::large::Large;
use crate::strategy::shared::shared_strategy_methods;
use crate::strategy::{Broken, SharedStrategy, dangling};
use crate::{AllocError, DefaultPolicy, Independent, Policy, Source};

/// How many shards there are; threads beyond it share.
const SHARDS: usize = 16;

/// Blocks of powers of two from 16 bytes to 4 KiB, for any number of threads, without a lock.
///
/// `Pool` and `&Pool` are `Allocator`s, and blocks may be freed by other threads than allocated
/// them. A `Pool` in a `static` is a `GlobalAlloc`.
///
/// ```
/// use std::thread;
/// use allotrope_core::{OsPages, Pool};
/// use allocator_api2::vec::Vec;
///
/// static POOL: Pool<OsPages> = Pool::new(OsPages::new());
///
/// let squares = thread::spawn(|| {
///     let mut squares = Vec::new_in(&POOL);
///     squares.extend((0..10).map(|n| n * n));
///     squares
/// });
/// let squares = squares.join().unwrap();
/// assert_eq!((squares[9], POOL.bytes_used()), (81, 64));
/// drop(squares);
/// assert_eq!(POOL.bytes_used(), 0);
/// ```
///
/// | asked for | served with | wasted |
/// |---|---|---|
/// | 1 to 4096 bytes, aligned to at most that | the next power of two, at least 16, of size and alignment | less than half of it |
/// | more | pages of its own, known by a side table | less than a page, and a system call |
///
/// | call | takes |
/// |---|---|
/// | allocate, free | O(1): mostly one read-modify-write each, of a word that other threads seldom touch |
/// | [`allocate_batch`](Self::allocate_batch), [`deallocate_batch`](Self::deallocate_batch) | one read-modify-write for up to 32 blocks |
/// | allocate where memory is exhausted | O(chunks of the class), to be sure of it |
/// | counts, [`trim`](Self::trim), [`reset`](Self::reset) | O(chunks) |
///
/// # Chunks
///
/// Blocks of one class lie in a chunk of 64 KiB ([`Policy::CHUNK_SIZE`], where that is less), at
/// multiples of their size. In the chunk's head are one bit for each block, and nothing of the pool
/// lies in a free block. All chunks of a pool have the size that its first region leads to: over a
/// small buffer they are at most a sixteenth of it (a quarter, if that is less than 1 KiB), so that
/// several classes share it, but blocks that do not fit beside the head of so small a chunk are
/// refused. 64 KiB serve blocks of up to 2 KiB, 256 KiB all classes. A region loses up to a chunk to
/// alignment.
///
/// # Threads
///
/// A thread takes blocks from one of sixteen shards, and two threads of different shards from
/// different chunks. A chunk that runs empty is left; whoever frees the first block in it again
/// makes it known. So memory grows with what is in use at once, and by about a chunk for each shard
/// and class, however threads come, go, and free each other's blocks.
///
/// A pool has 64 regions at most. Each is larger than the last by a quarter of all before, unless
/// the source lends less.
///
/// No thread ever waits for another, with one exception: a call that is about to fail waits for
/// those that are just then adding memory (in a child that was forked meanwhile, for ever: there they
/// have vanished). A call fails only if at some moment every block of its
/// class was in use, and none could be added: threads that never hold more blocks at once than
/// [`capacity`](Self::capacity) are never refused one.
///
/// A source that calls the very pool that it supplies does no harm, as long as it stops somewhere:
/// no call keeps anything locked. Nor does it wait for itself: with [`Source::MAY_REENTER`] nobody waits for a region, and an
/// allocation may fail while another thread is just getting one.
///
/// # Memory that is given back
///
/// No shared call does that, since another thread might be looking. [`trim`](Self::trim) and
/// [`reset`](Self::reset) borrow the pool mutably.
///
/// # Where the idea comes from
///
/// jemalloc's slabs keep such bitmaps, with summaries above them, under a lock. Chunks that wait are
/// in Treiber's stack (1986).
pub struct Pool<S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    shards: [Shard; SHARDS],
    classes: [Class; CLASSES],
    regions: Regions<S, P>,
    large: Large,
    hook: H,
}

/// Where the threads of one shard take blocks from: a word of each class, or null.
///
/// Two cache lines long, so that no two shards share one.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    current: [AtomicPtr<Word>; CLASSES],
}

impl Shard {
    const_fn! {
        fn new() -> Self {
            Self { current: array_of!(AtomicPtr::new(ptr::null_mut())) }
        }
    }
}

/// The chunks of one class: those that wait for a shard, and all.
#[derive(Debug)]
struct Class {
    ready: TaggedStack,
    all: PushList,
}

impl Class {
    const_fn! {
        fn new() -> Self {
            Self { ready: TaggedStack::new(), all: PushList::new() }
        }
    }
}

impl<S: Source> Pool<S> {
    const_fn! {
        /// Blocks in the regions of `source`.
        pub fn new(source: S) -> Self {
            Self::with_policy(source)
        }
    }
}

impl<S: Source, P: Policy> Pool<S, P> {
    const_fn! {
        /// Blocks in the regions of `source`, by the figures of a policy that the type names.
        pub fn with_policy(source: S) -> Self {
            Self::with_hook(source, NoHook)
        }
    }
}

impl<S: Source, P: Policy, H: Hook> Pool<S, P, H> {
    const_fn! {
        /// Blocks in the regions of `source`, that tell `hook` what happens.
        pub fn with_hook(source: S, hook: H) -> Self {
            const { ValidPolicy::<P>::CHECKED };
            Self {
                shards: array_of!(Shard::new()),
                classes: array_of!(Class::new()),
                regions: Regions::new(source),
                large: Large::new(),
                hook,
            }
        }
    }

    /// Where its bytes come from.
    pub const fn source(&self) -> &S {
        self.regions.source().get()
    }

    shared_strategy_methods!();

    /// Like [`check_invariants`](Self::check_invariants), and every free block can be found.
    ///
    /// # Errors
    ///
    /// The first invariant found broken.
    ///
    /// # Safety
    ///
    /// All calls of other threads have been waited for, and none begins.
    pub unsafe fn check_at_rest(&self) -> Result<(), Broken> {
        self.check()?;
        // SAFETY: as the caller promises.
        unsafe { self.check_lists() }
    }

    /// How many blocks for `layout` the pool has, used or free, without asking its source for
    /// more. O(chunks of their class).
    pub fn capacity(&self, layout: Layout) -> usize {
        class_of(layout).map_or(0, |class| self.count(class).blocks)
    }

    /// How many blocks of the class that serves `layout` are in use. O(chunks of the class).
    pub fn blocks_used(&self, layout: Layout) -> usize {
        class_of(layout).map_or(0, |class| {
            let counts = self.count(class);
            counts.blocks - counts.free
        })
    }

    /// [`allocate`](Self::allocate) as a thread of shard `shard` would.
    #[doc(hidden)]
    #[inline(always)]
    pub fn allocate_in(&self, shard: usize, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        let Some(class) = class_of(layout) else { return self.take_large(layout) };
        let mut record = H::Record::default();
        let result = self.take(shard, class, layout, &mut record);
        record.deliver(&self.hook);
        Ok(NonNull::slice_from_raw_parts(result?, block_size(class)))
    }
}

// SAFETY: a block is handed out only by who cleared its bit, and its bit is set only by who gives
// it up (`Word`); blocks lie in chunks that do not overlap, behind their heads, at multiples of
// their size, in regions that stay until the pool is borrowed mutably or dropped. All sizes of a
// class have the same extent. Nothing unwinds: a `Firm` source ends the
// program where it would, and so does what `promised!` finds.
unsafe impl<S: Source, P: Policy, H: Hook> SharedStrategy for Pool<S, P, H> {
    fn extent(layout: Layout) -> Option<usize> {
        match layout.size() {
            0 => Some(0),
            _ => class_of(layout).map(block_size).or_else(|| Large::extent(layout)),
        }
    }

    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_in(slots::hint(), layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        let Some(class) = class_of(layout) else {
            // SAFETY: as the caller promises.
            return unsafe { self.put_large(start, layout) };
        };
        let mut record = H::Record::default();
        // SAFETY: a block with this layout is one of this class, and the caller gives it up.
        unsafe { self.put(start, class, layout, &mut record) };
        record.deliver(&self.hook);
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() > 0 && class_of(layout).is_none() {
            return self.take_large_zeroed(layout);
        }
        let block = self.allocate(layout)?;
        // SAFETY: the block is new, and valid for writes of its whole length.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe {
            match Self::way(old, new) {
                Way::InPlace(class) => Ok(self.keep(class, start, old, new)),
                Way::Large => self.grow_large(start, old, new).map(|(block, _)| block),
                Way::Move => self.relocate(start, old, new, old.size()),
            }
        }
    }

    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; of a large block, bytes from `dirty` on are zero.
        unsafe {
            let (block, dirty) = match Self::way(old, new) {
                Way::Large => self.grow_large(start, old, new)?,
                _ => self.grow(start, old, new).map(|block| (block, block.len()))?,
            };
            let kept = old.size();
            block.cast::<u8>().add(kept).write_bytes(0, dirty.max(kept) - kept);
            Ok(block)
        }
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe {
            match Self::way(old, new) {
                Way::InPlace(class) => Ok(self.keep(class, start, old, new)),
                Way::Large => self.shrink_large(start, old, new),
                Way::Move => self.relocate(start, old, new, new.size()),
            }
        }
    }

    fn reset(&mut self) {
        self.reset_all();
        self.release_large();
    }

    fn trim(&mut self) {
        let mut record = H::Record::default();
        self.trim_all(&mut record);
        self.trim_large();
        record.deliver(&self.hook);
    }

    fn bytes_used(&self) -> usize {
        let used = |class| (self.count(class), block_size(class));
        let small = (0..CLASSES).map(used);
        let small: usize = small.map(|(counts, size)| (counts.blocks - counts.free) * size).sum();
        small + self.large.bytes_used()
    }

    fn bytes_free(&self) -> usize {
        (0..CLASSES).map(|class| self.count(class).free * block_size(class)).sum()
    }

    fn bytes_held(&self) -> usize {
        self.regions.bytes_held() + self.large.bytes_held()
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        self.check()
    }
}

impl<S: Source, P: Policy, H: Hook> Drop for Pool<S, P, H> {
    fn drop(&mut self) {
        let mut record = H::Record::default();
        self.note_release(&mut record);
        self.release_large();
        self.trim_large();
        record.deliver(&self.hook);
    }
}

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for Pool<S, P, H> {}

// SAFETY: blocks stay where they are until they are freed, or the pool is dropped or borrowed
// mutably, wherever it is moved.
unsafe impl<S: Source, P: Policy, H: Hook> crate::api::Sound for Pool<S, P, H> {}
impl_allocator!([S: Source, P: Policy, H: Hook] Pool<S, P, H>);

// SAFETY: as above: a global allocator is never dropped, trimmed or reset.
impl_global_alloc!([S: Source, P: Policy, H: Hook] Pool<S, P, H>);

impl<S: Source, P: Policy, H: Hook> fmt::Debug for Pool<S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_held", &self.bytes_held())
            .finish_non_exhaustive()
    }
}
