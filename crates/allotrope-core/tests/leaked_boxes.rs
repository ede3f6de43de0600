//! Blocks that are freed and resized by a pointer that reaches no further than their value.
//!
//! Goal: a pointer of the user's that an allocator keeps in a list, reaches a neighbour or a head by,
//! or hands to the next user. Natively none of that fails; Miri would say so. What can fail here is
//! what was done to mend it.

mod leaked;

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{
    Affix, AlignTo, BestFit, Buffer, FixedSize, Local, Locked, ObjectPool, OsPages, Pool, PoolBox,
    Segregated, SharedObjectPool, Upstream,
};

fn boxes_and_vectors(heap: impl Allocator + Copy) {
    leaked::boxes::<1>(heap);
    leaked::boxes::<40>(heap);
    leaked::boxes::<700>(heap);
    leaked::boxes::<9000>(heap);
    leaked::vectors(heap, 20_000);
    leaked::boxes::<17>(heap);
}

#[test]
fn best_fit_frees_by_what_is_left_of_a_leaked_box() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    let mut bytes = [const { MaybeUninit::uninit() }; 1 << 14];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    // Further areas, whose heads lie in their own regions.
    let heap = Local::new(BestFit::new(Upstream::new(Global)));
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn segregated_frees_by_what_is_left_of_a_leaked_box() {
    let heap = Local::new(Segregated::new(OsPages::new()));
    boxes_and_vectors(&heap);
    heap.trim();
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    let heap = Locked::new(Segregated::new(Upstream::new(Global)));
    boxes_and_vectors(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn fixed_size_frees_by_what_is_left_of_a_leaked_box() {
    let heap = Local::new(FixedSize::<64, _>::new(OsPages::new()));
    leaked::boxes::<1>(&heap);
    leaked::vectors(&heap, 64);
    leaked::boxes::<64>(&heap);
    heap.trim();
    leaked::boxes::<33>(&heap);
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn pool_frees_by_what_is_left_of_a_leaked_box() {
    let mut pool = Pool::new(OsPages::new());
    boxes_and_vectors(&pool);
    assert_eq!((pool.bytes_used(), pool.check_invariants()), (0, Ok(())));
    pool.trim();
    boxes_and_vectors(&pool);
    let layout = Layout::new::<[u8; 24]>();
    let mut blocks = [const { MaybeUninit::<NonNull<u8>>::uninit() }; 40];
    assert_eq!(pool.allocate_batch(layout, &mut blocks), 40);
    // SAFETY: all of them were just allocated with this layout, and are used by these references only.
    unsafe {
        let blocks = blocks.map(|block| {
            let value: &mut MaybeUninit<u8> = block.assume_init().cast().as_mut();
            NonNull::from(value).cast()
        });
        pool.deallocate_batch(layout, &blocks);
    }
    assert_eq!((pool.bytes_used(), pool.check_invariants()), (0, Ok(())));
}

#[test]
fn allocators_that_nest_free_by_what_is_left_of_a_leaked_box() {
    let outer = Local::new(BestFit::new(OsPages::new()));
    let inner = Local::new(Segregated::new(Upstream::new(&outer)));
    boxes_and_vectors(&inner);
    boxes_and_vectors(&outer);
    let affix = Affix::new(&inner, 7_u64, *b"canary");
    boxes_and_vectors(affix);
    boxes_and_vectors(Affix::new(Global, 1_u8, ()));
    boxes_and_vectors(AlignTo::<64, _>::new(&outer));
    assert_eq!((inner.bytes_used(), inner.check_invariants()), (0, Ok(())));
    drop(inner);
    assert_eq!((outer.bytes_used(), outer.check_invariants()), (0, Ok(())));
}

#[test]
fn affixes_are_found_by_a_pointer_to_a_value() {
    let memory = Affix::new(Global, 5_u32, 9_u16);
    let layout = Layout::new::<u64>();
    let block = memory.allocate(layout).unwrap().cast::<u64>();
    // SAFETY: the block is new, and has this layout; it is freed once.
    unsafe {
        block.write(1);
        let value = NonNull::from({ block }.as_mut()).cast();
        assert_eq!((memory.prefix(value).read(), memory.suffix(value, layout).read()), (5, 9));
        memory.deallocate(value, layout);
    }
}

/// A value that counts its drops, of one byte and of an alignment beyond a page.
#[derive(Debug)]
struct Small(u8);

#[derive(Debug)]
#[repr(align(8192))]
struct Aligned([u8; 3]);

#[test]
fn object_pools_take_values_back_by_a_reference() {
    let (own, shared) = (ObjectPool::new(OsPages::new()), SharedObjectPool::new(OsPages::new()));
    for round in 0..40 {
        let raw = [
            PoolBox::into_raw(own.insert(Small(round))),
            PoolBox::into_raw(own.insert(Small(round))),
        ];
        // SAFETY: the value is there, and this is its only reference until it is a box again.
        let values = raw.map(|mut raw| NonNull::from(unsafe { raw.as_mut() }));
        // SAFETY: from a box of this pool, once.
        assert_eq!(unsafe { own.from_raw(values[0]) }.0, round);
        let raw = PoolBox::into_raw(shared.insert(Small(round)));
        // SAFETY: as above.
        let value = NonNull::from(unsafe { { raw }.as_mut() });
        // SAFETY: as above.
        assert_eq!(unsafe { shared.from_raw(value) }.into_inner().0, round);
    }
    assert_eq!((own.len(), shared.len()), (40, 0));
}

#[test]
fn values_of_any_alignment_are_taken_back_by_a_reference() {
    let pool = SharedObjectPool::new(OsPages::new());
    let local = ObjectPool::new(OsPages::new());
    for _ in 0..3 {
        let raw = PoolBox::into_raw(pool.insert(Aligned([1, 2, 3])));
        // SAFETY: the value is there, and this is its only reference until it is a box again.
        let value = ptr::from_mut(unsafe { { raw }.as_mut() });
        // SAFETY: from a box of this pool, once.
        let boxed = unsafe { pool.from_raw(NonNull::new(value).unwrap()) };
        assert!(boxed.0 == [1, 2, 3] && value.addr().is_multiple_of(8192));
        assert_eq!(local.insert(Aligned([4, 5, 6])).into_inner().0, [4, 5, 6]);
    }
    assert!(pool.is_empty() && local.is_empty());
}
