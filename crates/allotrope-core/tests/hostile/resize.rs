//! Blocks that grow and shrink, at the alignment that they have or at another.

use std::alloc::GlobalAlloc;

use allotrope_core::{BestFit, Buffer, DefaultPolicy, Locked, OsPages, Pool, Segregated};

use super::kinds::{ALIGNS, Block, FIXED, Kind, Tiny, each, layout};

/// stalloc 0.7.0: a block that grew in place kept its old alignment, and one that shrank was copied
/// at its old size.
#[test]
fn a_block_that_grew_to_a_stricter_alignment_was_left_where_it_was() {
    each::<Tiny, _>(OsPages::new, |name, memory| every_change(name, &*memory));
    let mut bytes = vec![std::mem::MaybeUninit::<u8>::uninit(); 1 << 20];
    let start = std::ptr::NonNull::from(&mut bytes[..]).cast();
    let mut asked = 0;
    // SAFETY: the bytes are ours for as long as the kinds live, of which all but the last ask for
    // one buffer after the other is gone, and that one asks for both halves.
    let buffer = || unsafe {
        asked += 1;
        Buffer::from_raw_parts(if asked > 9 { start.add(1 << 19) } else { start }, 1 << 19)
    };
    each::<DefaultPolicy, _>(buffer, |name, memory| every_change(name, &*memory));
}

/// Every size and alignment to every other, behind and before blocks of odd sizes.
fn every_change(name: &str, memory: &dyn Kind) {
    const SIZES: [usize; 5] = [1, 24, 63, 100, 3000];
    let all = || SIZES.iter().flat_map(|&size| ALIGNS.map(|align| layout(size, align)));
    let mut changes = 0;
    for (old, new) in all().flat_map(|old| all().map(move |new| (old, new))) {
        // What starts at a multiple of 4096 by accident would not show anything.
        let before = Block::new(memory, layout(changes % 40 + 1, 8), 3);
        let block = Block::new(memory, old, changes as u8);
        let after = Block::new(memory, layout(20, 4), 4);
        if let Some(block) = block {
            let (Ok(block) | Err(block)) = block.resize(memory, new);
            changes += usize::from(block.layout == new);
            [before, after].iter().flatten().for_each(|block| block.check(block.len));
            let (Ok(block) | Err(block)) = block.resize(memory, old);
            block.free(memory);
        }
        [before, after].into_iter().flatten().for_each(|block| block.free(memory));
    }
    memory.check();
    assert_eq!(memory.used(), 0, "{name}");
    // A pool of blocks of one size changes what fits there.
    let (few, most) = (if name == "FixedSize" { 16 } else { 30 }, SIZES.len() * ALIGNS.len());
    assert!(changes >= few * few / 4 && changes <= most * most, "{name}: {changes}");
}

/// mimalloc#603: `realloc` of an aligned block kept its offset from the alignment, or none at all.
#[test]
fn a_realloc_of_an_aligned_block_lost_its_alignment() {
    realloc(&Locked::new(BestFit::new(OsPages::new())));
    realloc(&Locked::new(Segregated::<_, Tiny>::with_policy(OsPages::new())));
    realloc(&Pool::new(OsPages::new()));
}

fn realloc(memory: &impl GlobalAlloc) {
    for align in ALIGNS {
        let mut size = 10;
        // SAFETY: no size is 0, here and below, and each block is live with the layout that it
        // was made or resized for.
        let (odd, mut block) =
            unsafe { (memory.alloc(layout(24, 8)), memory.alloc(layout(size, align))) };
        assert!(!odd.is_null() && !block.is_null());
        // SAFETY: as above.
        unsafe { block.write_bytes(7, size) };
        for new in [11, 64, 200, 5000, 20_000, 300_000, 70_000, 4000, 100, FIXED, 10] {
            // SAFETY: as above.
            block = unsafe { memory.realloc(block, layout(size, align), new) };
            assert!(!block.is_null() && block.addr().is_multiple_of(align), "{align} {new}");
            // SAFETY: as above; ten bytes were written, and are kept.
            let kept = unsafe { (0..10).all(|at| block.add(at).read() == 7) };
            assert!(kept, "{align} {new}");
            size = new;
        }
        // SAFETY: as above.
        unsafe {
            memory.dealloc(block, layout(size, align));
            memory.dealloc(odd, layout(24, 8));
        }
    }
}

/// As above: the same, by a size that the block was never asked for, but was returned with.
#[test]
fn a_block_resized_by_its_returned_length_was_taken_for_another() {
    each::<Tiny, _>(OsPages::new, |name, memory| {
        for size in [1, 17, 33, FIXED - 1] {
            let block = memory.allocate(layout(size, 1)).unwrap();
            let used = memory.used();
            let (returned, exact) = (layout(block.len(), 1), layout(size, 1));
            // SAFETY: the block is live, and the returned size fits it, here and below.
            let block = unsafe { memory.shrink(block.cast(), returned, exact) }.unwrap();
            assert_eq!(memory.used(), used, "{name}: {size}");
            // SAFETY: as above.
            unsafe { memory.deallocate(block.cast(), layout(block.len(), 1)) };
            assert_eq!(memory.used(), 0, "{name}: {size}");
        }
    });
}
