//! What a heap holds under a limit, and what it gives back before it refuses.
//!
//! Goal: memory that is held and not counted; requests that are refused although what is in use leaves
//! room for them; a refusal that changes a block in use.

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::boxed::Box as HeapBox;
use allotrope_core::{AllocError, Buffer, ClassicPolicy, OsPages, Source, Upstream};
use allotrope_heap::LocalHeap;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A heap with 32 MB of pages of which one block is left, and all other memory was given back.
fn trimmed_heap() -> LocalHeap<OsPages> {
    let heap = LocalHeap::new(OsPages::new());
    let blocks: Vec<_> = (0..64).map(|_| heap.allocate(layout(500_000)).unwrap()).collect();
    let most = heap.bytes_held();
    for block in &blocks[1..] {
        // SAFETY: allocated above with this layout.
        unsafe { heap.deallocate(block.cast(), layout(500_000)) };
    }
    heap.trim();
    // Elsewhere the system keeps what is behind pages.
    let is_discarded = cfg!(any(target_os = "linux", target_vendor = "apple"));
    assert!(!is_discarded || heap.bytes_held() < most / 10, "{}", heap.bytes_held());
    heap
}

#[test]
fn pages_that_were_given_back_were_taken_again_beyond_the_limit() {
    for size in [100, 8000, 500_000] {
        let heap = trimmed_heap();
        let limit = heap.bytes_held() + (1 << 20);
        heap.set_limit(Some(limit));
        let limit = limit.next_multiple_of(4096);
        let served = (0..32 << 20).step_by(size).map_while(|_| heap.allocate(layout(size)).ok());
        let bytes: usize = served.map(|block| block.len()).sum();
        assert!(heap.bytes_held() <= limit, "{size}: {} of {limit}", heap.bytes_held());
        assert!(bytes > 400_000, "{size}: {bytes}");
        heap.check_invariants().unwrap();
    }
}

#[test]
fn pages_that_were_given_back_counted_against_a_large_block() {
    let heap = trimmed_heap();
    heap.set_limit(Some(heap.bytes_held() + (3 << 20)));
    assert!(heap.allocate(layout(2 << 20)).is_ok());
}

// Elsewhere pages keep their memory, or regions are too short.
#[cfg(all(any(target_os = "linux", target_vendor = "apple"), target_pointer_width = "64"))]
#[test]
fn growing_in_place_over_pages_that_were_given_back_keeps_the_limit() {
    let heap = trimmed_heap();
    let block = heap.allocate(layout(100_000)).unwrap().cast();
    let limit = (heap.bytes_held() + 200_000).next_multiple_of(4096);
    heap.set_limit(Some(limit));
    // SAFETY: the block is in use with the old layout in each call, for a call that fails
    // changes nothing.
    unsafe {
        assert!(heap.grow(block, layout(100_000), layout(1 << 20)).is_err());
        let grown = heap.grow(block, layout(100_000), layout(250_000)).unwrap();
        assert_eq!(grown.cast(), block);
        assert!(heap.bytes_held() <= limit, "{} of {limit}", heap.bytes_held());
        heap.check_invariants().unwrap();
        heap.deallocate(block, layout(250_000));
    }
}

/// Blocks of `size` until there is no more room, of which the first and last bytes are written.
fn fill<S: Source>(heap: &LocalHeap<S>, size: usize) -> Vec<NonNull<u8>> {
    let next = || Some(heap.allocate(layout(size)).ok()?.cast::<u8>());
    std::iter::from_fn(next)
        .inspect(|block| {
            // SAFETY: the block is new, and so long.
            unsafe {
                block.write(7);
                block.add(size - 1).write(7);
            }
        })
        .collect()
}

fn free<S: Source>(
    heap: &LocalHeap<S>,
    blocks: impl IntoIterator<Item = NonNull<u8>>,
    size: usize,
) {
    for block in blocks {
        // SAFETY: `fill` allocated it with this layout, and it is freed once.
        unsafe { heap.deallocate(block, layout(size)) };
    }
}

/// Sizes of all kinds, each at most half of what the limit allows.
const SIZES: [usize; 7] = [16, 1000, 8192, 9000, 300_000, 2 << 20, 4 << 20];

