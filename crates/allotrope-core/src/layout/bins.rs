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
pub(crate) const BINS: usize = bin_of(MAX_GRANULES) as usize + 1;

/// How many bins cut a doubling of sizes.
const STEPS: u32 = 1 << STEP_BITS;
const STEP_BITS: u32 = 4;

/// The first size whose bin holds others as well.
pub(crate) const FIRST_STEPPED: u32 = 64;

/// The bin that a free block of `granules` belongs in.
#[inline(always)]
pub(crate) const fn bin_of(granules: u32) -> u32 {
    if granules < FIRST_STEPPED { granules } else { stepped_bin_of(granules) }
}

/// [`bin_of`] for at least [`FIRST_STEPPED`] granules.
#[inline(always)]
pub(crate) const fn stepped_bin_of(granules: u32) -> u32 {
    // The highest bit that is set moves to the left, then it and the next to the right: three
    // instructions fewer than finding out how far the sum of both is.
    let zeros = granules.leading_zeros();
    let top = granules.wrapping_shl(zeros) >> (u32::BITS - 1 - STEP_BITS);
    // The highest bit adds STEPS; the constant makes up for it.
    (top + ABOVE_ALL).wrapping_sub(zeros * STEPS)
}

/// What makes [`FIRST_STEPPED`] the bin of as many granules.
const ABOVE_ALL: u32 = FIRST_STEPPED - STEPS + FIRST_STEPPED.leading_zeros() * STEPS;

/// The smallest size that belongs in `bin`.
#[cfg(test)]
pub(crate) const fn smallest_in(bin: u32) -> u64 {
    if bin < FIRST_STEPPED {
        return bin as u64;
    }
    let doubling = (bin - FIRST_STEPPED) / STEPS;
    let step = (bin - FIRST_STEPPED) % STEPS;
    ((STEPS + step) as u64) << (FIRST_STEPPED.ilog2() - STEP_BITS + doubling)
}

/// Which bins hold blocks: a bit for each, in words, and a word with a bit for each word but the
/// first, which is that of all bins of one size and looked at before the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BinMap {
    words: [u64; WORDS],
    summary: u64,
}

const WORDS: usize = BINS.div_ceil(64);
const _: () = assert!(WORDS.is_power_of_two() && WORDS <= 64 && FIRST_STEPPED == 64);

/// The word that a bin's bit lies in. Bins lie below [`BINS`]; that this is one of the words needs
/// no check.
#[inline(always)]
const fn word_of(bin: u32) -> usize {
    (bin / 64) as usize % WORDS
}

impl BinMap {
    /// A map of empty bins.
    pub(crate) const fn new() -> Self {
        Self { words: [0; WORDS], summary: 0 }
    }

    /// Notes that `bin`, which is one of one size, holds blocks.
    #[inline(always)]
    pub(crate) const fn insert_exact(&mut self, bin: u32) {
        self.words[0] |= 1 << bin;
    }

    /// Notes that `bin`, which is one of several sizes, holds blocks.
    #[inline(always)]
    pub(crate) const fn insert_stepped(&mut self, bin: u32) {
        let word = word_of(bin);
        self.words[word] |= 1 << (bin % 64);
        self.summary |= 1 << word;
    }

    /// Notes that `bin`, which is one of one size, is empty.
    #[inline(always)]
    pub(crate) const fn remove_exact(&mut self, bin: u32) {
        self.words[0] &= !(1 << bin);
    }

    /// Notes that `bin`, which is one of several sizes, is empty.
    #[inline(always)]
    pub(crate) const fn remove_stepped(&mut self, bin: u32) {
        let word = word_of(bin);
        self.words[word] &= !(1 << (bin % 64));
        if self.words[word] == 0 {
            self.summary &= !(1 << word);
        }
    }

    /// Notes that `bin` holds blocks.
    #[cfg(test)]
    const fn insert(&mut self, bin: u32) {
        if bin < FIRST_STEPPED { self.insert_exact(bin) } else { self.insert_stepped(bin) }
    }

    /// Notes that `bin` is empty.
    #[cfg(test)]
    const fn remove(&mut self, bin: u32) {
        if bin < FIRST_STEPPED { self.remove_exact(bin) } else { self.remove_stepped(bin) }
    }

    /// Do any bins of several sizes hold blocks?
    #[inline(always)]
    pub(crate) const fn has_stepped(&self) -> bool {
        self.summary != 0
    }

    /// How far above `bin`, which is one of one size, the next bin of one size is that holds blocks.
    #[inline(always)]
    pub(crate) const fn next_exact(&self, bin: u32) -> Option<u32> {
        let rest = self.words[0] >> bin;
        if rest == 0 { None } else { Some(rest.trailing_zeros()) }
    }

