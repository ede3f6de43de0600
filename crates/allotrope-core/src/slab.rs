//! Slabs: chunks cut into blocks of one size, with a list of free blocks and a frontier.
//!
//! ```text
//! newest slab  │ head │ used │ free │ used │        never handed out   │
//!                 │             ▲          ▲ frontier                  ▲ end
//!                 ▼   free ─────┤
//! older slab   │ head │ used │ free │ used │ used │ free │ used │ used │
//! ```
//!
//! Blocks come from the free list first, because the one freed last is warm in the cache, and from
//! the frontier when the list is empty. Taking and giving back counts nothing. Which slabs nobody
//! uses is found in three walks: over the free list, to count each slab's free blocks in its head;
//! over it again, to take out the blocks of slabs that are free as a whole; over the slabs, to give
//! those back.
//!
//! # Invariants
//!
//! 1. In the newest slab, blocks below the frontier were linked or handed out, those above never;
//!    in older slabs all were.
//! 2. Every block below the frontier is either used or in the free list, never both.
//! 3. The free list links blocks of these slabs only, each aligned as the geometry says.
//! 4. All slabs are chunks on loan from the same [`Chunks`], the one that each method is called
//!    with; a head stands at the start of each.

use core::iter;
use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

use crate::layout::uniform::blocks_in;
use crate::poison;
use crate::policy::Policy;
use crate::source::Source;
use crate::source::chunks::{Chunk, Chunks};
use crate::source::provenance::ours;
use crate::strategy::Broken;

/// The size and alignment of a slab's blocks.
pub(crate) trait Geometry: Copy {
    /// The size in bytes: a multiple of the alignment, large enough for a link.
    fn block_size(self) -> usize;
    /// The alignment: at least 16.
    fn block_align(self) -> usize;
}

/// All slabs with blocks of one size.
#[derive(Debug)]
pub(crate) struct Slabs<G> {
    free: Option<NonNull<FreeBlock>>,
    /// The first block of the newest slab that was never linked or handed out.
    frontier: NonNull<u8>,
    /// How many of those there are.
    untouched: usize,
    /// Newest first.
    newest: Option<NonNull<Head>>,
    geometry: G,
}

/// What stands at the start of a slab.
#[derive(Debug)]
struct Head {
    /// The slab that was newest before this one.
    older: Option<NonNull<Head>>,
    /// The slab's size in bytes.
    size: usize,
    /// The size of its blocks.
    block_size: usize,
    /// How many of its blocks are in the free list, when that was counted.
    free: usize,
}

/// What stands at the start of a free block.
#[derive(Debug)]
struct FreeBlock {
    next: Option<NonNull<FreeBlock>>,
}

/// How many bytes of a slab its head takes.
pub(crate) const HEAD_SIZE: usize = size_of::<Head>();

impl<G: Geometry> Slabs<G> {
    /// No slabs yet.
    pub(crate) const fn new(geometry: G) -> Self {
        let frontier = NonNull::dangling();
        Self { free: None, frontier, untouched: 0, newest: None, geometry }
    }

    /// The size in bytes of the blocks.
    pub(crate) fn block_size(&self) -> usize {
        self.geometry.block_size()
    }