#[test]
fn memory_that_was_freed_kept_other_sizes_out_of_the_limit() {
    for first in SIZES {
        for then in SIZES {
            let heap = LocalHeap::new(OsPages::new());
            heap.set_limit(Some(8 << 20));
            let blocks = fill(&heap, first);
            assert!(blocks.len() * first > 7 << 19, "{first}");
            free(&heap, blocks, first);
            assert!(heap.allocate(layout(then)).is_ok(), "{first}, then {then}");
            let blocks = fill(&heap, then);
            assert!((blocks.len() + 1) * then > 7 << 19, "{first}, then {then}: {}", blocks.len());
            assert!(heap.bytes_held() <= 8 << 20);
            heap.check_invariants().unwrap();
        }
    }
}

#[test]
fn a_refusal_changes_no_block_in_use() {
    for size in SIZES {
        let heap = LocalHeap::new(OsPages::new());
        heap.set_limit(Some(8 << 20));
        let mut blocks = fill(&heap, size);
        let kept = blocks.split_off(blocks.len() / 2);
        free(&heap, blocks, size);
        let (used, held) = (heap.bytes_used(), heap.bytes_held());
        assert_eq!(heap.allocate(layout(9 << 20)), Err(AllocError));
        assert!(heap.bytes_held() <= held, "{size}");
        assert_eq!((heap.bytes_used(), heap.check_invariants()), (used, Ok(())));
        for block in &kept {
            // SAFETY: `fill` wrote both bytes.
            unsafe { assert_eq!((block.read(), block.add(size - 1).read()), (7, 7)) };
        }
        free(&heap, kept, size);
    }
}

#[test]
fn a_large_block_did_not_grow_into_the_room_of_freed_blocks() {
    let heap = LocalHeap::new(OsPages::new());
    heap.set_limit(Some(8 << 20));
    let block = heap.allocate(layout(4 << 20)).unwrap().cast::<u8>();
    let others = fill(&heap, 1000);
    free(&heap, others, 1000);
    // SAFETY: the block is in use with the layout that is named.
    unsafe {
        block.write(7);
        // More than half: it cannot be in two places at once.
        let grown = heap.grow(block, layout(4 << 20), layout(7 << 20)).unwrap().cast::<u8>();
        assert_eq!(grown.read(), 7);
        heap.deallocate(grown, layout(7 << 20));
    }
    heap.check_invariants().unwrap();
}

// Elsewhere pages keep their memory, or regions are too short.
#[cfg(all(any(target_os = "linux", target_vendor = "apple"), target_pointer_width = "64"))]
#[test]
fn pages_did_not_grow_into_the_room_of_freed_pages() {
    let heap = LocalHeap::new(OsPages::new());
    let [before, block, behind] =
        [700_000, 300_000, 900_000].map(|size| heap.allocate(layout(size)).unwrap().cast::<u8>());
    // SAFETY: the blocks are in use with the layouts that are named, each freed once.
    unsafe {
        heap.deallocate(behind, layout(900_000));
        heap.trim();
        heap.deallocate(before, layout(700_000));
        heap.set_limit(Some(heap.bytes_held() + 100_000));
        // There is room for the part that is added, once what is free was given back; not for all.
        let grown = heap.grow(block, layout(300_000), layout(850_000)).unwrap();
        assert_eq!(grown.cast(), block);
        assert!(heap.bytes_held() <= heap.limit().unwrap());
        heap.deallocate(block, layout(850_000));
    }
    heap.check_invariants().unwrap();
}

#[test]
fn a_limit_of_a_few_bytes_refused_everything() {
    for limit in [1, 512, 4096, 10_000, 60_000] {
        let heap = LocalHeap::new(OsPages::new());
        heap.set_limit(Some(limit));
        let pages = limit.next_multiple_of(4096);
        assert_eq!(heap.limit(), Some(pages));
        let values: Vec<_> = (0..12_u64).map(|n| HeapBox::new_in([n; 4], &heap)).collect();
        assert!(values.iter().enumerate().all(|(n, value)| **value == [n as u64; 4]), "{limit}");
        let more = fill(&heap, 100);
        assert!(more.len() * 112 > pages / 2, "{limit}: {}", more.len());
        assert!(heap.bytes_held() <= pages, "{limit}: {}", heap.bytes_held());
        heap.check_invariants().unwrap();
        drop(values);
        free(&heap, more, 100);
        assert!(heap.allocate(layout(pages / 2)).is_ok(), "{limit}: a block of pages");
        heap.set_limit(None);
        assert!(heap.allocate(layout(500_000)).is_ok());
        heap.check_invariants().unwrap();
    }
    let heap = LocalHeap::new(OsPages::new());
    heap.set_limit(Some(0));
    assert_eq!(heap.allocate(layout(1)), Err(AllocError));
    assert_eq!(heap.bytes_held(), 0);
}

