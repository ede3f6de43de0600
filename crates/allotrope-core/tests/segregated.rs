//! What size classes promise beyond the contract: alignment, bounded memory, batches, and room for
//! other classes in what one has left.

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{
    AllocError, Buffer, ClassicPolicy, Local, Locked, OsPages, Policy, Segregated, Strategy,
    Upstream,
};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// `Global`, that counts how many bytes are out.
#[derive(Default)]
struct Counting(Cell<usize>);

// SAFETY: the blocks are `Global`'s.
unsafe impl Allocator for &Counting {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        self.0.set(self.0.get() + layout.size());
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.set(self.0.get() - layout.size());
        // SAFETY: `allocate` got the block there.
        unsafe { Global.deallocate(start, layout) };
    }
}

/// A strategy, and the blocks that it has given out, all of one layout at a time.
struct Held<S: Strategy>(S, Vec<(NonNull<u8>, Layout)>);

impl<S: Strategy> Held<S> {
    fn fill(&mut self, layout: Layout, count: usize) {
        for _ in 0..count {
            let block = self.0.allocate(layout).unwrap();
            self.1.push((block.cast(), layout));
        }
    }

    fn empty(&mut self) {
        for (block, layout) in self.1.drain(..) {
            // SAFETY: allocated with this layout, and freed once.
            unsafe { self.0.deallocate(block, layout) };
        }
        assert_eq!((self.0.bytes_used(), self.0.check_invariants()), (0, Ok(())));
    }
}

#[test]
fn blocks_are_aligned_to_what_divides_their_size() {
    let mut heap = Segregated::new(OsPages::new());
    for size in (1..=8192).step_by(if cfg!(miri) { 997 } else { 13 }) {
        for _ in 0..3 {
            let block = heap.allocate(layout(size, 1)).unwrap();
            let natural = 1 << block.len().trailing_zeros();
            assert!(block.addr().get().is_multiple_of(natural), "{size}");
            assert!(block.len() - size < (size / 4).max(16), "{size}");
        }
    }
    for shift in 0..=16 {
        for size in [1, 100, 1000, 5000, 8192, 10_000] {
            let block = heap.allocate(layout(size, 1 << shift)).unwrap();
            assert!(block.addr().get().is_multiple_of(1 << shift), "{size} {shift}");
            assert_eq!(Some(block.len()), Segregated::<OsPages>::extent(layout(size, 1 << shift)));
        }
    }
    assert_eq!(heap.check_invariants(), Ok(()));
}

#[test]
fn phases_of_different_sizes_share_the_same_memory() {
    let counting = Counting::default();
    let mut held = Held(Segregated::new(Upstream::new(&counting)), Vec::new());
    let (bytes, mut most) = (if cfg!(miri) { 1 << 17 } else { 16 << 20 }, 0);
    for size in [32, 48, 100, 500, 1000, 3000, 8000, 64, 16] {
        held.fill(layout(size, 8), bytes / size);
        most = most.max(held.0.bytes_used());
        assert!(held.0.bytes_held() < most * 3 / 2 + (6 << 20), "{size}");
        held.empty();
    }
    held.0.trim();
    assert_eq!((held.0.bytes_held(), counting.0.get()), (0, 0));
}

#[test]
fn a_buffer_that_one_class_had_filled_serves_another() {
    let mut bytes = vec![MaybeUninit::uninit(); 256 * 1024];
    let mut held = Held(Segregated::new(Buffer::new(&mut bytes)), Vec::new());
    for size in [16, 1000, 200, 48, 3000, 16] {
        while let Ok(block) = held.0.allocate(layout(size, 8)) {
            held.1.push((block.cast(), layout(size, 8)));
        }
        assert!(held.0.bytes_used() > 100 * 1024, "{size}: {}", held.0.bytes_used());
        assert_eq!(held.0.bytes_free(), 0, "{size}");
        held.empty();
    }
}

#[test]
fn the_short_last_chunk_hid_all_other_free_ones() {
    // Too small a rest for blocks of 512, that smaller ones can use.
    let mut bytes = vec![MaybeUninit::uninit(); 70_552];
    let mut held = Held(Segregated::new(Buffer::new(&mut bytes)), Vec::new());
    // With this one, the only region is in use.
    held.0.allocate(layout(16, 8)).unwrap();
    let mut rounds = Vec::new();
    for size in [16, 500, 200, 16, 500, 100, 200, 64, 500] {
        while let Ok(block) = held.0.allocate(layout(size, 8)) {
            held.1.push((block.cast(), layout(size, 8)));
        }
        if size == 500 {
            rounds.push(held.1.len());
        }
        for (block, layout) in held.1.drain(..) {
            // SAFETY: allocated with this layout, and freed once.
            unsafe { held.0.deallocate(block, layout) };
        }
    }
    assert!(rounds[0] > 100 && rounds == [rounds[0]; 3], "{rounds:?}");
}

#[test]
fn small_buffers_serve_several_classes() {
    for size in [2048, 4096, 16 * 1024, 64 * 1024] {
        let mut bytes = vec![MaybeUninit::uninit(); size];
        let mut heap = Segregated::new(Buffer::new(&mut bytes));
        let served = (1..=16).filter(|n| heap.allocate(layout(n * 16, 8)).is_ok()).count();
        assert!(served >= if size < 4096 { 3 } else { 6 }, "{size}: {served}");
    }
}

