//! Uniform blocks in chunks: a list of free blocks, and a frontier.
//!
//! ```text
//! newest chunk  │ head │ used │ free │ used │        never handed out   │
//!                  │             ▲          ▲ frontier                  ▲ end
//!                  ▼   free ─────┤
//! older chunk   │ head │ used │ free │ used │ used │ free │ used │ used │
//! ```
//!
//! Blocks come from the free list first, because the one freed last is warm in the cache, and from
//! the frontier when the list is empty. Nothing is linked up front, and nothing is counted.
//!
//! # Invariants
//!
//! 1. In the newest chunk, blocks below the frontier were handed out, those above never; in older
//!    chunks all were.
//! 2. Every block that was handed out is either used or in the free list, never both.
//! 3. The free list links blocks of these chunks only, each aligned to the shape's alignment.

use core::alloc::Layout;
use core::iter;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::hook::{Delivery, Event, EventKind, Hook, Log, NoHook, Record};
use crate::layout::uniform::{blocks_in, blocks_per_chunk, chunk_size};
use crate::source::Source;
use crate::source::chunks::{Chunk, Chunks, HEAD_SIZE, Wish};
use crate::strategy::Broken;
use crate::{AllocError, DefaultPolicy, Policy, poison};

/// The size and alignment of uniform blocks.
pub(crate) trait Shape {
    /// The size in bytes: a multiple of the alignment, large enough for a link.
    const SIZE: usize;
    /// The alignment: at least 16.
    const ALIGN: usize;
}

/// Blocks of one shape.
pub(crate) struct Blocks<B: Shape, S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    pub(super) free: Option<NonNull<FreeBlock>>,
    /// The first block of the newest chunk that was never handed out.
    frontier: NonNull<u8>,
    /// How many of those there are.
    pub(super) untouched: usize,
    /// Newest first.
    pub(super) newest: Option<NonNull<Head>>,
    pub(super) chunks: Chunks<S, P>,
    pub(super) log: Log<H>,
    shape: PhantomData<B>,
}

/// What stands at the start of a chunk.
#[derive(Debug)]
pub(super) struct Head {
    /// The chunk that was newest before this one.
    pub(super) older: Option<NonNull<Head>>,
    /// The chunk's size in bytes.
    pub(super) size: usize,
    /// For `trim`: how many of its blocks are in the free list.
    pub(super) free: usize,
}

/// What stands at the start of a free block.
#[derive(Debug)]
pub(super) struct FreeBlock {
    pub(super) next: Option<NonNull<FreeBlock>>,
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
    const PER_CHUNK: usize = blocks_per_chunk(P::CHUNK_SIZE, B::SIZE, B::ALIGN, size_of::<Head>());

    /// A chunk has room for one block at least, and at best for as many as fit.
    const WISH: Wish = {
        assert!(B::SIZE.is_multiple_of(B::ALIGN) && B::ALIGN >= 16);
        let least = chunk_size(1, B::SIZE, B::ALIGN, size_of::<Head>());
        let best = chunk_size(Self::PER_CHUNK, B::SIZE, B::ALIGN, size_of::<Head>());
        match (least, best) {
            (Some(least), Some(best)) => Wish { least, best },
            _ => panic!("blocks of this size fit in no region"),
        }
    };

    pub(crate) fn with_hook(source: S, hook: H) -> Self {
        Self::with_log(source, Log::new(hook))
    }

    const fn with_log(source: S, log: Log<H>) -> Self {
        // What contradicts itself does not compile, whether or not a block is ever taken.
        const { (P::VALID, Self::WISH).0 };
        Self {
            free: None,
            frontier: NonNull::dangling(),
            untouched: 0,
            newest: None,
            chunks: Chunks::new(source),
            log,
            shape: PhantomData,
        }
    }

    /// Where the bytes come from.
    pub(crate) const fn source(&self) -> &S {
        self.chunks.source()
    }

    /// Hands out a block for `layout`, which its shape serves.
    #[inline(always)]
    pub(crate) fn take(&mut self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = match self.free {
            Some(block) => {
                // SAFETY: invariant 3; `give_back` wrote the link.
                self.free = unsafe { block.read() }.next;
                block.cast()
            }
            None => self.advance()?,
        };
        poison::unpoison(block, B::SIZE);
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
        let free = block.cast::<FreeBlock>();
        debug_assert!(free.addr().get().is_multiple_of(B::ALIGN), "a block that is not from here");
        debug_assert!(self.free != Some(free), "a block is freed twice");
        // SAFETY: the block is ours again (caller), long enough and aligned for a link.
        unsafe { free.write(FreeBlock { next: self.free }) };
        self.free = Some(free);
        // SAFETY: the link lies in the block, so its end does.
        let rest = unsafe { block.add(size_of::<FreeBlock>()) };
        poison::poison(rest, B::SIZE - size_of::<FreeBlock>());
        self.log.push(|| Self::event(EventKind::Free, block, layout));
    }

