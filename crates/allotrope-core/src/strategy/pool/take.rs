//! How a block is found, and how it finds its way back.
//!
//! ```text
//! shard's word ─▶ shard's chunk ─▶ chunk that waits ─▶ new chunk ─▶ any block at all ─▶ Err
//! ```
//!
//! Only the first step is taken often, and all it touches is what the shard has to itself, but for
//! blocks that other threads free.
//!
//! # Orderings
//!
//! A shard's word is replaced with `AcqRel` and read with `Acquire`: who reads it, or takes it out,
//! sees a chunk that is ready. To move it to another word of the same chunk is `Relaxed`: it is a
//! read-modify-write, so that who reads the new word still synchronizes with who put the chunk
//! there.

use core::alloc::Layout;
use core::ptr::NonNull;

use allotrope_sync::Word;
use allotrope_sync::facade::atomic::{AtomicPtr, Ordering};
use allotrope_sync::facade::hint;

use super::chunk::Classed;
use super::regions::{Older, Waiting};
use super::{Pool, SHARDS};
use crate::hook::{Event, EventKind, Hook, Record};
use crate::layout::powers::block_size;
use crate::source::provenance::ours;
use crate::{AllocError, Policy, Source, poison};

impl<S: Source, P: Policy, H: Hook> Pool<S, P, H> {
    /// Takes a block of `class` for `layout`.
    #[inline(always)]
    pub(super) fn take(
        &self,
        shard: usize,
        class: usize,
        layout: Layout,
        record: &mut H::Record,
    ) -> Result<NonNull<u8>, AllocError> {
        let block = match self.take_from_word(shard, class) {
            Some(block) => block,
            None => self.take_elsewhere(shard, class, record)?,
        };
        poison::unpoison(block, block_size(class));
        record.push(|| Self::event(EventKind::Allocate, block, class, layout));
        Ok(block)
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It is a block of this pool's, of `class`, that nobody uses any more.
    #[inline(always)]
    pub(super) unsafe fn put(
        &self,
        block: NonNull<u8>,
        class: usize,
        layout: Layout,
        record: &mut H::Record,
    ) {
        poison::poison(block, block_size(class));
        record.push(|| Self::event(EventKind::Free, block, class, layout));
        // SAFETY: the block is one of this pool's (caller), whose regions are all exposed; its
        // chunk has a class, and keeps it (the pool's invariant 3).
        let chunk = unsafe { Classed::around(ours(block), self.regions.chunk_size()) };
        let (number, bit) = chunk.place_of(class, block);
        // SAFETY: the block's word is one of the chunk's.
        if unsafe { chunk.word(number).as_ref() }.put(bit) {
            self.raise(chunk, number);
        }
    }

    pub(super) fn event(
        kind: EventKind,
        block: NonNull<u8>,
        class: usize,
        layout: Layout,
    ) -> Event {
        Event { kind, address: block.addr().get(), layout, extent: block_size(class) }
    }

    #[inline(always)]
    fn take_from_word(&self, shard: usize, class: usize) -> Option<NonNull<u8>> {
        let word = self.word_of(shard, class)?;
        // SAFETY: a shard's word of a class is one of a chunk of that class (the pool's invariant
        // 4), and the bit was set.
        unsafe {
            let bit = word.as_ref().take()?;
            let chunk = self.chunk_of(word);
            Some(chunk.block(class, chunk.number_of(word), bit))
        }
    }

    #[inline(always)]
    fn current(&self, shard: usize, class: usize) -> &AtomicPtr<Word> {
        &self.shards[shard % SHARDS].current[class]
    }

    /// The word that `shard` takes blocks of `class` from.
    #[inline(always)]
    pub(super) fn word_of(&self, shard: usize, class: usize) -> Option<NonNull<Word>> {
        NonNull::new(self.current(shard, class).load(Ordering::Acquire))
    }

    /// The chunk of a word.
    ///
    /// # Safety
    ///
    /// The word came from [`word_of`](Self::word_of).
    #[inline(always)]
    pub(super) unsafe fn chunk_of(&self, word: NonNull<Word>) -> Classed<'_> {
        // SAFETY: a shard's word is one of a chunk of this pool's that has a class, and was made by
        // `Classed::word` (the pool's invariants 3 and 4).
        unsafe { Classed::around(word, self.regions.chunk_size()) }
    }

    /// Tells a chunk that its word `number` is no longer empty.
    #[cold]
    #[inline(never)]
    pub(super) fn raise(&self, chunk: Classed<'_>, number: usize) {
        if chunk.occupancy().raise(number) {
            self.classes[chunk.class()].ready.push(chunk.id(), &Waiting(&self.regions));
        }
    }