#[test]
fn buffers_of_every_small_size_serve_blocks_or_fail() {
    let mut bytes = vec![MaybeUninit::uninit(); 4096 + 16];
    for size in (0..=4096).step_by(if cfg!(miri) { 111 } else { 1 }) {
        let mut heap = Segregated::new(Buffer::new(&mut bytes[size % 16..][..size]));
        let mut used = 0;
        for request in [1, 16, 100, 1000, 5000, 10_000] {
            if let Ok(block) = heap.allocate(layout(request, 8)) {
                // SAFETY: the block is new, and so long.
                unsafe { block.cast::<u8>().write_bytes(0xAA, block.len()) };
                used += block.len();
            }
        }
        assert!(used <= size && (used > 0 || size < 200), "{size}: {used}");
        assert_eq!((heap.bytes_used(), heap.check_invariants()), (used, Ok(())), "{size}");
    }
}

#[test]
fn batches_are_what_single_calls_would_be() {
    let (batch, single) =
        (Local::new(Segregated::new(OsPages::new())), Local::new(Segregated::new(OsPages::new())));
    for size in [0, 1, 24, 100, 8192, 20_000] {
        let layout = layout(size, 8);
        for count in [0, 1, 7, 300] {
            let mut blocks = vec![MaybeUninit::uninit(); count];
            assert_eq!(batch.allocate_batch(layout, &mut blocks), count);
            // SAFETY: all of them were written.
            let blocks: Vec<_> =
                blocks.iter().map(|block| unsafe { block.assume_init() }).collect();
            let singles: Vec<_> =
                (0..count).map(|_| single.allocate(layout).unwrap().cast::<u8>()).collect();
            assert_eq!(batch.bytes_used(), single.bytes_used(), "{size} {count}");
            let mut places: Vec<_> = blocks.iter().map(|block| block.addr()).collect();
            places.sort();
            places.dedup();
            assert!(places.len() == count || size == 0, "{size} {count}: a block is twice in it");
            // SAFETY: allocated above, and freed once.
            unsafe {
                batch.deallocate_batch(layout, &blocks);
                singles.into_iter().for_each(|block| single.deallocate(block, layout));
            }
            assert_eq!((batch.bytes_used(), batch.check_invariants()), (0, Ok(())));
        }
    }
}

#[test]
fn a_batch_ends_where_memory_does() {
    let mut bytes = vec![MaybeUninit::uninit(); 10_000];
    let heap = Locked::<_>::new(Segregated::new(Buffer::new(&mut bytes)));
    let mut blocks = [MaybeUninit::uninit(); 1000];
    let count = heap.allocate_batch(layout(64, 8), &mut blocks);
    assert!((50..157).contains(&count), "{count}");
    assert_eq!((heap.bytes_used(), heap.bytes_free()), (64 * count, 0));
    assert_eq!(heap.allocate_batch(layout(64, 8), &mut blocks), 0);
}

#[test]
fn large_blocks_come_and_go_with_their_regions() {
    let counting = Counting::default();
    let mut heap = Local::new(Segregated::new(Upstream::new(&counting)));
    let sizes = [8193, 100_000, 5_000_000];
    let blocks = sizes.map(|size| heap.allocate(layout(size, 64)).unwrap());
    let used: usize = blocks.iter().map(|block| block.len()).sum();
    assert_eq!(heap.bytes_used(), used);
    assert!(heap.bytes_held() >= used && heap.bytes_held() <= counting.0.get());
    // SAFETY: the block is in use, and as long; it is given up for the smaller one.
    let small = unsafe { heap.shrink(blocks[2].cast(), layout(5_000_000, 64), layout(100, 8)) };
    assert_eq!(small.map(|block| block.len()), Ok(112));
    assert_eq!(heap.bytes_used(), 112 + blocks[0].len() + blocks[1].len());
    heap.reset();
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    heap.trim();
    assert_eq!((heap.bytes_held(), counting.0.get()), (0, 0));
    heap.allocate(layout(1_000_000, 8)).unwrap();
    drop(heap);
    assert_eq!(counting.0.get(), 0);
}

#[test]
fn a_buffer_has_no_large_blocks() {
    let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
    let mut heap = Segregated::new(Buffer::new(&mut bytes));
    assert_eq!(heap.allocate(layout(8193, 1)), Err(AllocError));
    assert!(heap.allocate(layout(8192, 1)).is_ok());
    assert_eq!(heap.allocate(layout(8193, 1)), Err(AllocError));
    assert_eq!(heap.bytes_used(), 8192);
}

#[test]
fn a_policy_says_where_classes_end() {
    let mut heap = Segregated::<_, ClassicPolicy>::with_policy(OsPages::new());
    let limit = ClassicPolicy::LARGEST_CLASS;
    assert_eq!(heap.allocate(layout(limit, 8)).unwrap().len(), limit);
    assert_eq!(heap.allocate(layout(limit + 1, 8)).unwrap().len(), 8192);
    assert_eq!(heap.bytes_free() % limit, 0);
}
