//! Where blocks come from when a class has none, and where slabs go that nobody uses.
//!
//! The fast path counts nothing, so empty slabs are looked for: *reconciled*, once there are so many
//! slabs more than the last time that the walk over all free lists costs little for each of them,
//! and before an allocation fails.

use core::ptr::NonNull;

use super::Segregated;
use crate::AllocError;
use crate::hook::{Event, EventKind, Hook, Record};
use crate::layout::size_class::SizeClass;
use crate::layout::uniform::chunk_size;
use crate::policy::Policy;
use crate::slab::HEAD_SIZE;
use crate::source::Source;
use crate::source::chunks::{Chunk, Wish};

/// How many slabs may always be added before it is worth looking for empty ones: two for each
/// class.
pub(super) const PATIENCE: usize = 2 * SizeClass::COUNT;

/// How many bytes of blocks are linked at once: they are all handed out soon, or share a page.
const BATCH_SIZE: usize = 4096;

/// How many classes a small region has chunks for.
const SHARERS: usize = 16;

/// The smallest slab that serves more than a few blocks of the smaller classes.
const FAIR_CHUNK: usize = 512;

impl<S: Source, P: Policy, H: Hook> Segregated<S, P, H> {
    /// Hands out a block of a class whose list is empty, and links some more.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(&mut self, class: SizeClass) -> Result<NonNull<u8>, AllocError> {
        if self.slabs_mut(class).untouched() == 0 {
            self.add_slab(class)?;
        }
        let slabs = self.slabs_mut(class);
        let block = slabs.advance().ok_or(AllocError)?;
        slabs.link_untouched((BATCH_SIZE / class.block_size()).saturating_sub(1));
        Ok(block)
    }

    fn add_slab(&mut self, class: SizeClass) -> Result<(), AllocError> {
        if self.slab_count >= self.reconcile_at {
            self.reconcile();
        }
        let chunk = self.take_chunk(class).or_else(|AllocError| {
            self.reconcile();
            self.take_chunk(class)
        });
        let chunk = chunk.or_else(|AllocError| {
            // A region may have been cut into pieces too small for this class.
            self.chunks.release_unused();
            self.take_chunk(class)
        })?;
        let (address, size) = (chunk.start.addr().get(), chunk.size);
        // SAFETY: the chunk was just lent by the slabs' chunks, and is as long as a block needs.
        unsafe { self.slabs_mut(class).add(chunk) };
        self.slab_count += 1;
        self.log.push(|| Event::internal(EventKind::Refill, address, size));
        Ok(())
    }

    fn take_chunk(&mut self, class: SizeClass) -> Result<Chunk, AllocError> {
        let least = chunk_size(1, class.block_size(), class.block_align(), HEAD_SIZE);
        let least = least.ok_or(AllocError)?;
        let wish = Wish { least, best: P::CHUNK_SIZE.max(least), fair: FAIR_CHUNK };
        self.chunks.take(wish, SHARERS)
    }

    /// Finds the slabs that no block in use lies in, and gives them back to the chunks, from where
    /// any class may have them. O(free blocks × regions + slabs).
    pub(super) fn reconcile(&mut self) {
        let (log, slab_count) = (&mut self.log, &mut self.slab_count);
        for slabs in &mut self.classes {
            let note = |start: NonNull<u8>, size| {
                *slab_count -= 1;
                log.push(|| Event::internal(EventKind::Release, start.addr().get(), size));
            };
            // SAFETY: all slabs are these chunks'.
            unsafe { slabs.give_back_unused(&mut self.chunks, note) };
        }
        self.reconcile_at = self.slab_count + (self.slab_count / 4).max(PATIENCE);
    }

    /// Gives back all large blocks.
    ///
    /// # Safety
    ///
    /// Nobody uses any of them any more.
    pub(super) unsafe fn release_large(&mut self) {
        let log = &mut self.log;
        let note = |address, size| log.push(|| Event::internal(EventKind::Release, address, size));
        // SAFETY: always this source; the rest as the caller promises.
        unsafe { self.large.release_all(self.chunks.source(), note) };
    }

    /// Notes that all slabs are given back.
    pub(super) fn note_slabs(&mut self) {
        if !H::Record::KEEPS {
            // Nobody would hear of it: the slabs need not be walked.
            return;
        }
        for (start, size) in self.classes.iter().flat_map(|slabs| slabs.extents()) {
            self.log.push(|| Event::internal(EventKind::Release, start.addr().get(), size));
        }
    }
}
