//! Regions and chunks that go back to the source: only while nobody else is in the pool.

use core::ptr;

use allotrope_sync::facade::atomic::Ordering;

use super::chunk::Chunk;
use super::regions::{Regions, Waiting};
use crate::Policy;
use crate::source::{Source, release_clean};

impl<S: Source, P: Policy> Regions<S, P> {
    /// Every chunk that was cut, with the number of its region. While chunks are being cut, one
    /// of them may not be ready.
    ///
    /// # Safety
    ///
    /// No other thread uses the pool while the result is used.
    pub(super) unsafe fn chunks(&self) -> impl Iterator<Item = (usize, Chunk<'_>)> {
        self.heads().flat_map(move |(number, head)| {
            // SAFETY: these chunks were cut, and none is just being cut (caller).
            let chunk_at = move |place| unsafe { self.chunk_at(number, place) };
            (0..head.cut()).map(move |place| (number, chunk_at(place)))
        })
    }

    /// Forgets which chunks are spare.
    pub(super) fn forget_spare(&mut self) {
        self.spare.clear();
    }

    /// Keeps a chunk without a class for later.
    ///
    /// # Safety
    ///
    /// It is one of these, has no class, is in no list, and nobody else has it.
    pub(super) unsafe fn keep_spare(&self, chunk: Chunk<'_>) {
        self.spare.push(chunk.id(), &Waiting(self));
    }

    /// Gives back the memory of all chunks without a class.
    ///
    /// # Safety
    ///
    /// No list knows of any of them.
    pub(super) unsafe fn give_back_spare(&mut self) {
        // SAFETY: asked of chunks that were cut; borrowed mutably, the regions are nobody else's.
        let is_spare = |number, place| unsafe { self.chunk_at(number, place).classed() }.is_none();
        for (number, head) in self.heads() {
            let used = (0..head.cut()).rev().find(|&place| !is_spare(number, place));
            let keep = used.map_or(0, |place| place + 1);
            for place in (0..keep).filter(|&place| is_spare(number, place)) {
                let range = head.range_of(place, self.chunk_size());
                let behind = range.start + Chunk::HEAD_SIZE..range.end;
                // SAFETY: the region is on loan, the range is committed, and nobody needs what is
                // there. It stays committed: a spare chunk is put to use as it is.
                let _ = unsafe { self.source.discard(&head.region, behind) };
            }
            for place in keep..head.cut() {
                let range = head.range_of(place, self.chunk_size());
                // SAFETY: as above; a chunk is committed when it is cut.
                let _ = unsafe { self.source.decommit(&head.region, range) };
            }
            head.set_cut(keep);
        }
        self.release_unused();
    }

    /// Releases every region that no chunk is cut from.
    fn release_unused(&mut self) {
        let mut are_left = false;
        for entry in &self.table {
            let Some(head) = ptr::NonNull::new(entry.load(Ordering::Relaxed)) else { continue };
            // SAFETY: a head in the table is initialized.
            if unsafe { head.as_ref() }.cut() > 0 {
                are_left = true;
                continue;
            }
            entry.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the head is in the table no more, and the pool is borrowed mutably, so this
            // is the only one in use.
            let region = unsafe { head.read() }.region;
            // SAFETY: the region is on loan, and nobody has a chunk of it.
            unsafe { release_clean(&self.source, region) };
        }
        if !are_left {
            self.chunk_size.store(0, Ordering::Relaxed);
        }
    }
}

impl<S: Source, P> Drop for Regions<S, P> {
    fn drop(&mut self) {
        for entry in &self.table {
            let Some(head) = ptr::NonNull::new(entry.load(Ordering::Relaxed)) else { continue };
            // SAFETY: as in `release_unused`: the pool is going away, with all its blocks.
            let region = unsafe { head.read() }.region;
            // SAFETY: as above.
            unsafe { release_clean(&self.source, region) };
        }
    }
}
