//! Many blocks at once: one exchange for those of a word, one addition to give them back.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_sync::fatal::promised;
use allotrope_sync::slots;

use super::Pool;
use super::chunk::Classed;
use crate::hook::{EventKind, Hook, Record};
use crate::layout::powers::{block_size, class_of};
use crate::source::provenance::ours;
use crate::strategy::dangling;
use crate::{Policy, Source, poison};

impl<S: Source, P: Policy, H: Hook> Pool<S, P, H> {
    /// Allocates a block that fits `layout` for each place in `blocks`, as far as there are any;
    /// returns how many, from the first place on.
    ///
    /// Each block is like one from [`allocate`](Self::allocate), and can be freed like one.
    pub fn allocate_batch(&self, layout: Layout, blocks: &mut [MaybeUninit<NonNull<u8>>]) -> usize {
        self.allocate_batch_in(slots::hint(), layout, blocks)
    }

    /// [`allocate_batch`](Self::allocate_batch) as a thread of shard `shard` would.
    #[doc(hidden)]
    #[inline]
    pub fn allocate_batch_in(
        &self,
        shard: usize,
        layout: Layout,
        blocks: &mut [MaybeUninit<NonNull<u8>>],
    ) -> usize {
        match class_of(layout) {
            _ if layout.size() == 0 => {
                blocks.fill(MaybeUninit::new(dangling(layout).cast()));
                blocks.len()
            }
            Some(class) => self.take_batch(shard, class, layout, blocks),
            None => self.allocate_each(layout, blocks),
        }
    }

    fn allocate_each(&self, layout: Layout, blocks: &mut [MaybeUninit<NonNull<u8>>]) -> usize {
        for (count, place) in blocks.iter_mut().enumerate() {
            let Ok(block) = self.allocate(layout) else { return count };
            place.write(block.cast());
        }
        blocks.len()
    }

    #[inline]
    fn take_batch(
        &self,
        shard: usize,
        class: usize,
        layout: Layout,
        blocks: &mut [MaybeUninit<NonNull<u8>>],
    ) -> usize {
        let mut count = 0;
        while count < blocks.len() {
            let mut record = H::Record::default();
            let places = &mut blocks[count..];
            let adopted = self.regions.adopted();
            let taken = self.take_word(shard, class, places.len(), &mut record);
            let Some((chunk, number, mut bits)) = taken else {
                let Some(block) = self.take_anywhere(class) else {
                    if self.regions.adopted() == adopted {
                        break;
                    }
                    continue;
                };
                poison::unpoison(block, block_size(class));
                record.push(|| Self::event(EventKind::Allocate, block, class, layout));
                record.deliver(&self.hook);
                places[0].write(block);
                count += 1;
                continue;
            };
            for place in places {
                if bits == 0 {
                    break;
                }
                // SAFETY: `take_word` took it of a chunk of this class.
                let block = unsafe { chunk.block(class, number, bits.trailing_zeros()) };
                poison::unpoison(block, block_size(class));
                record.push(|| Self::event(EventKind::Allocate, block, class, layout));
                place.write(block);
                bits &= bits - 1;
                count += 1;
            }
            record.deliver(&self.hook);
        }
        count
    }

    /// Takes up to `most` blocks of one word.
    #[inline]
    fn take_word(
        &self,
        shard: usize,
        class: usize,
        most: usize,
        record: &mut H::Record,
    ) -> Option<(Classed<'_>, usize, u32)> {
        if let Some(word) = self.word_of(shard, class) {
            // SAFETY: a shard's word is one of a chunk of this pool's.
            let bits = unsafe { word.as_ref() }.take_many(most);
            if bits != 0 {
                // SAFETY: as above.
                let chunk = unsafe { self.chunk_of(word) };
                return Some((chunk, chunk.number_of(word), bits));
            }
        }
        let take = |chunk: Classed<'_>, last| {
            let (number, bits) = chunk.occupancy().take_many(last, most)?;
            Some((number, (chunk.id(), number, bits)))
        };
        // SAFETY: blocks were taken of the word with this number, and the chunk has the class.
        unsafe {
            let (id, number, bits) = self.search(shard, class, record, take)?;
            Some((self.regions.classed(id), number, bits))
        }
    }

    /// Frees blocks, on any thread.
    ///
    /// Blocks that lie together and come one after the other are cheapest.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), for each of `blocks` with `layout`.
    pub unsafe fn deallocate_batch(&self, layout: Layout, blocks: &[NonNull<u8>]) {
        if layout.size() == 0 {
            return;
        }
        let Some(class) = class_of(layout) else {
            for &block in blocks {
                // SAFETY: as the caller promises.
                unsafe { self.deallocate(block, layout) };
            }
            return;
        };
        let size = self.regions.chunk_size();
        let mut rest = blocks;
        while let [first, ..] = *rest {
            // SAFETY: the block is one of ours, in use until now (caller); as in `put`.
            let chunk = unsafe { Classed::around(ours(first), size) };
            let (number, _) = chunk.place_of(class, first);
            let mut bits = 0;
            let mut record = H::Record::default();
            while let [block, ref others @ ..] = *rest {
                let offset = block.addr().get().wrapping_sub(chunk.start().addr().get());
                if offset >= size {
                    break;
                }
                let (word, bit) = chunk.place_of(class, block);
                if word != number {
                    break;
                }
                promised!(bits & bit == 0, "a block is freed twice", block.addr().get());
                bits |= bit;
                rest = others;
                poison::poison(block, block_size(class));
                record.push(|| Self::event(EventKind::Free, block, class, layout));
            }
            // SAFETY: the blocks' word is one of the chunk's.
            if unsafe { chunk.word(number).as_ref() }.put(bits) {
                self.raise(chunk, number);
            }
            record.deliver(&self.hook);
        }
    }
}
