//! Bins: lists of free blocks by size, and the map that says which of them hold any.
//!
//! ```text
//! bin       1   2   3 … 63 │ 64  65 … 79 │ 80  81 … 95 │ …
//! granules  1   2   3 … 63 │ 64  68 … 124│128 136 … 248│ …
//! step            1        │      4      │      8      │ doubles with every 16 bins
//! ```
//!
//! Below 64 granules (1 KiB) every bin holds one size, so the first block in it fits exactly.
//! Above, every doubling is cut into [`STEPS`] bins, so the sizes in a bin differ by less than a
//! sixteenth.

#![forbid(unsafe_code)]

use super::granule::MAX_GRANULES;

/// How many bins there are. Bin 0 stays empty: no block has zero granules.
pub(super) const BINS: usize = bin_of(MAX_GRANULES) as usize + 1;

/// How many bins cut a doubling of sizes.
const STEPS: u32 = 1 << STEP_BITS;
const STEP_BITS: u32 = 4;

/// The first size whose bin holds others as well.
pub(super) const FIRST_STEPPED: u32 = 64;

/// The bin that a free block of `granules` belongs in.
#[inline(always)]
pub(super) const fn bin_of(granules: u32) -> u32 {
    if granules < FIRST_STEPPED { granules } else { stepped_bin_of(granules) }
}

#[inline(always)]
const fn stepped_bin_of(granules: u32) -> u32 {
    let exponent = u32::BITS - 1 - granules.leading_zeros();
    // The leading one of `granules` adds STEPS to its next bits; the first term makes up for it.
    (exponent - FIRST_STEPPED.ilog2()) * STEPS
        + (FIRST_STEPPED - STEPS)
        + (granules >> (exponent - STEP_BITS))
}

/// Which bins hold blocks: a bit for each, in words, and a word with a bit for each word.
#[derive(Clone, Copy, Debug)]
pub(super) struct BinMap {
    words: [u64; WORDS],
    summary: u64,
}

const WORDS: usize = BINS.div_ceil(64);
const _: () = assert!(WORDS <= 64);

impl BinMap {
    /// A map of empty bins.
    pub(super) const fn new() -> Self {
        Self { words: [0; WORDS], summary: 0 }
    }

    /// Notes that `bin` holds blocks.
    #[inline(always)]
    pub(super) const fn insert(&mut self, bin: u32) {
        let word = (bin / 64) as usize;
        self.words[word] |= 1 << (bin % 64);
        self.summary |= 1 << word;
    }

    /// Notes that `bin` is empty.
    #[inline(always)]
    pub(super) const fn remove(&mut self, bin: u32) {
        let word = (bin / 64) as usize;
        self.words[word] &= !(1 << (bin % 64));
        if self.words[word] == 0 {
            self.summary &= !(1 << word);
        }
    }

    /// The first bin at or after `bin` that holds blocks.
    #[inline(always)]
    pub(super) const fn first_from(&self, bin: u32) -> Option<u32> {
        if bin as usize >= BINS {
            return None;
        }
        let word = (bin / 64) as usize;
        let rest = self.words[word] & (u64::MAX << (bin % 64));
        if rest != 0 {
            return Some(word as u32 * 64 + rest.trailing_zeros());
        }
        // Two shifts: one by `word + 1` would overflow at 64.
        let words = self.summary & ((u64::MAX << word) << 1);
        if words == 0 {
            return None;
        }
        let word = words.trailing_zeros();
        Some(word * 64 + self.words[word as usize].trailing_zeros())
    }

    /// Does `bin` hold blocks?
    pub(super) const fn contains(&self, bin: u32) -> bool {
        self.words[(bin / 64) as usize] & (1 << (bin % 64)) != 0
    }
}
