//! Blocks that are freed and resized by a pointer that reaches no further than their value.
//!
//! Goal and method: as in the file of this name in allotrope-core.

#[path = "../../allotrope-core/tests/leaked/mod.rs"]
mod leaked;

use std::mem::MaybeUninit;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{Buffer, Locked, OsPages, Upstream};
use allotrope_heap::{HeapRc, LocalHeap, Strategy};

fn boxes_and_vectors(heap: impl Allocator + Copy) {
    leaked::boxes::<1>(heap);
    leaked::boxes::<40>(heap);
    leaked::boxes::<700>(heap);
    leaked::boxes::<9000>(heap);
    leaked::boxes::<100_000>(heap);
    leaked::vectors(heap, 3 << 20);
    leaked::boxes::<17>(heap);
}

#[test]
fn heaps_free_by_what_is_left_of_a_leaked_box() {
    let heap = LocalHeap::new(OsPages::new());
    boxes_and_vectors(&heap);
    heap.trim();
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    let heap = Locked::new(LocalHeap::new(Upstream::new(Global)));
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn a_heap_in_a_buffer_frees_by_what_is_left_of_a_leaked_box() {
    for size in [1 << 14, 1 << 16, 1 << 20] {
        let mut bytes = vec![MaybeUninit::uninit(); size];
        let heap = LocalHeap::new(Buffer::new(&mut bytes));
        leaked::boxes::<1>(&heap);
        leaked::boxes::<700>(&heap);
        leaked::vectors(&heap, size / 4);
        leaked::boxes::<40>(&heap);
        assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())), "{size}");
    }
}

#[test]
fn views_and_handles_free_by_what_is_left_of_a_leaked_box() {
    let heap = HeapRc::new(OsPages::new()).unwrap();
    let held = heap.bytes_used();
    boxes_and_vectors(&heap);
    for strategy in [Strategy::Slabs, Strategy::BestFit, Strategy::Extents] {
        let view = heap.with(strategy);
        leaked::boxes::<1>(view);
        leaked::boxes::<5000>(view);
        leaked::vectors(view, 8000);
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (held, Ok(())));
}
