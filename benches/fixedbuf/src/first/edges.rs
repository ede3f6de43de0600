//! The edges: one bit per granule that marks the first and the last granule of every free block.
//!
//! ```text
//! granules   │ used  │ free      │ used │free│ used       │
//! edges     0│ 0   0 │ 1   0   1 │ 0  0 │ 1  │ 0   0   0  │0
//! ```
//!
//! Bits are shifted by one: bit 0 and the bit after the last granule's stay zero, so that a block
//! at either end has a neighbour that is not free, and nobody has to ask where the ends are.

use core::ptr::NonNull;

/// The bitmap of an area's edges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    words: NonNull<u64>,
}

impl Edges {
    /// The bitmap at `words`: [`edges_size`](super::area::edges_size) bytes for every
    /// granule that is ever asked about.
    pub(super) const fn new(words: NonNull<u64>) -> Self {
        Self { words }
    }

    /// Is the granule before `granule` the last of a free block?
    ///
    /// # Safety
    ///
    /// `granule` is in the range of the bitmap.
    #[inline(always)]
    pub(super) unsafe fn ends_before(self, granule: u32) -> bool {
        // SAFETY: bit `granule` is that of the granule before it; bit 0 is nobody's.
        unsafe { self.bit(granule) }
    }

    /// Is `granule` the first or last of a free block?
    ///
    /// # Safety
    ///
    /// `granule` is in the range of the bitmap, or one past it.
    #[inline(always)]
    pub(super) unsafe fn is_edge(self, granule: u32) -> bool {
        // SAFETY: the bitmap has a bit more than granules after the shift.
        unsafe { self.bit(granule + 1) }
    }

    /// Marks `granule` as an edge.
    ///
    /// # Safety
    ///
    /// `granule` is in the range of the bitmap, and nobody else accesses the bitmap.
    #[inline(always)]
    pub(super) unsafe fn set(self, granule: u32) {
        let (word, mask) = position(granule + 1);
        // SAFETY: the word is in the bitmap (caller).
        unsafe {
            let word = self.words.add(word);
            word.write(word.read() | mask);
        }
    }

    /// Marks `granule` as no edge.
    ///
    /// # Safety
    ///
    /// As for `set`.
    #[inline(always)]
    pub(super) unsafe fn clear(self, granule: u32) {
        let (word, mask) = position(granule + 1);
        // SAFETY: the word is in the bitmap (caller).
        unsafe {
            let word = self.words.add(word);
            word.write(word.read() & !mask);
        }
    }

    /// # Safety
    ///
    /// `bit` is at most one above the number of granules.
    #[inline(always)]
    unsafe fn bit(self, bit: u32) -> bool {
        let (word, mask) = position(bit);
        // SAFETY: the word is in the bitmap (caller).
        unsafe { self.words.add(word).read() & mask != 0 }
    }
}

/// The word that a bit lies in, and its mask there.
#[inline(always)]
const fn position(bit: u32) -> (usize, u64) {
    ((bit / 64) as usize, 1 << (bit % 64))
}
