//! Blocks that grow and shrink: where they are, or by way of another block.

use core::alloc::Layout;
use core::ptr::NonNull;

use allotrope_core::parts::{SizeClass, carry_over, ours};
use allotrope_core::{AllocError, EventKind, Hook, Policy, Source};

use super::Engine;
use crate::route::Way;
use crate::store::Store;

impl<S: Source, P: Policy, H: Hook> Engine<S, P, H> {
    /// Makes a block that `old` fits into one for `new`, which is no smaller, the ways of both.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`](allotrope_core::Strategy::grow).
    #[inline(never)]
    pub(crate) unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let class = |layout| SizeClass::for_layout(layout, P::LARGEST_CLASS);
        let (Some(before), Some(after)) = (class(old), class(new)) else {
            // SAFETY: as the caller promises.
            return unsafe { self.grow_to_other(start, old, new) };
        };
        if before == after {
            let block = NonNull::slice_from_raw_parts(ours(start), after.block_size());
            self.note_resize((Way::Small(before), Way::Small(after)), start, old, block, new);
            return Ok(block);
        }
        let block = self.allocate_small(after, new)?;
        // SAFETY: both blocks are in use, so they do not overlap, and have as many bytes; the old one
        // is of its class, and the caller gives it up.
        unsafe {
            carry_over(start, block, old.size());
            self.deallocate_small(before, start, old);
        }
        Ok(block)
    }

    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    #[inline(never)]
    unsafe fn grow_to_other(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_slow((Way::of::<P>(old), Way::of::<P>(new)), start, old, new) }
            .map(|(block, _)| block)
    }

    /// Makes a block that `old` fits into one for `new`, which is no smaller, and says how many bytes
    /// from its start on are not known to be zero.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`](allotrope_core::Strategy::grow), with the ways of both.
    pub(crate) unsafe fn grow_by(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        if let (Way::Small(before), Way::Small(after)) = ways
            && before == after
        {
            let block = NonNull::slice_from_raw_parts(ours(start), after.block_size());
            self.note_resize(ways, start, old, block, new);
            return Ok((block, block.len()));
        }
        // SAFETY: as the caller promises.
        unsafe { self.grow_slow(ways, start, old, new) }
    }

    /// # Safety
    ///
    /// As for [`grow_by`](Self::grow_by).
    #[inline(never)]
    unsafe fn grow_slow(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        // SAFETY: as the caller promises; the block is unchanged where a call fails.
        unsafe {
            if let Some(grown) = self.grow_in_place(ways, start, old, new) {
                return Ok(grown);
            }
            match self.relocate_by(ways, start, old, new, old.size()) {
                Ok(block) => Ok((block, block.len())),
                Err(AllocError) => self.grow_at_last(ways, start, old, new),
            }
        }
    }

    /// Lengthens a block of pages, or has the source do so, without another block of ours.
    ///
    /// # Safety
    ///
    /// As for [`grow_by`](Self::grow_by), unless it returns `None`.
    #[inline(always)]
    pub(super) unsafe fn grow_in_place(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<(NonNull<[u8]>, usize)> {
        let is_aligned = start.addr().get().is_multiple_of(new.align());
        // SAFETY: as the caller promises; where a block is resized, it is of the kind that its way
        // says, or of pages.
        unsafe {
            match ways {
                (Way::Large(before), Way::Large(after))
                    if is_aligned
                        && self.store.place_of(start).is_none()
                        && self.may_grow_alone(after.saturating_sub(before), new.align()) =>
                {
                    if after > before && !self.store.has_room_for(after - before) {
                        return None;
                    }
                    let Store { large, source, .. } = &self.store;
                    let grown = large.grow(source, start, old, new).ok()?;
                    self.note_moved((start, before), grown.0);
                    self.note_resize(ways, start, old, grown.0, new);
                    Some(grown)
                }
                (
                    Way::Medium(before) | Way::Large(before),
                    Way::Medium(after) | Way::Large(after),
                ) if is_aligned
                    && (before == after
                        || matches!(ways.1, Way::Medium(_))
                        || !S::RESERVES_AHEAD)
                    && self.store.place_of(start).is_some()
                    && (before == after || self.store.resize_block(start, before, after)) =>
                {
                    let block = NonNull::slice_from_raw_parts(ours(start), after);
                    self.note_resize(ways, start, old, block, new);
                    Some((block, after))
                }
                _ => None,
            }
        }
    }

    /// Notes that a large block, from where on and how long, is another now. Where that changed its
    /// region, the old one is given back.
    fn note_moved(&mut self, (start, before): (NonNull<u8>, usize), block: NonNull<[u8]>) {
        if (start, before) != (block.cast(), block.len()) {
            self.store.note(EventKind::Release, start, before);
            self.store.note(EventKind::Refill, block.cast(), block.len());
        }
    }

    /// May a large block become longer without regard to what its alignment costs? Else it moves, and
    /// that is counted.
    fn may_grow_alone(&self, by: usize, align: usize) -> bool {
        by == 0 || align <= S::REGION_ALIGN || self.store.has_room_for(by.saturating_add(align))
    }

    /// Makes a block that `old` fits into one for `new`, which is no larger.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::shrink`](allotrope_core::Strategy::shrink), with the ways of both.
    pub(crate) unsafe fn shrink_by(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let is_aligned = start.addr().get().is_multiple_of(new.align());
        // SAFETY: as in `grow_slow`.
        unsafe {
            let block = match ways {
                (Way::Small(before), Way::Small(after)) if before == after => {
                    NonNull::slice_from_raw_parts(ours(start), after.block_size())
                }
                (Way::Large(before), Way::Large(_))
                    if is_aligned && self.store.place_of(start).is_none() =>
                {
                    let block = self.store.large.shrink(&self.store.source, start, old, new)?;
                    self.note_moved((start, before), block);
                    block
                }
                (
                    Way::Medium(before) | Way::Large(before),
                    Way::Medium(after) | Way::Large(after),
                ) if is_aligned
                    && self.store.place_of(start).is_some()
                    && (before == after || self.store.resize_block(start, before, after)) =>
                {
                    NonNull::slice_from_raw_parts(ours(start), after)
                }
                _ => return self.relocate_by(ways, start, old, new, new.size()),
            };
            self.note_resize(ways, start, old, block, new);
            Ok(block)
        }
    }

    /// Allocates a block for `new`, copies `kept` bytes into it, and frees the old one.
    ///
    /// # Safety
    ///
    /// As for [`deallocate_by`](Self::deallocate_by), unless an error is returned; and `kept` is at
    /// most either size.
    unsafe fn relocate_by(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        kept: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate_by(ways.1, new)?;
        // SAFETY: both blocks are in use, so they do not overlap, and have `kept` bytes (caller).
        unsafe { carry_over(start, block, kept) };
        // SAFETY: as the caller promises.
        unsafe { self.deallocate_by(ways.0, start, old) };
        Ok(block)
    }

    /// Like [`grow_by`](Self::grow_by), and the bytes beyond `old.size()` are zero.
    ///
    /// # Safety
    ///
    /// As for [`grow_by`](Self::grow_by).
    pub(crate) unsafe fn grow_zeroed_by(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let (block, known) = unsafe { self.grow_by(ways, start, old, new) }?;
        let kept = old.size();
        // SAFETY: `kept` and `known` are at most the block's length, which is valid for writes.
        unsafe { block.cast::<u8>().add(kept).write_bytes(0, known.saturating_sub(kept)) };
        Ok(block)
    }
}
