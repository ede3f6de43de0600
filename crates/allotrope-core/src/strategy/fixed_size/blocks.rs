//! Uniform blocks: slabs of one size, known when the program is compiled.
//!
//! Nothing is linked up front, and nothing is counted: see [`slab`](crate::slab).

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::hook::{Delivery, Event, EventKind, Hook, Log, NoHook, Record};
use crate::layout::uniform::{blocks_per_chunk, chunk_size};
use crate::policy::ValidPolicy;
use crate::slab::{self, Geometry, Slabs};
use crate::source::Source;
use crate::source::chunks::{Chunks, HEAD_SIZE, Wish};
use crate::strategy::Broken;
use crate::{AllocError, DefaultPolicy, Policy};

/// The size and alignment of uniform blocks.
pub(crate) trait Shape {
    /// The size in bytes: a multiple of the alignment, large enough for a link.
    const SIZE: usize;
    /// The alignment: at least 16.
    const ALIGN: usize;
}

/// A shape as slabs ask for it.
struct Shaped<B>(PhantomData<B>);

impl<B> Clone for Shaped<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Shaped<B> {}

impl<B: Shape> Geometry for Shaped<B> {
    #[inline(always)]
    fn block_size(self) -> usize {
        B::SIZE
    }

    #[inline(always)]
    fn block_align(self) -> usize {
        B::ALIGN
    }
}

/// Blocks of one shape.
pub(crate) struct Blocks<B: Shape, S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    slabs: Slabs<Shaped<B>>,
    chunks: Chunks<S, P>,
    log: Log<H>,
}

// SAFETY: the chunks, and all blocks in them, belong to this pool alone, and to no thread.
unsafe impl<B: Shape, S, P, H> Send for Blocks<B, S, P, H>
where
    S: Source + Send,
    P: Policy,
    H: Hook<Record: Send> + Send,
{
}

impl<B: Shape, S: Source, P: Policy> Blocks<B, S, P> {
    pub(crate) const fn new(source: S) -> Self {
        Self::with_log(source, Log::silent())
    }

    /// How many bytes a buffer needs for `blocks`, wherever it starts.
    pub(crate) const fn buffer_size(blocks: usize) -> usize {
        let head = Self::WISH.best - Self::PER_CHUNK * B::SIZE;
        let heads = blocks.div_ceil(Self::PER_CHUNK).checked_mul(head);
        if let (Some(heads), Some(blocks)) = (heads, blocks.checked_mul(B::SIZE))
            && let Some(size) = heads.saturating_add(blocks).checked_add(HEAD_SIZE)
            && size <= isize::MAX as usize
        {
            return size;
        }
        panic!("that many blocks fit nowhere")
    }
}

impl<B: Shape, S: Source, P: Policy, H: Hook> Blocks<B, S, P, H> {
    const PER_CHUNK: usize = blocks_per_chunk(P::CHUNK_SIZE, B::SIZE, B::ALIGN, slab::HEAD_SIZE);

    /// A chunk has room for one block at least, and at best for as many as fit.
    const WISH: Wish = {
        assert!(B::SIZE.is_multiple_of(B::ALIGN) && B::ALIGN >= 16);
        let least = chunk_size(1, B::SIZE, B::ALIGN, slab::HEAD_SIZE);
        let best = chunk_size(Self::PER_CHUNK, B::SIZE, B::ALIGN, slab::HEAD_SIZE);
        match (least, best) {
            (Some(least), Some(best)) => Wish { least, best, fair: least },
            _ => panic!("blocks of this size fit in no region"),
        }
    };

    pub(crate) fn with_hook(source: S, hook: H) -> Self {
        Self::with_log(source, Log::new(hook))
    }

    const fn with_log(source: S, log: Log<H>) -> Self {
        // What contradicts itself does not compile, whether or not a block is ever taken.
        const { (ValidPolicy::<P>::CHECKED, Self::WISH).0 };
        Self { slabs: Slabs::new(Shaped(PhantomData)), chunks: Chunks::new(source), log }
    }

    /// Where the bytes come from.
    pub(crate) const fn source(&self) -> &S {
        self.chunks.source().get()
    }

    /// Hands out a block for `layout`, which its shape serves.
    #[inline(always)]
    pub(crate) fn take(&mut self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = match self.slabs.pop() {
            Some(block) => block,
            None => self.advance()?,
        };
        self.log.push(|| Self::event(EventKind::Allocate, block, layout));
        Ok(block)
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// The block is one of these, in use, and nobody accesses it afterwards.
    #[inline(always)]
    pub(crate) unsafe fn give_back(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.slabs.push(block) };
        self.log.push(|| Self::event(EventKind::Free, block, layout));
    }

    /// Hands out the block at the frontier, of a new slab if need be.
    #[cold]
    #[inline(never)]
    fn advance(&mut self) -> Result<NonNull<u8>, AllocError> {
        if self.slabs.untouched() == 0 {
            let chunk = self.chunks.take(const { Self::WISH }, 1)?;
            let (address, size) = (chunk.start.addr().get(), chunk.size);
            // SAFETY: the chunk was just lent by the slabs' chunks, and is as long as a block
            // needs.
            unsafe { self.slabs.add(chunk) };
            self.log.push(|| Event::internal(EventKind::Refill, address, size));
        }
        self.slabs.advance().ok_or(AllocError)
    }

    /// Takes all blocks back.
    ///
    /// # Safety
    ///
    /// Nobody accesses a block afterwards.
    pub(crate) unsafe fn reset(&mut self) {
        self.note_release();
        self.slabs.reset();
        // SAFETY: the chunks are the slabs', which were forgotten just now; the rest as the caller
        // promises.
        unsafe { self.chunks.reset() };
    }

    /// Gives back the chunks that no block in use lies in. O(blocks in the free list × regions).
    pub(crate) fn trim(&mut self) {
        let log = &mut self.log;
        let note = |start: NonNull<u8>, size| {
            log.push(|| Event::internal(EventKind::Release, start.addr().get(), size));
        };
        // SAFETY: the slabs are these chunks'.
        unsafe { self.slabs.give_back_unused(&mut self.chunks, note) };
        self.chunks.release_unused();
    }

    /// How many blocks are used. Walks the free list.
    pub(crate) fn used(&self) -> usize {
        self.slabs.used()
    }

    /// How many blocks can be handed out before the source is asked. Walks the free list.
    pub(crate) fn free(&self) -> usize {
        self.slabs.free()
    }

    /// How many bytes are held.
    pub(crate) fn bytes_held(&self) -> usize {
        self.chunks.bytes_held()
    }

    /// Notes that a block serves another layout from now on.
    pub(super) fn note_resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) {
        self.log.push(|| Self::event(EventKind::Free, block, old));
        self.log.push(|| Self::event(EventKind::Allocate, block, new));
    }

    /// Notes that all chunks are given back.
    pub(super) fn note_release(&mut self) {
        if !H::Record::KEEPS {
            // Nobody would hear of it: the chunks need not be walked.
            return;
        }
        for (start, size) in self.slabs.extents() {
            self.log.push(|| Event::internal(EventKind::Release, start.addr().get(), size));
        }
    }

    pub(crate) fn take_events(&mut self) -> Delivery<H> {
        self.log.take()
    }

    /// Checks the invariants.
    pub(crate) fn check_invariants(&self) -> Result<(), Broken> {
        self.slabs.check_invariants(&self.chunks)
    }

    fn event(kind: EventKind, block: NonNull<u8>, layout: Layout) -> Event {
        Event { kind, address: block.addr().get(), layout, extent: B::SIZE }
    }
}
