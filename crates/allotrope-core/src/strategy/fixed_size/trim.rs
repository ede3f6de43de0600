//! Which chunks nobody uses: found here, because the fast path counts nothing.
//!
//! Three walks: over the free list, to count each chunk's free blocks in its head; over it again,
//! to take out the blocks of chunks that are free as a whole; over the chunks, to give those back.

use core::ptr::NonNull;

use super::blocks::{Blocks, FreeBlock, Head, Shape};
use crate::hook::{Event, EventKind, Hook};
use crate::policy::Policy;
use crate::source::Source;
use crate::source::chunks::Chunk;

impl<B: Shape, S: Source, P: Policy, H: Hook> Blocks<B, S, P, H> {
    /// Gives back the chunks that no block in use lies in. O(blocks in the free list × regions).
    pub(crate) fn trim(&mut self) {
        self.count_free();
        self.unlink_unused_blocks();
        self.give_back_unused_chunks();
        self.chunks.release_unused();
    }

    fn count_free(&mut self) {
        for mut head in self.heads() {
            // SAFETY: heads in the list are ours, initialized, and borrowed by nobody else.
            unsafe { head.as_mut() }.free = 0;
        }
        for block in self.free_list() {
            if let Some(mut head) = self.head_of(block) {
                // SAFETY: as above.
                unsafe { head.as_mut() }.free += 1;
            }
        }
    }

    fn unlink_unused_blocks(&mut self) {
        let mut kept: Option<NonNull<FreeBlock>> = None;
        let mut next = self.free.take();
        while let Some(mut block) = next {
            // SAFETY: the block is in the free list, so it is ours and holds a link.
            let link = unsafe { block.as_mut() };
            next = link.next;
            if self.head_of(block).is_some_and(|head| self.is_unused(head)) {
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

    fn give_back_unused_chunks(&mut self) {
        let mut kept: Option<NonNull<Head>> = None;
        let mut next = self.newest;
        while let Some(head) = next {
            // SAFETY: heads in the list are ours and initialized.
            let (older, size) = unsafe { (head.as_ref().older, head.as_ref().size) };
            next = older;
            if !self.is_unused(head) {
                kept = Some(head);
                continue;
            }
            if self.newest == Some(head) {
                (self.newest, self.untouched) = (older, 0);
            } else if let Some(mut newer) = kept {
                // SAFETY: as above.
                unsafe { newer.as_mut() }.older = older;
            }
            self.log.push(|| Event::internal(EventKind::Release, head.addr().get(), size));
            // SAFETY: none of its blocks is in use, or in the free list any more.
            unsafe { self.chunks.give_back(Chunk { start: head.cast(), size }) };
        }
    }

    /// The head of the chunk that a free block lies in.
    fn head_of(&self, block: NonNull<FreeBlock>) -> Option<NonNull<Head>> {
        Some(self.chunks.start_of_chunk(block.cast())?.cast())
    }

    /// Is every block of the chunk in the free list or beyond the frontier?
    fn is_unused(&self, head: NonNull<Head>) -> bool {
        // SAFETY: as in `give_back_unused_chunks`.
        let (size, free) = unsafe { (head.as_ref().size, head.as_ref().free) };
        let untouched = if self.newest == Some(head) { self.untouched } else { 0 };
        free + untouched == Self::blocks_of(head.cast(), size).1
    }
}
