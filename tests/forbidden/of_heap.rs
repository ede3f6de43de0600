//! `allotrope-heap`, from code that is not `unsafe`.

#![forbid(unsafe_code)]

mod lodgers;

use std::alloc::Layout;
use std::mem::MaybeUninit;

use allotrope_core::{Buffer, ClassicPolicy, Locked, NoHook, OsPages};
use allotrope_heap::{
    Block, ClassStats, Explanation, HeapRc, HeapStats, LocalHeap, LockedHeap, Route, Strategy,
    View, route,
};
use lodgers::lodge;

#[test]
fn a_heap_and_its_views() {
    let mut heap = LocalHeap::<_, ClassicPolicy>::with_policy(OsPages::new());
    lodge(&heap);
    let layout = Layout::new::<[u64; 20]>();
    assert!(heap.allocate(layout).is_ok() && heap.allocate_zeroed(layout).is_ok());
    let mut blocks = [MaybeUninit::uninit(); 8];
    assert_eq!(heap.allocate_batch(layout, &mut blocks), 8);
    assert!(heap.bytes_used() > 0 && heap.bytes_free() > 0 && heap.bytes_held() > 0);
    assert!(heap.largest_free_block() > 0 && heap.check_invariants().is_ok());
    assert_eq!(heap.copy_blocks(&mut [Block::NONE; 20]), 10);
    let explanation: Explanation = heap.explain(layout);
    assert_eq!(
        (explanation.route, route(layout)),
        (Route::Small { block_size: 160 }, explanation.route)
    );
    let stats: HeapStats = heap.stats();
    let classes = stats.classes().map(|class: &ClassStats| class.used * class.block_size);
    assert_eq!(stats.used(), classes.sum::<usize>());
    for strategy in [Strategy::Slabs, Strategy::BestFit, Strategy::Extents] {
        let view: View<'_, _, _, _> = heap.with(strategy);
        lodge(&view);
        assert!(view.allocate_zeroed(layout).is_ok() && view.strategy() == strategy);
        assert!(view.heap().bytes_used() > 0);
    }
    lodge(&heap.for_type::<u64>());
    heap.set_limit(Some(heap.bytes_held()));
    assert_eq!(heap.limit(), Some(heap.bytes_held()));
    heap.trim();
    heap.reset();
    assert_eq!(heap.bytes_used(), 0);
    lodge(&LocalHeap::<_, ClassicPolicy, _>::with_hook(OsPages::new(), NoHook));
    let mut bytes = [MaybeUninit::uninit(); 20_000];
    lodge(&LocalHeap::new(Buffer::new(&mut bytes)));
}

#[test]
fn handles_and_locks() {
    let heap = HeapRc::new(OsPages::new()).unwrap();
    let other = heap.clone();
    lodge(&heap);
    assert!(other.allocate(Layout::new::<u8>()).is_ok() && heap.handles() == 2);
    drop(heap);
    lodge(&other);
    assert!(other.allocate_zeroed(Layout::new::<u8>()).is_ok());
    let moved = HeapRc::from_heap(LocalHeap::new(OsPages::new())).unwrap();
    lodge(&moved);
    let locked = Locked::new(LocalHeap::new(OsPages::new()));
    lodge(&locked);
    LockedHeap::set_limit(&locked, None);
    assert_eq!((LockedHeap::limit(&locked), LockedHeap::stats(&locked).used()), (None, 0));
    assert_eq!(LockedHeap::copy_blocks(&locked, &mut []), 0);
}