    /// Hands out the block at the frontier, of a new chunk if need be.
    #[cold]
    #[inline(never)]
    fn advance(&mut self) -> Result<NonNull<u8>, AllocError> {
        if self.untouched == 0 {
            self.refill()?;
        }
        let block = self.frontier;
        self.untouched -= 1;
        // SAFETY: there was a whole block between the frontier and the chunk's end.
        self.frontier = unsafe { block.add(B::SIZE) };
        Ok(block)
    }

    #[cold]
    fn refill(&mut self) -> Result<(), AllocError> {
        let Chunk { start, size } = self.chunks.take(const { Self::WISH }, 1)?;
        let head = start.cast::<Head>();
        // SAFETY: a chunk has room for a head and is aligned for it; it is ours alone.
        unsafe { head.write(Head { older: self.newest, size, free: 0 }) };
        let (first, blocks) = Self::blocks_of(start, size);
        // SAFETY: the first block lies in the chunk.
        self.frontier = unsafe { start.add(first) };
        (self.untouched, self.newest) = (blocks, Some(head));
        poison::poison(self.frontier, blocks * B::SIZE);
        self.log.push(|| Event::internal(EventKind::Refill, start.addr().get(), size));
        Ok(())
    }

    /// Takes all blocks back.
    pub(crate) fn reset(&mut self) {
        (self.free, self.untouched, self.newest) = (None, 0, None);
        self.chunks.reset();
    }

    /// How many blocks are used. Walks the free list.
    pub(crate) fn used(&self) -> usize {
        self.touched() - self.free_list().count()
    }

    /// How many blocks can be handed out before the source is asked. Walks the free list.
    pub(crate) fn free(&self) -> usize {
        self.free_list().count() + self.untouched
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
        for head in self.heads() {
            // SAFETY: heads in the list are ours and initialized.
            let size = unsafe { head.as_ref() }.size;
            self.log.push(|| Event::internal(EventKind::Release, head.addr().get(), size));
        }
    }

    pub(crate) fn take_events(&mut self) -> Delivery<H> {
        self.log.take()
    }

    /// Checks the invariants.
    pub(crate) fn check_invariants(&self) -> Result<(), Broken> {
        let touched = self.touched();
        for (index, block) in self.free_list().enumerate() {
            let address = block.addr().get();
            let broken = |invariant| Err(Broken { invariant, address });
            if index >= touched {
                return broken("the free list has no more blocks than were handed out");
            }
            let Some(chunk) = self.chunks.start_of_chunk(block.cast()) else {
                return broken("the free list links blocks of these chunks only");
            };
            // SAFETY: a head stands at the start of every chunk that is lent to us.
            let size = unsafe { chunk.cast::<Head>().as_ref() }.size;
            let (first, blocks) = Self::blocks_of(chunk, size);
            let offset = (address - chunk.addr().get()).wrapping_sub(first);
            if offset % B::SIZE != 0 || offset / B::SIZE >= blocks {
                return broken("the free list links the starts of blocks");
            }
            if self.untouched > 0
                && (self.frontier.addr().get()..).contains(&address)
                && address < self.frontier.addr().get() + self.untouched * B::SIZE
            {
                return broken("no block beyond the frontier is in the free list");
            }
        }
        Ok(())
    }

    /// How many blocks were handed out, and freed or not.
    fn touched(&self) -> usize {
        let all = |head: NonNull<Head>| {
            // SAFETY: heads in the list are ours and initialized.
            Self::blocks_of(head.cast(), unsafe { head.as_ref() }.size).1
        };
        self.heads().map(all).sum::<usize>() - self.untouched
    }

    /// The offset of the first block of a chunk, and how many blocks it has.
    pub(super) fn blocks_of(start: NonNull<u8>, size: usize) -> (usize, usize) {
        blocks_in(start.addr().get(), size, B::SIZE, B::ALIGN, size_of::<Head>())
    }

    /// Every chunk's head, newest first.
    pub(super) fn heads(&self) -> impl Iterator<Item = NonNull<Head>> + use<B, S, P, H> {
        // SAFETY: heads in the list are ours and initialized.
        iter::successors(self.newest, |head| unsafe { head.as_ref() }.older)
    }

    /// Every block of the free list.
    pub(super) fn free_list(&self) -> impl Iterator<Item = NonNull<FreeBlock>> + use<B, S, P, H> {
        // SAFETY: invariant 3; `give_back` wrote the links.
        iter::successors(self.free, |block| unsafe { block.read() }.next)
    }

    fn event(kind: EventKind, block: NonNull<u8>, layout: Layout) -> Event {
        Event { kind, address: block.addr().get(), layout, extent: B::SIZE }
    }
}
