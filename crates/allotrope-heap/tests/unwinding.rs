//! What a user supplies to a heap panics, at each of its calls in turn.
//!
//! Goal, method: as in `allotrope-core/tests/unwinding.rs`.

#[allow(dead_code, reason = "all panics of a heap's end the program")]
#[path = "../../allotrope-core/tests/shaky/mod.rs"]
mod shaky;

use std::alloc::Layout;

use allotrope_core::{DefaultPolicy, Locked, OsPages};
use allotrope_heap::{HeapRc, LocalHeap};
use shaky::{Row, ShakyHook, ends_at_every_panic, over_both, use_allocator};

#[test]
fn regions_with_blocks_in_them_left_a_heap_whose_source_panicked() {
    let rows: &[Row] = over_both! {
        "a heap": |source| {
            let heap = LocalHeap::new(source);
            use_allocator(&heap);
            heap.trim();
        },
        "a heap with a block in it": |source| {
            let heap = LocalHeap::new(source);
            let layout = Layout::new::<[u8; 100_000]>();
            let blocks = [(); 2].map(|()| heap.allocate(layout));
            if let Ok(block) = blocks[1] {
                // SAFETY: just allocated with this layout, and not used.
                unsafe { heap.deallocate(block.cast(), layout) };
            }
            // The region stays, and its free pages are discarded.
            heap.trim();
        },
        "a heap behind a lock": |source| {
            let heap = Locked::new(LocalHeap::new(source));
            use_allocator(&heap);
        },
        "a heap of handles": |source| {
            let heap = HeapRc::new(source).unwrap();
            use_allocator(&heap);
        },
    };
    ends_at_every_panic("regions_with_blocks_in_them_left_a_heap_whose_source_panicked", rows);
}

#[test]
fn a_hook_of_a_heap_that_panics_ends_the_program() {
    let rows: &[Row] = &[("a heap", |fuse| {
        let heap = LocalHeap::<_, DefaultPolicy, _>::with_hook(OsPages::new(), ShakyHook(fuse));
        use_allocator(&heap);
    })];
    ends_at_every_panic("a_hook_of_a_heap_that_panics_ends_the_program", rows);
}