    /// Takes a block out of the free list.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.free?;
        // SAFETY: invariant 3; `push` wrote the link.
        self.free = unsafe { block.read() }.next;
        poison::unpoison(block.cast(), self.geometry.block_size());
        Some(block.cast())
    }

    /// Puts a block into the free list.
    ///
    /// # Safety
    ///
    /// The block is one of these slabs', below the frontier and in use, and nobody accesses it
    /// afterwards.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = ours(block);
        let free = block.cast::<FreeBlock>();
        let is_aligned = free.addr().get().is_multiple_of(self.geometry.block_align());
        promised!(is_aligned, "a block that is not from here", block.addr().get());
        promised!(self.free != Some(free), "a block is freed twice", block.addr().get());
        // SAFETY: the block is ours again (caller), long enough and aligned for a link.
        unsafe { free.write(FreeBlock { next: self.free }) };
        self.free = Some(free);
        // SAFETY: the link lies in the block, so its end does.
        let rest = unsafe { block.add(size_of::<FreeBlock>()) };
        poison::poison(rest, self.geometry.block_size() - size_of::<FreeBlock>());
    }

    /// Takes the block at the frontier.
    pub(crate) fn advance(&mut self) -> Option<NonNull<u8>> {
        self.untouched = self.untouched.checked_sub(1)?;
        let block = self.frontier;
        // SAFETY: there was a whole block between the frontier and the slab's end (`untouched`).
        self.frontier = unsafe { block.add(self.geometry.block_size()) };
        poison::unpoison(block, self.geometry.block_size());
        Some(block)
    }

    /// Puts the next blocks of the frontier into the free list, in their order: as many as `most`,
    /// if there are.
    pub(crate) fn link_untouched(&mut self, most: usize) {
        let size = self.geometry.block_size();
        let count = most.min(self.untouched);
        self.untouched -= count;
        // SAFETY: so many whole blocks lie between the frontier and the slab's end.
        let end = unsafe { self.frontier.add(count * size) };
        let mut block = end;
        self.frontier = end;
        for _ in 0..count {
            // SAFETY: as above; the last block comes first.
            block = unsafe { block.sub(size) };
            poison::unpoison(block, size_of::<FreeBlock>());
            // SAFETY: the block is ours, below the frontier, and nobody uses it.
            unsafe { self.push(block) };
        }
    }

    /// How many blocks are beyond the frontier.
    pub(crate) const fn untouched(&self) -> usize {
        self.untouched
    }

    /// Adds a slab. There are no untouched blocks left in the others.
    ///
    /// # Safety
    ///
    /// The chunk is on loan from these slabs' [`Chunks`], and at least as long as [`chunk_size`]
    /// says for one block and a head of [`HEAD_SIZE`].
    ///
    /// [`chunk_size`]: crate::layout::uniform::chunk_size
    pub(crate) unsafe fn add(&mut self, chunk: Chunk) {
        promised!(self.untouched == 0, "untouched blocks are lost", chunk.start.addr().get());
        let Chunk { start, size } = chunk;
        let head = start.cast::<Head>();
        let (older, block_size) = (self.newest, self.geometry.block_size());
        // SAFETY: the chunk has room for a head (caller), is aligned to a granule, and is ours
        // alone.
        unsafe { head.write(Head { older, size, block_size, free: 0 }) };
        let (first, blocks) = self.blocks_of(start, size);
        // SAFETY: the first block lies in the chunk, which has room for one (caller).
        self.frontier = unsafe { start.add(first) };
        (self.untouched, self.newest) = (blocks, Some(head));
        poison::poison(self.frontier, blocks * block_size);
    }

    /// Forgets all slabs, which the chunks have taken back.
    pub(crate) fn reset(&mut self) {
        (self.free, self.untouched, self.newest) = (None, 0, None);
    }

    /// How many slabs there are. O(slabs).
    pub(crate) fn count(&self) -> usize {
        self.heads().count()
    }

    /// How many blocks are used. Walks the free list.
    pub(crate) fn used(&self) -> usize {
        self.touched() - self.free_list().count()
    }

    /// How many blocks can be handed out. Walks the free list.
    pub(crate) fn free(&self) -> usize {
        self.free_list().count() + self.untouched
    }

    /// Can a block be handed out?
    pub(crate) fn has_free(&self) -> bool {
        self.free.is_some() || self.untouched > 0
    }

    /// Where each slab starts, and how many bytes it has, newest first.
    pub(crate) fn extents(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        // SAFETY: a head of ours is initialized (invariant 4).
        self.heads().map(|head| (head.cast(), unsafe { head.as_ref() }.size))
    }

    /// Gives the slabs back to `chunks` that no block in use lies in, and `note`s each, by where it
    /// started and its size. O(blocks in the free list × regions).
    ///
    /// # Safety
    ///
    /// The slabs are `chunks`'.
    pub(crate) unsafe fn give_back_unused<S: Source, P: Policy>(
        &mut self,
        chunks: &mut Chunks<S, P>,
        note: impl FnMut(NonNull<u8>, usize),
    ) {
        // SAFETY: as the caller promises; one counts for the next.
        unsafe {
            self.count_free(chunks);
            self.unlink_unused_blocks(chunks);
            self.give_back_unused_slabs(chunks, note);
        }
    }

    /// Counts each slab's free blocks in its head.
    ///
    /// # Safety
    ///
    /// The slabs are `chunks`'.
    unsafe fn count_free<S: Source, P: Policy>(&mut self, chunks: &Chunks<S, P>) {
        for mut head in self.heads() {
            // SAFETY: a head of ours is initialized (invariant 4), and borrowed by nobody else.
            unsafe { head.as_mut() }.free = 0;
        }
        let mut finder = Finder::new(chunks);
        for block in self.free_list() {
            if let Some(mut head) = finder.head_of(block) {
                // SAFETY: as above.
                unsafe { head.as_mut() }.free += 1;
            }
        }
    }

    /// Takes the blocks of slabs that are free as a whole, as far as counted, out of the free list.
    ///
    /// # Safety
    ///
    /// As for `count_free`.
    unsafe fn unlink_unused_blocks<S: Source, P: Policy>(&mut self, chunks: &Chunks<S, P>) {
        let mut kept: Option<NonNull<FreeBlock>> = None;
        let mut next = self.free.take();
        let mut finder = Finder::new(chunks);
        while let Some(mut block) = next {
            // SAFETY: the block is in the free list, so it is ours and holds a link.
            let link = unsafe { block.as_mut() };
            next = link.next;
            // SAFETY: what is found is a head of ours.
            if finder.head_of(block).is_some_and(|head| unsafe { self.is_unused(head) }) {
                continue;
            }
            link.next = None;
            match kept {
                // SAFETY: as above.
                Some(mut last) => unsafe { last.as_mut() }.next = Some(block),
                None => self.free = Some(block),
            }
            kept = Some(block);
        }
    }

    /// Gives those slabs back, and `note`s each.
    ///
    /// # Safety
    ///
    /// As for `count_free`; no block of these slabs is in the free list.
    unsafe fn give_back_unused_slabs<S: Source, P: Policy>(
        &mut self,
        chunks: &mut Chunks<S, P>,
        mut note: impl FnMut(NonNull<u8>, usize),
    ) {
        let mut kept: Option<NonNull<Head>> = None;
        let mut next = self.newest;
        while let Some(head) = next {
            // SAFETY: a head of ours is initialized (invariant 4).
            let (older, size) = unsafe { (head.as_ref().older, head.as_ref().size) };
            next = older;
            // SAFETY: as above.
            if !unsafe { self.is_unused(head) } {
                kept = Some(head);
                continue;
            }
            if self.newest == Some(head) {
                (self.newest, self.untouched) = (older, 0);
            } else if let Some(mut newer) = kept {
                // SAFETY: as above.
                unsafe { newer.as_mut() }.older = older;
            }
            note(head.cast(), size);
            // SAFETY: the slab is these chunks' (caller), and none of its blocks is in use, or in
            // the free list any more.
            unsafe { chunks.give_back(Chunk { start: head.cast(), size }) };
        }
    }

    /// Is every block of the slab in the free list or beyond the frontier, as far as counted?
    ///
    /// # Safety
    ///
    /// The head is one of these slabs'.
    unsafe fn is_unused(&self, head: NonNull<Head>) -> bool {
        // SAFETY: it is initialized (caller, invariant 4).
        let (size, free) = unsafe { (head.as_ref().size, head.as_ref().free) };
        let untouched = if self.newest == Some(head) { self.untouched } else { 0 };
        free + untouched == self.blocks_of(head.cast(), size).1
    }

    /// Checks the invariants.
    pub(crate) fn check_invariants<S: Source, P: Policy>(
        &self,
        chunks: &Chunks<S, P>,
    ) -> Result<(), Broken> {
        let touched = self.touched();
        let mut finder = Finder::new(chunks);
        let block_size = self.geometry.block_size();
        for (index, block) in self.free_list().enumerate() {
            let address = block.addr().get();
            let broken = |invariant| Err(Broken { invariant, address });
            if index >= touched {
                return broken("the free list has no more blocks than were handed out");
            }
            let Some(head) = finder.head_of(block) else {
                return broken("the free list links blocks of these chunks only");
            };
            // SAFETY: a head stands at the start of every chunk that is lent to us.
            let Head { size, block_size: of_slab, .. } = *unsafe { head.as_ref() };
            let (first, blocks) = self.blocks_of(head.cast(), size);
            let offset = (address - head.addr().get()).wrapping_sub(first);
            if of_slab != block_size || offset % block_size != 0 || offset / block_size >= blocks {
                return broken("the free list links the starts of blocks");
            }
            if self.untouched > 0
                && (self.frontier.addr().get()..).contains(&address)
                && address < self.frontier.addr().get() + self.untouched * block_size
            {
                return broken("no block beyond the frontier is in the free list");
            }
        }
        Ok(())
    }

    /// How many blocks are below the frontier, used or free.
    fn touched(&self) -> usize {
        let blocks = self.extents().map(|(start, size)| self.blocks_of(start, size).1);
        blocks.sum::<usize>() - self.untouched
    }

    /// The offset of the first block of a slab, and how many blocks it has.
    fn blocks_of(&self, start: NonNull<u8>, size: usize) -> (usize, usize) {
        let (block_size, align) = (self.geometry.block_size(), self.geometry.block_align());
        blocks_in(start.addr().get(), size, block_size, align, HEAD_SIZE)
    }

    /// Every slab's head, newest first.
    fn heads(&self) -> impl Iterator<Item = NonNull<Head>> {
        // SAFETY: a head of ours is initialized (invariant 4).
        iter::successors(self.newest, |head| unsafe { head.as_ref() }.older)
    }

    /// Every block of the free list.
    fn free_list(&self) -> impl Iterator<Item = NonNull<FreeBlock>> {
        // SAFETY: invariant 3; `push` wrote the links.
        iter::successors(self.free, |block| unsafe { block.read() }.next)
    }
}

/// Finds the slab of one free block after the other: often it is the last one's.
struct Finder<'a, S: Source, P> {
    chunks: &'a Chunks<S, P>,
    last: Option<NonNull<Head>>,
    /// How many bytes behind the last head are its slab's.
    size: usize,
}

impl<'a, S: Source, P: Policy> Finder<'a, S, P> {
    fn new(chunks: &'a Chunks<S, P>) -> Self {
        Self { chunks, last: None, size: 0 }
    }

    /// The head of the slab that `block` lies in.
    #[inline]
    fn head_of(&mut self, block: NonNull<FreeBlock>) -> Option<NonNull<Head>> {
        let start = self.last.map_or(0, |head| head.addr().get());
        if block.addr().get().wrapping_sub(start) >= self.size {
            let head = self.chunks.start_of_chunk(block.cast())?.cast::<Head>();
            // SAFETY: the block is one of a slab's, at whose start there is a head. In a check, it
            // may be anything: then there is at least a chunk that was cut, whose first bytes are
            // committed.
            (self.last, self.size) = (Some(head), unsafe { head.as_ref() }.size);
        }
        self.last
    }
}