    #[cold]
    #[inline(never)]
    fn take_elsewhere(
        &self,
        shard: usize,
        class: usize,
        record: &mut H::Record,
    ) -> Result<NonNull<u8>, AllocError> {
        let take = |chunk: Classed<'_>, last| {
            let (number, bit) = chunk.occupancy().take_after(last)?;
            // SAFETY: `search` names chunks of this class, and the bit was set.
            Some((number, unsafe { chunk.block(class, number, bit) }))
        };
        loop {
            let adopted = self.regions.adopted();
            // SAFETY: the number is that of a word that `take` found a block in.
            let block = unsafe { self.search(shard, class, record, take) };
            if let Some(block) = block.or_else(|| self.take_anywhere(class)) {
                return Ok(block);
            }
            if self.regions.adopted() == adopted {
                return Err(AllocError);
            }
        }
    }

    /// Looks for what `take` takes from a chunk: in the shard's own, in those that wait, and in new
    /// ones. It is told which word was the last one. The chunk where it is found is the shard's from
    /// then on.
    ///
    /// # Safety
    ///
    /// `take` returns the number of a word of the chunk.
    pub(super) unsafe fn search<R>(
        &self,
        shard: usize,
        class: usize,
        record: &mut H::Record,
        take: impl Fn(Classed<'_>, usize) -> Option<(usize, R)>,
    ) -> Option<R> {
        let current = self.current(shard, class);
        if let Some(old) = self.word_of(shard, class) {
            // SAFETY: it is the shard's word.
            let chunk = unsafe { self.chunk_of(old) };
            if let Some((number, taken)) = take(chunk, chunk.number_of(old)) {
                // SAFETY: the chunk has this word (caller).
                let new = unsafe { chunk.word(number) }.as_ptr();
                let old = old.as_ptr();
                // Where this fails, another thread has given the shard something to take from.
                let relaxed = Ordering::Relaxed;
                let _ = current.compare_exchange(old, new, relaxed, relaxed);
                return Some(taken);
            }
        }
        loop {
            let chunk = self.next_chunk(class, record)?;
            let Some((number, taken)) = take(chunk, usize::MAX) else {
                self.let_go(chunk);
                continue;
            };
            // SAFETY: as above.
            let word = unsafe { chunk.word(number) }.as_ptr();
            if let Some(old) = NonNull::new(current.swap(word, Ordering::AcqRel)) {
                // SAFETY: it was the shard's word.
                self.let_go(unsafe { self.chunk_of(old) });
            }
            return Some(taken);
        }
    }

    /// A chunk that waits for a shard, or a new one; the caller holds it.
    fn next_chunk(&self, class: usize, record: &mut H::Record) -> Option<Classed<'_>> {
        let Pool { regions, classes, .. } = self;
        if let Some(id) = classes[class].ready.pop(&Waiting(regions)) {
            // SAFETY: chunks that wait for a shard have the class (the pool's invariant 4).
            return Some(unsafe { regions.classed(id) });
        }
        // SAFETY: the list is that of the class.
        let chunk = unsafe { regions.add(class, &classes[class].all) }?;
        let (start, size) = (chunk.start().addr().get(), regions.chunk_size());
        record.push(|| Event::internal(EventKind::Refill, start, size));
        Some(chunk)
    }

    /// Holds a chunk no longer: it waits for another shard if it may have a free block.
    fn let_go(&self, chunk: Classed<'_>) {
        if !chunk.occupancy().give_up() {
            self.classes[chunk.class()].ready.push(chunk.id(), &Waiting(&self.regions));
        }
    }

    /// Takes a block of `class` wherever there is one. `None` only if at some moment there was
    /// none: it has looked twice, and nothing was put anywhere in between.
    #[cold]
    pub(super) fn take_anywhere(&self, class: usize) -> Option<NonNull<u8>> {
        // Most often it is in the chunk of some other shard.
        for shard in 0..SHARDS {
            // SAFETY: it is the shard's word.
            let chunk = self.word_of(shard, class).map(|word| unsafe { self.chunk_of(word) });
            if let Some(chunk) = chunk
                && let Some((number, bit)) = chunk.occupancy().take()
            {
                // SAFETY: the shard's chunk for a class has it (the pool's invariant 4), and the
                // bit was set.
                return Some(unsafe { chunk.block(class, number, bit) });
            }
        }
        loop {
            let grows = self.regions.grows();
            let first = match self.look(class) {
                Look::Taken(block) => return Some(block),
                Look::Empty { puts } => puts,
            };
            match self.look(class) {
                Look::Taken(block) => return Some(block),
                Look::Empty { puts } if puts == first && !grows => return None,
                Look::Empty { .. } => hint::spin_loop(),
            }
        }
    }

    /// Takes the first block that is free in any chunk of `class`, or says how many times a block
    /// was put into one.
    fn look(&self, class: usize) -> Look {
        let mut all_puts = 0_u32;
        for id in self.classes[class].all.iter(&Older(&self.regions)) {
            // SAFETY: chunks in the list of the class have it (the pool's invariant 1).
            let chunk = unsafe { self.regions.classed(id) };
            // A chunk that was not there before is as good as a block that was put.
            all_puts = all_puts.wrapping_add(1);
            for (number, word) in chunk.occupancy().words().iter().enumerate() {
                let (free, puts) = word.look();
                if free != 0
                    && let Some(bit) = word.take()
                {
                    // SAFETY: as above, and the bit was set.
                    return Look::Taken(unsafe { chunk.block(class, number, bit) });
                }
                all_puts = all_puts.wrapping_add(puts);
            }
        }
        Look::Empty { puts: all_puts }
    }
}

/// What one look at all words of a class has found.
enum Look {
    /// A block, which was taken.
    Taken(NonNull<u8>),
    /// No block. How often one was put, by all words together, and how many chunks there are.
    Empty { puts: u32 },
}
