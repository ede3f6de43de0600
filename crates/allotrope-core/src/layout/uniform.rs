//! Uniform blocks: how many fit in a chunk, and where the first one lies.
//!
//! ```text
//! chunk  │ head │ gap │ block │ block │ block │ … │ rest │
//!                     ▲ multiple of the blocks' alignment
//! ```

#![forbid(unsafe_code)]

use super::granule::GRANULE_SIZE;

/// The strictest alignment that [`FixedSize`](crate::FixedSize) serves: a page, on most machines.
pub(crate) const MAX_ALIGN: usize = 4096;

/// The size of the blocks that serve `size` bytes: rounded up to 16.
pub(crate) const fn block_size(size: usize) -> usize {
    size.next_multiple_of(GRANULE_SIZE)
}

/// The alignment that blocks of `block_size` bytes have when they are laid end to end from a
/// well-aligned start: the largest power of two that divides their size, up to [`MAX_ALIGN`].
pub(crate) const fn natural_align(block_size: usize) -> usize {
    let align = 1 << block_size.trailing_zeros();
    if align > MAX_ALIGN { MAX_ALIGN } else { align }
}

/// How many bytes a chunk of `blocks` needs, wherever it starts, with a head of `head_size`.
pub(crate) const fn chunk_size(
    blocks: usize,
    block_size: usize,
    align: usize,
    head_size: usize,
) -> Option<usize> {
    match blocks.checked_mul(block_size) {
        // Chunks start at a multiple of a granule.
        Some(bytes) => match (head_size + (GRANULE_SIZE - 1)).checked_add(align - 1) {
            Some(before) => bytes.checked_add(before & !(GRANULE_SIZE - 1)),
            None => None,
        },
        None => None,
    }
}

/// How many blocks a chunk should have, so that it is at most `limit` bytes long if it can be.
pub(crate) const fn blocks_per_chunk(
    limit: usize,
    block_size: usize,
    align: usize,
    head_size: usize,
) -> usize {
    let before = match chunk_size(0, block_size, align, head_size) {
        Some(before) => before,
        None => return 1,
    };
    let blocks = limit.saturating_sub(before) / block_size;
    if blocks == 0 { 1 } else { blocks }
}

/// Where the blocks of a chunk lie: the offset of the first, and how many there are.
pub(crate) const fn blocks_in(
    chunk_start: usize,
    chunk_size: usize,
    block_size: usize,
    align: usize,
    head_size: usize,
) -> (usize, usize) {
    let head_end = chunk_start + head_size;
    let first = head_size + (head_end.wrapping_neg() & (align - 1));
    (first, chunk_size.saturating_sub(first) / block_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: usize = 32;

    #[test]
    fn chunks_hold_as_many_blocks_as_they_were_made_for() {
        for size in (1..300).chain([1000, 4096, 65536, 100_000]).map(block_size) {
            for align in [16, natural_align(size), 64, 4096, 1 << 20] {
                let size = size.next_multiple_of(align);
                for blocks in [1, 2, 7, 100] {
                    for start in (0..64).map(|granule| 0x10_0000 + granule * GRANULE_SIZE) {
                        let bytes = chunk_size(blocks, size, align, HEAD).unwrap();
                        let (first, held) = blocks_in(start, bytes, size, align, HEAD);
                        assert!(held >= blocks, "{size} {align} {blocks} {start}: {held}");
                        assert!(first >= HEAD && (start + first) % align == 0);
                        assert!(first + held * size <= bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn chunks_stay_below_their_limit_where_a_block_does() {
        for size in (1..70_000).step_by(37).map(block_size) {
            let align = natural_align(size);
            let blocks = blocks_per_chunk(65536, size, align, HEAD);
            let bytes = chunk_size(blocks, size, align, HEAD).unwrap();
            assert!(bytes <= 65536 || blocks == 1, "{size}");
            assert!(bytes + size > 65536, "{size}");
        }
    }

    #[test]
    fn sizes_beyond_any_chunk_are_refused() {
        assert_eq!(chunk_size(usize::MAX, 16, 16, HEAD), None);
        assert_eq!(chunk_size(usize::MAX / 16, 16, 16, HEAD), None);
        assert_eq!(blocks_per_chunk(65536, isize::MAX as usize & !15, 16, HEAD), 1);
    }
}