#[test]
fn a_buffer_serves_what_the_limit_allows() {
    let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
    for size in [1000, 16 << 10, 64 << 10, 1 << 20] {
        for limit in [512, 5000, 40_000, 100_000] {
            let heap = LocalHeap::new(Buffer::new(&mut bytes[..size]));
            heap.set_limit(Some(limit));
            let (blocks, pages) = (fill(&heap, 32), limit.next_multiple_of(4096));
            let room = size.min(pages);
            assert!(blocks.len() * 32 > room / 3, "{limit} in {size}: {}", blocks.len());
            assert!(heap.bytes_held() <= pages, "{limit} in {size}: {}", heap.bytes_held());
            heap.check_invariants().unwrap();
            free(&heap, blocks, 32);
        }
    }
}

/// `Global`, that lends no more than some bytes at a time.
struct Scarce {
    left: Cell<usize>,
}

// SAFETY: every call is one of `Global`'s, or a refusal.
unsafe impl Allocator for Scarce {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        let left = self.left.get().checked_sub(layout.size());
        self.left.set(left.ok_or(allocator_api2::alloc::AllocError)?);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.left.set(self.left.get() + layout.size());
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

#[test]
fn a_source_that_was_exhausted_had_its_free_memory_kept_from_it() {
    for first in SIZES {
        for then in SIZES {
            let scarce = Scarce { left: Cell::new(10 << 20) };
            let heap = LocalHeap::<_, ClassicPolicy>::with_policy(Upstream::new(&scarce));
            let next = || Some(heap.allocate(layout(first)).ok()?.cast::<u8>());
            let blocks: Vec<_> = std::iter::from_fn(next).collect();
            for block in blocks {
                // SAFETY: allocated just now.
                unsafe { heap.deallocate(block, layout(first)) };
            }
            assert!(heap.allocate(layout(then)).is_ok(), "{first}, then {then}");
            heap.check_invariants().unwrap();
        }
    }
}

/// xorshift (Marsaglia 2003).
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

#[test]
fn whatever_comes_the_limit_is_not_passed_and_all_is_counted() {
    let steps = if cfg!(debug_assertions) { 1500 } else { 20_000 };
    for seed in 1..=6 {
        let (heap, mut state) = (LocalHeap::new(OsPages::new()), seed);
        let mut blocks: Vec<(NonNull<u8>, Layout)> = Vec::new();
        for step in 0..steps {
            if step % 300 == 0 {
                let limit = random(&mut state) % (6 << 20);
                heap.set_limit(Some(limit >> (random(&mut state) % 10)));
            }
            // What is held already may stay.
            let most = heap.limit().unwrap().max(heap.bytes_held());
            let sizes = [100, 5000, 40_000, 700_000, 3 << 20];
            let new = layout(1 + random(&mut state) % sizes[random(&mut state) % 5]);
            let place = random(&mut state) % 100;
            match (blocks.get(place).copied(), random(&mut state) % 8) {
                (None, _) | (_, 0) => {
                    blocks.extend(heap.allocate(new).map(|block| (block.cast(), new)));
                }
                (Some((block, old)), 1 | 2) if new.size() >= old.size() => {
                    // SAFETY: the blocks are in use with these layouts.
                    if let Ok(grown) = unsafe { heap.grow(block, old, new) } {
                        blocks[place] = (grown.cast(), new);
                    }
                }
                (Some((block, old)), 1 | 2) => {
                    // SAFETY: as above.
                    if let Ok(shrunk) = unsafe { heap.shrink(block, old, new) } {
                        blocks[place] = (shrunk.cast(), new);
                    }
                }
                (Some((block, old)), _) => {
                    blocks.swap_remove(place);
                    // SAFETY: as above.
                    unsafe { heap.deallocate(block, old) };
                }
            }
            assert!(heap.bytes_held() <= most, "{seed}, {step}: {} of {most}", heap.bytes_held());
            heap.check_invariants().unwrap();
        }
        for (block, layout) in blocks {
            // SAFETY: as above.
            unsafe { heap.deallocate(block, layout) };
        }
        heap.trim();
        assert_eq!(heap.bytes_held(), 0);
    }
}
