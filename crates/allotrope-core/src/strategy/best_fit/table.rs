//! Where a free block keeps its size and its links: in itself.
//!
//! ```text
//! free block, several granules
//! │ size next prev  ·  │  …  │  ·   ·   ·  size │      4 bytes each
//! free block, one granule
//! │ size next prev size │
//! ```
//!
//! The size stands at both ends, so that a neighbour finds the start of a free block from its last
//! granule. All of it fits in one granule, so any remainder can be a free block. Blocks that are
//! in use hold nothing of ours.

use core::ptr::NonNull;

use crate::layout::granule::{GRANULE_SIZE, MAX_GRANULES, bytes_of};
use crate::poison;

/// Where the size and links of free blocks are kept.
///
/// # Safety
///
/// Implementors return what was put last; what is put for one free block leaves the others as they
/// are. Places are where granules start: going `after` and `before` is adding and subtracting.
pub unsafe trait Table {
    /// The fewest granules that are a tail, however small the space is; more than any size that has a
    /// bin of its own. 64 KiB in blocks.
    const SHORTEST_TAIL: u32 = 4096;

    /// Where a granule starts: whatever finds its entry with the least effort.
    type Place: Copy;

    /// The place of a granule.
    ///
    /// # Safety
    ///
    /// The granule is in the table's range, or at its end.
    unsafe fn place(&self, granule: u32) -> Self::Place;

    /// The place `granules` after another.
    ///
    /// # Safety
    ///
    /// Both are places of the table.
    unsafe fn after(&self, place: Self::Place, granules: u32) -> Self::Place;

    /// The place `granules` before another.
    ///
    /// # Safety
    ///
    /// Both are places of the table.
    unsafe fn before(&self, place: Self::Place, granules: u32) -> Self::Place;

    /// Notes a free block of `size` granules. Its links are undefined.
    ///
    /// # Safety
    ///
    /// The granules are in the table's range, and belong to nobody else.
    unsafe fn put(&mut self, block: Self::Place, size: u32);

    /// Notes that some granules are free no longer, or parts of a larger free block now.
    ///
    /// # Safety
    ///
    /// As for `put`.
    unsafe fn take(&mut self, block: Self::Place, size: u32);

    /// Notes that some granules are nobody's, and that nothing is kept for them.
    ///
    /// # Safety
    ///
    /// As for `put`.
    unsafe fn hide(&mut self, block: Self::Place, size: u32);

    /// The size of a free block.
    ///
    /// # Safety
    ///
    /// `block` is the place of a free block that was put.
    unsafe fn size(&self, block: Self::Place) -> u32;

    /// The size of the free block that ends where `end` starts.
    ///
    /// # Safety
    ///
    /// There is one, and it was put.
    unsafe fn size_before(&self, end: Self::Place) -> u32;

    /// The free block after `block` in its bin, or [`NONE`].
    ///
    /// # Safety
    ///
    /// As for `size`.
    unsafe fn next(&self, block: Self::Place) -> u32;

    /// The free block before `block` in its bin, or what else was put there.
    ///
    /// # Safety
    ///
    /// As for `size`, and there is one, or the block is in a bin of several sizes.
    unsafe fn prev(&self, block: Self::Place) -> u32;

    /// Links `block` to the one after it.
    ///
    /// # Safety
    ///
    /// As for `size`.
    unsafe fn set_next(&mut self, block: Self::Place, next: u32);

    /// Links `block` to the one before it. In the first block of a bin of several sizes, this is no
    /// block but says which bin it is.
    ///
    /// # Safety
    ///
    /// As for `size`.
    unsafe fn set_prev(&mut self, block: Self::Place, prev: u32);
}

/// No block: an end of a list.
pub const NONE: u32 = u32::MAX;

/// Is this the first granule of a block, and not [`NONE`], or what else stands for no block?
#[inline(always)]
pub(super) const fn is_block(granule: u32) -> bool {
    granule <= MAX_GRANULES
}

/// Sizes and links in the free blocks themselves; a place is a granule's address.
#[derive(Clone, Copy, Debug)]
pub struct InBlock {
    /// The first byte of granule 0.
    start: NonNull<u8>,
}

const NEXT: usize = 1;
const PREV: usize = 2;
const SIZE_AGAIN: usize = 3;

