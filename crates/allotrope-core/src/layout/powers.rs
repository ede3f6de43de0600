//! Classes of powers of two: which one serves a layout, and where its blocks lie in a chunk.
//!
//! ```text
//! chunk  │ head │ words of bits │ rest │ block n │ block n + 1 │ …
//! block      0        1            …        n         n + 1
//! ```
//!
//! Block `i` of a chunk lies `i` block sizes behind the chunk's start, and a chunk starts at a
//! multiple of its size, so each block lies at a multiple of its own. The first few, which the head
//! covers, are never handed out.

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// The largest size that a class serves.
pub(crate) const MAX_BLOCK: usize = 4096;

/// How many classes there are: 16, 32, … 4096.
pub(crate) const CLASSES: usize = 9;

const MIN_SHIFT: u32 = 4;

/// How many blocks a word of bits speaks of.
pub(crate) const WORD_BLOCKS: usize = 32;

/// The most bytes that a chunk has: its words are counted in a summary of so many.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// The class whose blocks serve `layout`, which has a size; `None` if none is large enough.
#[inline(always)]
pub(crate) const fn class_of(layout: Layout) -> Option<usize> {
    let (size, align) = (layout.size(), layout.align());
    let size = if size > align { size } else { align };
    if size > MAX_BLOCK {
        return None;
    }
    let least = (1 << MIN_SHIFT) - 1;
    let bits = usize::BITS - (size.saturating_sub(1) | least).leading_zeros();
    Some((bits - MIN_SHIFT) as usize)
}

/// By how many bits a block's number is shifted to give its place.
#[inline(always)]
pub(crate) const fn shift_of(class: usize) -> u32 {
    class as u32 + MIN_SHIFT
}

/// The size in bytes of the blocks of `class`.
#[inline(always)]
pub(crate) const fn block_size(class: usize) -> usize {
    1 << shift_of(class)
}

/// Where the blocks of one class lie in a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Blocks {
    /// How many words of bits it has.
    pub(crate) words: usize,
    /// The first block that is handed out.
    pub(crate) first: usize,
    /// One behind the last.
    pub(crate) end: usize,
}

impl Blocks {
    /// The blocks of `class` in a chunk whose head takes `head_size` bytes and `word_size` for
    /// each word; `None` if there is not one.
    pub(crate) const fn new(
        class: usize,
        chunk_size: usize,
        head_size: usize,
        word_size: usize,
    ) -> Option<Self> {
        let end = chunk_size >> shift_of(class);
        let words = end.div_ceil(WORD_BLOCKS);
        let first = (head_size + words * word_size).div_ceil(block_size(class));
        if first < end { Some(Self { words, first, end }) } else { None }
    }

    /// How many there are.
    pub(crate) const fn count(self) -> usize {
        self.end - self.first
    }

    /// Which bits of word `word` stand for blocks that are handed out.
    pub(crate) const fn bits(self, word: usize) -> u32 {
        below(self.end, word) & !below(self.first, word)
    }
}

/// The bits of word `word` that stand for blocks below `block`.
const fn below(block: usize, word: usize) -> u32 {
    let blocks = block.saturating_sub(word * WORD_BLOCKS);
    if blocks >= WORD_BLOCKS { u32::MAX } else { (1 << blocks) - 1 }
}

/// The size of the chunks of a pool whose first region has `region_size` bytes: at most `best`, and
/// at most a sixteenth of the region so that several classes share it; but no sixteenth so small
/// that few classes are served. `least` is what is of any use.
pub(crate) const fn chunk_size_in(region_size: usize, best: usize, least: usize) -> Option<usize> {
    const COMFORTABLE: usize = 1024;
    if region_size < least {
        return None;
    }
    let sixteenth = floor_power(region_size / 16);
    let quarter = floor_power(region_size / 4);
    let comfortable = if quarter < COMFORTABLE { quarter } else { COMFORTABLE };
    let mut size = if sixteenth > comfortable { sixteenth } else { comfortable };
    size = if size > best { best } else { size };
    Some(if size < least { least } else { size })
}

/// The largest power of two that is at most `n`; 1 if there is none.
const fn floor_power(n: usize) -> usize {
    if n == 0 { 1 } else { 1 << n.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_layout_is_the_smallest_that_holds_it_at_its_alignment() {
        for align in (0..14).map(|shift| 1 << shift) {
            for size in 1..5000 {
                let layout = Layout::from_size_align(size, align).unwrap();
                let needed = size.max(align).max(16).next_power_of_two();
                match class_of(layout) {
                    Some(class) => assert_eq!((block_size(class), class < CLASSES), (needed, true)),
                    None => assert!(needed > MAX_BLOCK),
                }
            }
        }
    }

    #[test]
    fn what_is_returned_has_the_class_of_what_was_asked_for() {
        for class in 0..CLASSES {
            let layout = Layout::from_size_align(block_size(class), 1).unwrap();
            assert_eq!(class_of(layout), Some(class));
        }
    }

    #[test]
    fn every_block_behind_the_head_has_a_bit_and_no_other() {
        for chunk_size in (8..=16).map(|shift| 1 << shift) {
            for class in 0..CLASSES {
                let Some(blocks) = Blocks::new(class, chunk_size, 32, 8) else {
                    assert!(chunk_size < 2 * block_size(class), "{chunk_size} {class}");
                    continue;
                };
                assert!(blocks.words * WORD_BLOCKS >= blocks.end && blocks.words <= 128);
                let head_end = 32 + 8 * blocks.words;
                for block in 0..blocks.words * WORD_BLOCKS {
                    let start = block * block_size(class);
                    let lent = start >= head_end && start + block_size(class) <= chunk_size;
                    let bits = blocks.bits(block / WORD_BLOCKS);
                    assert_eq!(bits >> (block % WORD_BLOCKS) & 1 == 1, lent, "{block} {blocks:?}");
                }
                let bits = (0..blocks.words).map(|word| blocks.bits(word).count_ones() as usize);
                assert_eq!(bits.sum::<usize>(), blocks.count());
            }
        }
    }

    #[test]
    fn chunks_shrink_with_their_region() {
        let size = |room| chunk_size_in(room, MAX_CHUNK, 256);
        assert_eq!(size(1 << 30), Some(64 * 1024));
        assert_eq!(size(64 * 1024), Some(4096));
        assert_eq!(size(16 * 1024), Some(1024));
        assert_eq!(size(4096), Some(1024));
        assert_eq!(size(1024), Some(256));
        assert_eq!(size(300), Some(256));
        assert_eq!(size(255), None);
        for room in 1024..100_000 {
            let size = size(room).unwrap();
            assert!(size.is_power_of_two() && 4 * size <= room);
        }
    }
}
