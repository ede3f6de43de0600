//! What is larger than any class: straight from the source, and kept in a side table.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Pool;
use crate::hook::{Event, EventKind, Hook, Record};
use crate::layout::powers::{block_size, class_of};
use crate::source::provenance::ours;
use crate::strategy::large::Large;
use crate::{AllocError, Policy, Source};

/// How a block is made to fit another layout.
pub(super) enum Way {
    /// It is a block of this class, which serves both layouts.
    InPlace(usize),
    /// Both layouts are served by large blocks.
    Large,
    /// Another block takes its place.
    Move,
}

impl<S: Source, P: Policy, H: Hook> Pool<S, P, H> {
    /// How a block that `old` fits is made to fit `new`.
    pub(super) fn way(old: Layout, new: Layout) -> Way {
        if old.size() == 0 || new.size() == 0 {
            return Way::Move;
        }
        match (class_of(old), class_of(new)) {
            (Some(old), Some(new)) if old == new => Way::InPlace(new),
            (None, None) => Way::Large,
            _ => Way::Move,
        }
    }

    /// Leaves the block where it is, which is of `class`.
    pub(super) fn keep(
        &self,
        class: usize,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> NonNull<[u8]> {
        let mut record = H::Record::default();
        record.push(|| Self::event(EventKind::Free, start, class, old));
        record.push(|| Self::event(EventKind::Allocate, start, class, new));
        record.deliver(&self.hook);
        NonNull::slice_from_raw_parts(ours(start), block_size(class))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn take_large(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.regions.come_first();
        // SAFETY: it is always this source.
        let block = unsafe { self.large.allocate(self.regions.source(), layout) }?;
        Ok(self.note_large(block, layout))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn take_large_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.regions.come_first();
        // SAFETY: as above.
        let block = unsafe { self.large.allocate_zeroed(self.regions.source(), layout) }?;
        Ok(self.note_large(block, layout))
    }

    fn note_large(&self, block: NonNull<[u8]>, layout: Layout) -> NonNull<[u8]> {
        self.note(EventKind::Allocate, block.cast(), layout);
        block
    }

    fn note(&self, kind: EventKind, start: NonNull<u8>, layout: Layout) {
        let mut record = H::Record::default();
        record.push(|| {
            let extent = Large::extent(layout).unwrap_or(layout.size());
            Event { kind, address: start.addr().get(), layout, extent }
        });
        record.deliver(&self.hook);
    }

    /// # Safety
    ///
    /// As for `deallocate`; the block is a large one.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn put_large(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises; the source is always the pool's.
        unsafe { self.large.deallocate(self.regions.source(), start, layout) };
        self.note(EventKind::Free, start, layout);
    }

    /// # Safety
    ///
    /// As for `grow`; both layouts are those of large blocks.
    pub(super) unsafe fn grow_large(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        // SAFETY: as the caller promises; the source is always the pool's.
        let grown = unsafe { self.large.grow(self.regions.source(), start, old, new) }?;
        self.note(EventKind::Free, start, old);
        self.note(EventKind::Allocate, grown.0.cast(), new);
        Ok(grown)
    }

    /// # Safety
    ///
    /// As for `shrink`; both layouts are those of large blocks.
    pub(super) unsafe fn shrink_large(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; the source is always the pool's.
        let block = unsafe { self.large.shrink(self.regions.source(), start, old, new) }?;
        self.note(EventKind::Free, start, old);
        self.note(EventKind::Allocate, block.cast(), new);
        Ok(block)
    }

    /// Releases all large blocks.
    pub(super) fn release_large(&mut self) {
        let Pool { large, regions, .. } = self;
        // SAFETY: the pool is borrowed mutably, or dropped: nobody has a block.
        unsafe { large.release_all(regions.source(), |_, _| ()) };
    }

    /// Releases what the table of large blocks does not need.
    pub(super) fn trim_large(&mut self) {
        let Pool { large, regions, .. } = self;
        // SAFETY: the source is always the pool's.
        unsafe { large.trim(regions.source()) };
    }
}