impl InBlock {
    /// The table of the granules from `start` on, which is aligned to a granule.
    pub const fn new(start: NonNull<u8>) -> Self {
        Self { start }
    }

    /// The first byte of granule 0.
    #[inline(always)]
    pub const fn start(self) -> NonNull<u8> {
        self.start
    }

    /// Zeroes the four bytes at the end of a granule in which a free block that ended there kept
    /// its size.
    ///
    /// # Safety
    ///
    /// `inner` lies inside of a free block, and is neither its first granule nor its last.
    pub unsafe fn wipe_end(self, inner: u32) {
        // SAFETY: the granule is free, so it is ours, and nobody keeps anything there.
        unsafe {
            let granule = self.place(inner);
            poison::unpoison(granule, GRANULE_SIZE);
            word(granule, SIZE_AGAIN).write(0);
            poison::poison(granule, GRANULE_SIZE);
        }
    }
}

/// One of the four words of a granule.
///
/// # Safety
///
/// The granule is one of a table's.
#[inline(always)]
unsafe fn word(granule: NonNull<u8>, word: usize) -> NonNull<u32> {
    // SAFETY: a granule is four words long, and aligned to one.
    unsafe { granule.cast::<u32>().add(word) }
}

// SAFETY: a free block's words lie in its first and last granule, so free blocks, which do not
// overlap, do not share any.
unsafe impl Table for InBlock {
    type Place = NonNull<u8>;

    #[inline(always)]
    unsafe fn place(&self, granule: u32) -> NonNull<u8> {
        // SAFETY: the range is one allocation (caller).
        unsafe { self.start.add(bytes_of(granule)) }
    }

    #[inline(always)]
    unsafe fn after(&self, place: NonNull<u8>, granules: u32) -> NonNull<u8> {
        // SAFETY: as above.
        unsafe { place.add(bytes_of(granules)) }
    }

    #[inline(always)]
    unsafe fn before(&self, place: NonNull<u8>, granules: u32) -> NonNull<u8> {
        // SAFETY: as above.
        unsafe { place.sub(bytes_of(granules)) }
    }

    #[inline(always)]
    unsafe fn put(&mut self, block: NonNull<u8>, size: u32) {
        // SAFETY: both granules are in range and free (caller).
        unsafe {
            let last = block.add(bytes_of(size)).sub(GRANULE_SIZE);
            poison::unpoison(block, GRANULE_SIZE);
            poison::unpoison(last, GRANULE_SIZE);
            word(block, 0).write(size);
            word(last, SIZE_AGAIN).write(size);
            if size > 2 {
                poison::poison(block.add(GRANULE_SIZE), bytes_of(size - 2));
            }
        }
    }

    #[inline(always)]
    unsafe fn take(&mut self, block: NonNull<u8>, size: u32) {
        poison::unpoison(block, bytes_of(size));
    }

    #[inline(always)]
    unsafe fn hide(&mut self, block: NonNull<u8>, size: u32) {
        poison::poison(block, bytes_of(size));
    }

    #[inline(always)]
    unsafe fn size(&self, block: NonNull<u8>) -> u32 {
        // SAFETY: `put` wrote it (caller).
        unsafe { word(block, 0).read() }
    }

    #[inline(always)]
    unsafe fn size_before(&self, end: NonNull<u8>) -> u32 {
        // SAFETY: `put` wrote it, for a free block ends here (caller).
        unsafe { word(end.sub(GRANULE_SIZE), SIZE_AGAIN).read() }
    }

    #[inline(always)]
    unsafe fn next(&self, block: NonNull<u8>) -> u32 {
        // SAFETY: a free block's links are written when it enters its bin, at once after `put`.
        unsafe { word(block, NEXT).read() }
    }

    #[inline(always)]
    unsafe fn prev(&self, block: NonNull<u8>) -> u32 {
        // SAFETY: the block is not the first of a bin of one size (caller), so `set_prev` wrote it.
        unsafe { word(block, PREV).read() }
    }

    #[inline(always)]
    unsafe fn set_next(&mut self, block: NonNull<u8>, next: u32) {
        // SAFETY: the first granule of a free block is ours to write.
        unsafe { word(block, NEXT).write(next) };
    }

    #[inline(always)]
    unsafe fn set_prev(&mut self, block: NonNull<u8>, prev: u32) {
        // SAFETY: as in `set_next`.
        unsafe { word(block, PREV).write(prev) };
    }
}
