//! A WebAssembly module whose memory is allotrope's, and checks that it is used well.
//!
//! ```text
//! cargo build -p allotrope-wasm --target wasm32-unknown-unknown
//! node examples/wasm/run.mjs target/wasm32-unknown-unknown/debug/allotrope_wasm.wasm
//! ```
//!
//! Nothing takes pages back from a module: what is released must be lent again.
#![cfg(target_arch = "wasm32")]

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::collections::BTreeMap;

use allotrope::containers::Vec as VecIn;
use allotrope::{BestFit, Contents, Local, Locked, Movement, OsPages, Segregated, Source};

#[global_allocator]
static HEAP: Locked<BestFit<OsPages>> = Locked::new(BestFit::new(OsPages::new()));

/// The standard library's containers live in the global allocator.
#[unsafe(no_mangle)]
pub extern "C" fn containers_live_in_the_global_allocator() {
    let before = HEAP.bytes_used();
    let words: BTreeMap<u32, String> =
        (0..2000).map(|n| (n * 7919 % 2003, format!("word {n}"))).collect();
    assert_eq!((words.len(), words[&(7919 % 2003)].as_str()), (2000, "word 1"));
    assert!(HEAP.bytes_used() > before);
    drop(words);
    assert_eq!((HEAP.bytes_used(), HEAP.check_invariants()), (before, Ok(())));
}

/// What was released is lent again: memory stops growing after some rounds.
#[unsafe(no_mangle)]
pub extern "C" fn released_regions_are_lent_again() {
    let heap = Local::new(Segregated::new(OsPages::new()));
    let mut before = 0;
    for round in 0..50 {
        if round == 5 {
            before = memory_size::<0>();
        }
        let (mut all, mut thirds) = (VecIn::new_in(&heap), VecIn::new_in(&heap));
        for n in 0..300_000_u32 {
            all.push(n);
            if n % 3 == 0 {
                thirds.push(u64::from(n));
            }
        }
        assert!(all.iter().copied().eq(0..300_000));
        assert!(thirds.iter().copied().eq((0..300_000).step_by(3)));
        assert_eq!(heap.check_invariants(), Ok(()));
    }
    assert_eq!(memory_size::<0>(), before);
}

/// Zeroed blocks are zero, whether or not their memory was used before, and so is what they grow by.
#[unsafe(no_mangle)]
pub extern "C" fn zeroed_blocks_are_zero() {
    let heap = Local::new(Segregated::new(OsPages::new()));
    for size in (1..40).map(|n| n * 37_000) {
        let (old, new) = (layout(size), layout(size + 200_000));
        let block = heap.allocate_zeroed(old).unwrap();
        // SAFETY: the block is ours, as long as it says, and zeroed.
        let bytes = unsafe { &mut *block.as_ptr() };
        assert!(bytes.iter().all(|byte| *byte == 0));
        bytes.fill(0xAB);
        // SAFETY: allocated above with this layout.
        let block = unsafe { heap.grow_zeroed(block.cast(), old, new) }.unwrap();
        // SAFETY: as above.
        let bytes = unsafe { &mut *block.as_ptr() };
        assert!(bytes[..size].iter().all(|byte| *byte == 0xAB));
        assert!(bytes[size..].iter().all(|byte| *byte == 0));
        bytes.fill(0xCD);
        // SAFETY: as above.
        unsafe { heap.deallocate(block.cast(), new) };
    }
    assert_eq!(heap.check_invariants(), Ok(()));
}

/// Others may grow memory, too: a region grows in place only where it ends at the end of memory.
#[unsafe(no_mangle)]
pub extern "C" fn others_may_grow_memory() {
    const MIB: usize = 1 << 20;
    let source = OsPages::new();
    let region = source.reserve(64 * MIB, 64 * MIB).unwrap();
    let start = region.start();
    // SAFETY: the region is ours, and nobody uses it; this holds for all that follows.
    let region = unsafe { source.grow_region(region, 65 * MIB, Movement::Never) }.unwrap();
    assert_eq!((region.start(), region.size()), (start, 65 * MIB));

    let pages = memory_grow::<0>(1);
    assert_ne!(pages, usize::MAX);
    // SAFETY: as above.
    let region = unsafe { source.grow_region(region, 66 * MIB, Movement::Never) }.unwrap_err();
    // SAFETY: as above.
    unsafe { source.release(region) };

    let again = source.reserve(60 * MIB, 60 * MIB).unwrap();
    assert_eq!((memory_size::<0>(), again.contents()), (pages + 1, Contents::Unknown));
    // SAFETY: as above.
    let again = unsafe { source.grow_region(again, 62 * MIB, Movement::Never) }.unwrap();
    assert_eq!(memory_size::<0>(), pages + 1);
    // SAFETY: as above.
    unsafe { source.release(again) };
    assert!(source.reserve(isize::MAX as usize, usize::MAX).is_err());
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 64).unwrap()
}