    /// The first bin at or after `bin` that holds blocks.
    #[inline(always)]
    pub(crate) const fn first_from(&self, bin: u32) -> Option<u32> {
        debug_assert!(bin < WORDS as u32 * 64);
        let word = word_of(bin);
        let rest = self.words[word] & (u64::MAX << (bin % 64));
        if rest != 0 {
            return Some(word as u32 * 64 + rest.trailing_zeros());
        }
        // Two shifts: one by `word + 1` would overflow at 64.
        let words = self.summary & ((u64::MAX << word) << 1);
        if words == 0 { None } else { Some(self.first_in(words)) }
    }

    /// The first bin of several sizes that holds blocks.
    #[inline(always)]
    pub(crate) const fn first_stepped(&self) -> Option<u32> {
        if self.summary == 0 { None } else { Some(self.first_in(self.summary)) }
    }

    /// The first bin after `bin`, which is one of several sizes, that holds blocks.
    #[inline(always)]
    pub(crate) const fn first_above(&self, bin: u32) -> Option<u32> {
        let word = word_of(bin);
        // Two shifts: one by as much and one more would overflow.
        let rest = self.words[word] & ((u64::MAX << 1) << (bin % 64));
        if rest != 0 {
            return Some(word as u32 * 64 + rest.trailing_zeros());
        }
        let words = self.summary & ((u64::MAX << 1) << word);
        if words == 0 { None } else { Some(self.first_in(words)) }
    }

    /// The first bin that holds blocks in the first of some words, which are not empty.
    #[inline(always)]
    const fn first_in(&self, words: u64) -> u32 {
        let word = words.trailing_zeros();
        word * 64 + self.words[word as usize % WORDS].trailing_zeros()
    }

    /// The last bin that holds blocks.
    pub(crate) const fn last(&self) -> Option<u32> {
        let mut word = 0;
        if self.summary != 0 {
            word = 63 - self.summary.leading_zeros();
        } else if self.words[0] == 0 {
            return None;
        }
        Some(word * 64 + 63 - self.words[word as usize].leading_zeros())
    }

    /// Does `bin` hold blocks?
    pub(crate) const fn contains(&self, bin: u32) -> bool {
        self.words[(bin / 64) as usize] & (1 << (bin % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_grow_with_the_size_and_leave_no_gap() {
        let all = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
        for granules in 1..all {
            let step = bin_of(granules + 1) - bin_of(granules);
            assert!(step <= 1, "{granules}");
        }
    }

    #[test]
    fn each_bin_starts_where_the_one_below_ends() {
        for bin in 2..BINS as u32 {
            let smallest = smallest_in(bin) as u32;
            assert_eq!(bin_of(smallest), bin);
            assert_eq!(bin_of(smallest - 1), bin - 1);
        }
        assert_eq!(bin_of(MAX_GRANULES) as usize, BINS - 1);
    }

    #[test]
    fn exact_bins_are_found_by_their_distance() {
        let mut map = BinMap::new();
        map.insert(FIRST_STEPPED);
        assert_eq!(map.next_exact(1), None);
        map.insert(63);
        map.insert(7);
        map.insert(8);
        map.remove_exact(8);
        assert!(map.has_stepped());
        assert_eq!(map.first_stepped(), Some(FIRST_STEPPED));
        assert_eq!([7, 8, 63].map(|bin| map.next_exact(bin)), [Some(0), Some(55), Some(0)]);
    }

    #[test]
    fn map_finds_what_was_inserted_and_only_that() {
        let mut map = BinMap::new();
        assert_eq!((map.first_from(0), map.last()), (None, None));
        for bin in 0..BINS as u32 {
            map.insert(bin);
            assert!(map.contains(bin));
            assert_eq!(map.last(), Some(bin));
            for from in 0..BINS as u32 {
                assert_eq!(map.first_from(from), (from <= bin).then_some(bin), "{from} {bin}");
                if from >= FIRST_STEPPED {
                    assert_eq!(map.first_above(from), (from < bin).then_some(bin), "{from} {bin}");
                }
            }
            map.remove(bin);
            assert_eq!(map.first_from(0), None);
        }
        assert_eq!(map.first_from(BINS as u32), None);
    }

    #[test]
    fn map_skips_empty_bins() {
        let mut map = BinMap::new();
        for bin in [3, 70, 71, 400] {
            map.insert(bin);
        }
        map.remove(70);
        assert_eq!(
            [0, 3, 4, 71, 72].map(|bin| map.first_from(bin)),
            [Some(3), Some(3), Some(71), Some(71), Some(400)]
        );
    }
}
