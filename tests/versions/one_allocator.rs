//! One allocator serves every version at once.
//!
//! Goal: a version whose calls go elsewhere than another's, blocks that two containers have, what
//! is not given back.
//!
//! Method: containers of all versions live in the same value, step by step, and are checked while
//! they go one by one; then nothing may be in use.

use std::mem::MaybeUninit;
use std::thread;

use allotrope_core::compat::{From02, From03, From04};
use allotrope_core::{
    AlignTo, BestFit, Buffer, BySize, Fallback, FixedSize, Limit, Local, Locked, OsPages, Pool,
    Segregated, Upstream,
};
use allotrope_versions::lodge;
use bumpalo::Bump;

#[test]
fn best_fit_of_one_thread() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    lodge(&heap);
    assert_eq!(heap.bytes_used(), 0);
    heap.check_invariants().unwrap();
}

#[test]
fn size_classes_of_one_thread() {
    let heap = Local::new(Segregated::new(OsPages::new()));
    lodge(&heap);
    assert_eq!(heap.bytes_used(), 0);
    heap.check_invariants().unwrap();
}

#[test]
fn references_to_references() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    lodge(&&heap);
    assert_eq!(heap.bytes_used(), 0);
}

#[test]
fn best_fit_of_many_threads() {
    let heap = Locked::new(BestFit::new(OsPages::new()));
    in_threads(|| lodge(&heap));
    assert_eq!(heap.bytes_used(), 0);
    heap.check_invariants().unwrap();
}

#[test]
fn a_pool_of_many_threads() {
    let mut pool = Pool::new(OsPages::new());
    in_threads(|| lodge(&pool));
    assert_eq!(pool.bytes_used(), 0);
    pool.trim();
    assert_eq!(pool.bytes_held(), 0);
}

#[test]
fn a_composition() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 * 1024];
    let (nodes, rest) = bytes.split_at_mut(16 * 1024);
    let small = Local::new(FixedSize::<64, _>::new(Buffer::new(nodes)));
    let large = AlignTo::<64, _>::new(Local::new(BestFit::new(Buffer::new(rest))));
    let heap = Local::new(BestFit::new(OsPages::new()));
    let memory =
        Limit::new(Fallback::new(BySize::<64, _, _>::new(small, large), &heap), 64 * 1024 * 1024);
    lodge(&memory);
    assert_eq!(memory.used(), 0);
    assert_eq!(heap.bytes_used(), 0);
    let buffers = memory.allocator();
    assert_eq!(buffers.with_first(|parts| parts.small().bytes_used()), 0);
    assert_eq!(buffers.with_first(|parts| parts.large().allocator().bytes_used()), 0);
}

#[test]
fn foreign_allocators_in_their_wrappers() {
    let bump = Bump::new();
    lodge(&From02::new(&bump));
    assert!(bump.allocated_bytes() > 0);
    lodge(&From03::new(allocator_api2_03::alloc::Global));
    lodge(&From04::new(allocator_api2_04::alloc::System));
}

#[test]
fn heaps_over_foreign_allocators() {
    let over_03 = Upstream::new(From03::new(allocator_api2_03::alloc::System));
    let over_04 = Upstream::new(From04::new(allocator_api2_04::alloc::Global));
    let heap = Local::new(BestFit::new(over_03));
    let pool = Pool::new(over_04);
    lodge(&heap);
    lodge(&pool);
    assert_eq!((heap.bytes_used(), pool.bytes_used()), (0, 0));
}

fn in_threads(work: impl Fn() + Sync) {
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(&work);
        }
    });
}
