//! The seven classic cases of a small allocator, on best fit in one buffer behind a lock.
//!
//! Goal: what a newcomer tries first works: allocate, free, reuse, merge, and the same from many
//! threads.
//!
//! Method: each case by hand, with the addresses that best fit must give, and the invariants and
//! the one free block at the end.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::thread;

use allotrope_core::{BestFit, Buffer, Locked};

type Heap<'a> = Locked<BestFit<Buffer<'a>>>;

#[test]
fn basic_allocation() {
    with_heap(|heap| {
        let small = allocate(heap, 100, 8);
        let aligned = allocate(heap, 100, 64);
        assert_eq!((small.len(), aligned.len()), (112, 112));
        assert!(aligned.addr().get().is_multiple_of(64));
        assert_eq!(heap.bytes_used(), 224);
        free(heap, small, 100, 8);
        free(heap, aligned, 100, 64);
    });
}

#[test]
fn deallocation_and_reuse() {
    with_heap(|heap| {
        let first = allocate(heap, 48, 8);
        let second = allocate(heap, 48, 8);
        free(heap, first, 48, 8);
        let again = allocate(heap, 48, 8);
        assert_eq!(again, first);
        free(heap, second, 48, 8);
        free(heap, again, 48, 8);
    });
}

#[test]
fn merging_of_free_blocks() {
    with_heap(|heap| {
        // Longer than what may be parked until memory is short.
        const SIZE: usize = 1024;
        let blocks = [SIZE; 3].map(|size| allocate(heap, size, 16));
        let guard = allocate(heap, 16, 16);
        // Below, above, and then between two free blocks.
        free(heap, blocks[0], SIZE, 16);
        free(heap, blocks[2], SIZE, 16);
        free(heap, blocks[1], SIZE, 16);
        let merged = allocate(heap, 3 * SIZE, 16);
        assert_eq!(merged.cast::<u8>(), blocks[0].cast());
        free(heap, merged, 3 * SIZE, 16);
        free(heap, guard, 16, 16);
    });
}

#[test]
fn allocation_after_deallocation() {
    with_heap(|heap| {
        let whole = heap.largest_free_block().max(allocate_whole(heap));
        for round in 1..=100 {
            let blocks: Vec<_> =
                (1..=20).map(|n| (allocate(heap, n * round, 8), n * round)).collect();
            assert_eq!(heap.check_invariants(), Ok(()));
            for (block, size) in blocks {
                free(heap, block, size, 8);
            }
            assert_eq!(heap.largest_free_block(), whole, "round {round}");
        }
    });
}

#[test]
fn many_threads() {
    on_threads(|heap, thread| {
        for size in 1..=200 {
            let block = allocate(heap, size, 8);
            check_fill(block, thread);
            free(heap, block, size, 8);
        }
    });
}

#[test]
fn mixed_allocate_and_free_on_many_threads() {
    on_threads(|heap, thread| {
        let mut held = Vec::new();
        let mut random = u64::from(thread) + 1;
        for _ in 0..ROUNDS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let roll = (random >> 33) as usize;
            if held.len() < 20 && !roll.is_multiple_of(3) {
                let (size, align) = (1 + roll % 2000, 1 << (roll % 8));
                if let Ok(block) = heap.allocate(layout(size, align)) {
                    fill(block, thread);
                    held.push((block, size, align));
                }
            } else if !held.is_empty() {
                let (block, size, align) = held.swap_remove(roll % held.len());
                check_fill_of(block, thread);
                free(heap, block, size, align);
            }
        }
        for (block, size, align) in held {
            check_fill_of(block, thread);
            free(heap, block, size, align);
        }
    });
}

#[test]
fn small_block_stress() {
    on_threads(|heap, thread| {
        for _ in 0..ROUNDS / 100 {
            let blocks = [16; 100].map(|size| {
                let block = allocate(heap, size, 8);
                fill(block, thread);
                block
            });
            for block in blocks {
                check_fill_of(block, thread);
                free(heap, block, 16, 8);
            }
        }
    });
}

const ROUNDS: usize = if cfg!(miri) { 200 } else { 20_000 };
const THREADS: u8 = 4;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[track_caller]
fn allocate(heap: &Heap<'_>, size: usize, align: usize) -> NonNull<[u8]> {
    let block = heap.allocate(layout(size, align)).unwrap();
    assert!(block.len() >= size && block.addr().get().is_multiple_of(align));
    block
}

fn free(heap: &Heap<'_>, block: NonNull<[u8]>, size: usize, align: usize) {
    // SAFETY: the tests free what they allocated with this layout, once.
    unsafe { heap.deallocate(block.cast(), layout(size, align)) };
}

fn allocate_whole(heap: &Heap<'_>) -> usize {
    // The first allocation makes the heap take its buffer.
    let block = allocate(heap, 1, 1);
    free(heap, block, 1, 1);
    heap.largest_free_block()
}

fn fill(block: NonNull<[u8]>, byte: u8) {
    // SAFETY: the block is in use, and its length was returned with it.
    unsafe { block.cast::<u8>().write_bytes(byte, block.len()) };
}

fn check_fill(block: NonNull<[u8]>, byte: u8) {
    fill(block, byte);
    thread::yield_now();
    check_fill_of(block, byte);
}

#[track_caller]
fn check_fill_of(block: NonNull<[u8]>, byte: u8) {
    // SAFETY: `fill` initialized all of the block, which is in use.
    assert!(unsafe { block.as_ref() }.iter().all(|&found| found == byte));
}

/// Runs `work` on a heap, and checks that it is whole afterwards.
fn with_heap(work: impl FnOnce(&Heap<'_>)) {
    let mut bytes = vec![MaybeUninit::uninit(); 256 * 1024];
    let heap = Heap::new(BestFit::new(Buffer::new(&mut bytes)));
    work(&heap);
    assert_eq!(heap.check_invariants(), Ok(()));
    assert_eq!(heap.bytes_used(), 0);
    assert_eq!(heap.bytes_free(), heap.largest_free_block());
}

fn on_threads(work: impl Fn(&Heap<'_>, u8) + Sync) {
    with_heap(|heap| {
        thread::scope(|threads| {
            for thread in 0..THREADS {
                let work = &work;
                threads.spawn(move || work(heap, thread));
            }
        });
    });
}
