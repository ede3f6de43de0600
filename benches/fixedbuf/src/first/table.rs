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

use super::granule::bytes_of;

/// Where the size and links of free blocks are kept, by granule numbers.
///
/// # Safety
///
/// Implementors return what was put last; what is put for one free block leaves the others as they
/// are.
pub(super) unsafe trait Table {
    /// Notes a free block of `size` granules from `block` on. Its links are undefined.
    ///
    /// # Safety
    ///
    /// The granules are in the table's range, and belong to nobody else.
    unsafe fn put(&mut self, block: u32, size: u32);

    /// The size of the free block that starts at `block`.
    ///
    /// # Safety
    ///
    /// `block` is the first granule of a free block.
    unsafe fn size(&self, block: u32) -> u32;

    /// The size of the free block that ends with `last`.
    ///
    /// # Safety
    ///
    /// `last` is the last granule of a free block.
    unsafe fn size_ending_with(&self, last: u32) -> u32;

    /// The free block after `block` in its bin, or [`NONE`].
    ///
    /// # Safety
    ///
    /// `block` is the first granule of a free block.
    unsafe fn next(&self, block: u32) -> u32;

    /// The free block before `block` in its bin, or [`NONE`].
    ///
    /// # Safety
    ///
    /// As for `next`.
    unsafe fn prev(&self, block: u32) -> u32;

    /// Links `block` to the one after it.
    ///
    /// # Safety
    ///
    /// As for `next`.
    unsafe fn set_next(&mut self, block: u32, next: u32);

    /// Links `block` to the one before it.
    ///
    /// # Safety
    ///
    /// As for `next`.
    unsafe fn set_prev(&mut self, block: u32, prev: u32);
}

/// No block: an end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// Sizes and links in the free blocks themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct InBlock {
    /// The first byte of granule 0.
    start: NonNull<u8>,
}

const NEXT: usize = 1;
const PREV: usize = 2;
const SIZE_AGAIN: usize = 3;

impl InBlock {
    /// The table of the granules from `start` on, which is aligned to a granule.
    pub(super) const fn new(start: NonNull<u8>) -> Self {
        Self { start }
    }

    /// The first byte of granule 0.
    #[inline(always)]
    pub(super) const fn start(self) -> NonNull<u8> {
        self.start
    }

    /// The first byte of a granule.
    ///
    /// # Safety
    ///
    /// `granule` lies in the table's range, or at its end.
    #[inline(always)]
    pub(super) unsafe fn granule(self, granule: u32) -> NonNull<u8> {
        // SAFETY: the range is one allocation (caller).
        unsafe { self.start.add(bytes_of(granule)) }
    }

    /// One of the four words of a granule.
    ///
    /// # Safety
    ///
    /// As for `granule`.
    #[inline(always)]
    unsafe fn word(self, granule: u32, word: usize) -> NonNull<u32> {
        // SAFETY: a granule is four words long, and aligned to one.
        unsafe { self.granule(granule).cast::<u32>().add(word) }
    }
}

// SAFETY: a free block's words lie in its first and last granule, so free blocks, which do not
// overlap, do not share any.
unsafe impl Table for InBlock {
    #[inline(always)]
    unsafe fn put(&mut self, block: u32, size: u32) {
        let last = block + (size - 1);
        // SAFETY: both granules are in range and free (caller).
        unsafe {
            self.word(block, 0).write(size);
            self.word(last, SIZE_AGAIN).write(size);
        }
    }

    #[inline(always)]
    unsafe fn size(&self, block: u32) -> u32 {
        // SAFETY: `put` wrote it, for `block` starts a free block (caller).
        unsafe { self.word(block, 0).read() }
    }

    #[inline(always)]
    unsafe fn size_ending_with(&self, last: u32) -> u32 {
        // SAFETY: `put` wrote it, for `last` ends a free block (caller).
        unsafe { self.word(last, SIZE_AGAIN).read() }
    }

    #[inline(always)]
    unsafe fn next(&self, block: u32) -> u32 {
        // SAFETY: a free block's links are written when it enters its bin, at once after `put`.
        unsafe { self.word(block, NEXT).read() }
    }

    #[inline(always)]
    unsafe fn prev(&self, block: u32) -> u32 {
        // SAFETY: as in `next`.
        unsafe { self.word(block, PREV).read() }
    }

    #[inline(always)]
    unsafe fn set_next(&mut self, block: u32, next: u32) {
        // SAFETY: the first granule of a free block is ours to write.
        unsafe { self.word(block, NEXT).write(next) };
    }

    #[inline(always)]
    unsafe fn set_prev(&mut self, block: u32, prev: u32) {
        // SAFETY: as in `set_next`.
        unsafe { self.word(block, PREV).write(prev) };
    }
}
