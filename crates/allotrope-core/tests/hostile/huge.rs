//! Blocks beyond 16 MiB and 4 GiB, over pages that nobody touches.
//!
//! AddressSanitizer reserves less ahead, and keeps shadow memory for all that is committed.

#![cfg(all(target_pointer_width = "64", not(allotrope_asan)))]

use allotrope_core::{DefaultPolicy, OsPages};

use super::kinds::{Block, each, layout};

/// Sizes with a bit of their own beyond what fits in 24 bits, and in 32.
const SIZES: [usize; 7] = [
    16 << 20,
    (16 << 20) + 16,
    (32 << 20) - 16,
    (256 << 20) + 4096,
    (1 << 32) - 16,
    (1 << 32) + 48,
    5 << 30,
];

/// talc#49: the size of a free block of 16 MiB and more, read as a byte of flags, said that the
/// block was in use; its neighbours were not joined with it, and later overlapped.
#[test]
fn the_size_of_a_huge_free_block_was_taken_for_a_flag() {
    each::<DefaultPolicy, _>(OsPages::new, |name, memory| {
        for size in SIZES {
            // Three neighbours, freed so that the huge one is joined from above and from below.
            for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
                let sizes = [100, size, 1000];
                let blocks = [0, 1, 2].map(|n| Block::new(&*memory, layout(sizes[n], 8), n as u8));
                assert!(name == "FixedSize" || blocks[1].is_some(), "{name}: {size}");
                for block in order.into_iter().filter_map(|n| blocks[n]) {
                    block.free(&*memory);
                    memory.check();
                }
                assert_eq!(memory.used(), 0, "{name}: {size}");
            }
        }
    });
}

/// As above: a length in 32 bits would keep the wrong bytes.
#[test]
fn a_block_of_4_gib_grew_as_one_of_none() {
    each::<DefaultPolicy, _>(OsPages::new, |name, memory| {
        let Some(block) = Block::new(&*memory, layout(20 << 20, 16), 7) else {
            return assert_eq!(name, "FixedSize");
        };
        let block = block.resize(&*memory, layout((1 << 32) + 32, 16)).unwrap();
        let block = block.resize(&*memory, layout(24 << 20, 16)).unwrap();
        let next = Block::new(&*memory, layout(1 << 32, 16), 9).unwrap();
        block.check(block.len);
        next.free(&*memory);
        block.free(&*memory);
        memory.check();
        assert_eq!(memory.used(), 0, "{name}");
    });
}
