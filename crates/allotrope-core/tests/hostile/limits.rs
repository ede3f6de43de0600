//! Sizes around every limit: of classes, chunks, pages, growth.

use allocator_api2::alloc::Global;
use allotrope_core::{DefaultPolicy, OsPages, Upstream};

use super::kinds::{Block, Kind, Tiny, each, layout};

/// Every power of two and what lies between, up to beyond `DefaultPolicy`'s growth; the contract
/// suites have those below.
const LARGE: [usize; 8] =
    [16 << 10, 32 << 10, 64 << 10, 128 << 10, 192 << 10, 512 << 10, 1 << 20, 2 << 20];

/// The limits of [`Tiny`]: classes, chunks less their heads, chunks, regions.
const SMALL: [usize; 11] = [16, 64, 128, 192, 256, 320, 1024, 2048, 3072, 4096, 8192];

/// oxidizer#756: a size just below the end of a page or chunk got memory that ended before it.
/// talc#47: memory was grown by the size asked for, without room for the bookkeeping.
#[test]
fn a_block_near_the_size_of_a_chunk_reached_beyond_it() {
    each::<DefaultPolicy, _>(OsPages::new, |name, memory| around(&LARGE, 3, name, &*memory));
    each::<Tiny, _>(OsPages::new, |name, memory| around(&SMALL, 1, name, &*memory));
    each::<Tiny, _>(|| Upstream::new(Global), |name, memory| around(&SMALL, 1, name, &*memory));
}

/// Three blocks at once of each size from 64 below to 64 above each of `limits`.
fn around(limits: &[usize], step: usize, name: &str, memory: &dyn Kind) {
    for &limit in limits {
        for size in (limit.saturating_sub(64).max(1)..=limit + 64).step_by(step) {
            let align = if size % 5 == 0 { 64 } else { 1 };
            let blocks = [1, 2, 3].map(|seed| Block::new(memory, layout(size, align), seed));
            // A pool of blocks of one size refuses others; pages are never short.
            let refuses = matches!(name, "FixedSize" if size > 64) || name == "Pool";
            assert!(refuses || blocks.iter().all(Option::is_some), "{name}: {size}");
            blocks.iter().flatten().for_each(|block| block.check(block.len));
            blocks.into_iter().flatten().for_each(|block| block.free(memory));
        }
        memory.check();
        assert_eq!(memory.used(), 0, "{name}: {limit}");
    }
}
