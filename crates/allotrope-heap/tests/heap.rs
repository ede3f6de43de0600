//! What a heap does besides keeping the promises of an allocator.
//!
//! Goal: limits that are passed; memory that is not given back, or counted wrongly; blocks that a walk
//! misses; handles that drop their heap too early, twice, or never.

use std::alloc::Layout;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::rc::Rc;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::boxed::Box as HeapBox;
use allocator_api2::vec::Vec as HeapVec;
use allotrope_core::{
    AllocError, Buffer, ClassicPolicy, Contents, Event, EventKind, Events, Hook, Locked, OsPages,
    Region, Source, Upstream,
};
use allotrope_heap::{Block, HeapRc, LocalHeap, Route, Strategy};
use hashbrown::HashMap;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// `Global`, that counts what is out.
#[derive(Clone, Default)]
struct Counting(Rc<std::cell::Cell<usize>>);

// SAFETY: the blocks are `Global`'s.
unsafe impl Allocator for Counting {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        self.0.set(self.0.get() + 1);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.set(self.0.get() - 1);
        // SAFETY: `allocate` got the block there.
        unsafe { Global.deallocate(start, layout) };
    }
}

/// `OsPages`, that counts the regions that were asked for, and how often memory was given back, and
/// larger pages asked for.
#[derive(Default)]
struct CountingPages {
    reserved: Rc<std::cell::Cell<usize>>,
    discarded: Rc<std::cell::Cell<usize>>,
    expected: Rc<std::cell::Cell<usize>>,
}

// SAFETY: the regions are those of `OsPages`.
unsafe impl Source for CountingPages {
    const RESERVES_AHEAD: bool = OsPages::RESERVES_AHEAD;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.reserved.set(self.reserved.get() + 1);
        OsPages::new().reserve(least, wanted)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().commit(region, range) }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        self.discarded.set(self.discarded.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().discard(region, range) }
    }

    unsafe fn expect_use(&self, region: &Region, range: Range<usize>) {
        self.expected.set(self.expected.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().expect_use(region, range) };
    }

    unsafe fn release(&self, region: Region) {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().release(region) };
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn larger_pages_are_asked_for_once_and_by_no_small_heap() {
    let source = CountingPages::default();
    let expected = Rc::clone(&source.expected);
    let heap = LocalHeap::new(source);
    let asked: Vec<_> = (0..300)
        .map(|_| {
            heap.allocate(layout(100_000)).unwrap();
            expected.get()
        })
        .collect();
    assert_eq!((asked[20], asked[50], asked[299]), (0, 1, 1));
}

#[test]
fn regions_are_few_where_little_is_reserved_ahead() {
    let source = CountingPages::default();
    let reserved = Rc::clone(&source.reserved);
    let heap = LocalHeap::<_, ClassicPolicy>::with_policy(source);
    for _ in 0..1000 {
        heap.allocate(layout(100_000)).unwrap();
    }
    assert!(reserved.get() < 30, "{}", reserved.get());
}

#[test]
fn what_comes_in_waves_is_not_given_back_again_and_again() {
    for size in [1000, 8000, 9000] {
        let source = CountingPages::default();
        let discarded = Rc::clone(&source.discarded);
        let heap = LocalHeap::new(source);
        let mut blocks = Vec::new();
        for wave in 0..40 {
            blocks.extend((0..2000).map(|_| heap.allocate(layout(size)).unwrap()));
            for block in blocks.drain(..) {
                // SAFETY: allocated above with this layout.
                unsafe { heap.deallocate(block.cast(), layout(size)) };
            }
            if wave == 20 {
                // At first it is.
                discarded.set(0);
            }
        }
        assert_eq!(discarded.get(), 0, "{size}");
    }
}

#[test]
fn a_heap_that_is_dropped_gives_everything_back() {
    let counting = Counting::default();
    let heap = LocalHeap::new(Upstream::new(counting.clone()));
    for size in [1, 100, 8192, 10_000, 1 << 20, 3 << 20] {
        heap.allocate(layout(size)).unwrap();
    }
    assert!(counting.0.get() > 0);
    drop(heap);
    assert_eq!(counting.0.get(), 0);
}

#[test]
fn trim_gives_back_what_nobody_uses() {
    let counting = Counting::default();
    let heap = LocalHeap::new(Upstream::new(counting.clone()));
    let blocks: Vec<_> =
        (1..3000).map(|n| HeapVec::<u8, _>::with_capacity_in(n * 7, &heap)).collect();
    assert!(heap.bytes_held() >= heap.bytes_used());
    drop(blocks);
    assert_eq!(heap.bytes_used(), 0);
    heap.trim();
    assert_eq!((counting.0.get(), heap.bytes_held()), (0, 0));
    assert!(heap.allocate(layout(10)).is_ok(), "it can be used again");
}

#[test]
fn reset_takes_everything_back_at_once() {
    let mut heap = LocalHeap::<_, ClassicPolicy>::with_policy(OsPages::new());
    let mut held = 0;
    for turn in 0..20 {
        for size in (1..400).map(|n| n * n) {
            heap.allocate(layout(size)).unwrap();
        }
        assert!(heap.bytes_used() > 1 << 20);
        heap.reset();
        assert_eq!(heap.bytes_used(), 0);
        assert_eq!(heap.check_invariants(), Ok(()));
        if turn == 0 {
            held = heap.bytes_held();
        }
        assert!(heap.bytes_held() <= held + held / 4, "{} after {held}", heap.bytes_held());
    }
}

#[test]
fn a_limit_below_the_first_region_ended_in_endless_recursion() {
    let heap = LocalHeap::new(OsPages::new());
    heap.set_limit(Some(50 << 10));
    let blocks: Vec<_> = (0..100).map_while(|_| heap.allocate(layout(5000)).ok()).collect();
    assert!(blocks.len() < 11, "{}", blocks.len());
    assert_eq!(heap.check_invariants(), Ok(()));
}

#[test]
fn the_limit_is_never_passed() {
    for limit in [0, 1000, 64 << 10, 100 << 10, 1 << 20, 10 << 20] {
        let heap = LocalHeap::new(OsPages::new());
        heap.set_limit(Some(limit));
        let limit = limit.next_multiple_of(4096);
        assert_eq!(heap.limit(), Some(limit));
        let mut blocks = Vec::new();
        for size in [100, 5000, 20_000, 300_000, 2 << 20].into_iter().cycle().take(200) {
            blocks.extend(heap.allocate(layout(size)).map(|block| (block, layout(size))));
            assert!(heap.bytes_held() <= limit, "{} of {limit}", heap.bytes_held());
        }
        assert_eq!(blocks.is_empty(), limit == 0, "{limit}");
        for (block, layout) in blocks {
            // SAFETY: allocated above with this layout.
            unsafe { heap.deallocate(block.cast(), layout) };
        }
        assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
        heap.set_limit(None);
        assert!(heap.allocate(layout(3 << 20)).is_ok());
    }
}

#[test]
fn small_blocks_are_served_up_to_the_last_page_of_the_limit() {
    for size in [100, 1000, 5000, 8000] {
        let heap = LocalHeap::new(OsPages::new());
        let mut limit = 200_000;
        // Less than the slabs of most classes take, enough for a block and what is known of its pages;
        // where nothing is reserved ahead, in a region of their own.
        let step = if cfg!(target_pointer_width = "64") { 4 * 4096 } else { 8 * 4096 };
        for _ in 0..8 {
            heap.set_limit(Some(limit));
            assert!(heap.allocate(layout(size)).is_ok(), "{size}, {limit}");
            while heap.allocate(layout(size)).is_ok() {}
            assert!(heap.bytes_held() <= heap.limit().unwrap(), "{size}, {limit}");
            limit += step;
        }
        assert_eq!(heap.check_invariants(), Ok(()));
    }
}

#[test]
fn the_first_small_block_after_a_large_one_keeps_the_limit() {
    let heap = LocalHeap::new(OsPages::new());
    let large = heap.allocate(layout(2 << 20)).unwrap();
    let limit = heap.bytes_held();
    heap.set_limit(Some(limit));
    assert_eq!(heap.allocate(layout(10)), Err(AllocError));
    assert!(heap.bytes_held() <= limit, "{} of {limit}", heap.bytes_held());
    // SAFETY: allocated above with this layout.
    unsafe { heap.deallocate(large.cast(), layout(2 << 20)) };
    assert!(heap.allocate(layout(10)).is_ok());
}

#[test]
fn regions_that_are_longer_than_asked_for_keep_the_limit() {
    let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
    for limit in (100 << 10..1 << 20).step_by(77_777) {
        let in_buffer = LocalHeap::new(Buffer::new(&mut bytes));
        let over_another = LocalHeap::new(Upstream::new(Global));
        in_buffer.set_limit(Some(limit));
        over_another.set_limit(Some(limit));
        let limit = limit.next_multiple_of(4096);
        for size in [100, 5000, 20_000, 9000].into_iter().cycle().take(100) {
            let _ = (in_buffer.allocate(layout(size)), over_another.allocate(layout(size)));
            let held = in_buffer.bytes_held().max(over_another.bytes_held());
            assert!(held <= limit, "{held} of {limit}");
        }
        assert!(in_buffer.bytes_used() > limit / 2 && over_another.bytes_used() > limit / 2);
    }
}

#[test]
fn large_blocks_keep_the_limit_with_all_that_they_need_besides() {
    for limit in (0..300 << 10).step_by(4096) {
        let heap = LocalHeap::new(OsPages::new());
        heap.set_limit(Some(limit));
        for _ in 0..100 {
            let _ = heap.with(Strategy::Extents).allocate(layout(10));
            assert!(heap.bytes_held() <= limit, "{} of {limit}", heap.bytes_held());
        }
    }
    let heap = LocalHeap::new(Upstream::new(Global));
    heap.set_limit(Some(5 << 20));
    let block = heap.allocate(layout(3 << 20)).unwrap();
    let aligned = Layout::from_size_align(3 << 20, 8 << 20).unwrap();
    // SAFETY: the block is in use, with this layout.
    let grown = unsafe { heap.grow(block.cast(), layout(3 << 20), aligned) };
    // By chance it is aligned.
    assert!(grown.is_err() || grown == Ok(block));
    assert!(heap.bytes_held() <= 5 << 20, "{}", heap.bytes_held());
}

#[test]
fn a_request_that_cannot_be_served_changes_nothing() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 * 1024];
    let heap = LocalHeap::new(Buffer::new(&mut bytes));
    let block = heap.allocate(layout(100)).unwrap();
    let used = heap.bytes_used();
    for size in [100 << 10, isize::MAX as usize - 100] {
        assert_eq!(heap.allocate(layout(size)), Err(AllocError));
        // SAFETY: the block is in use, and stays where the call fails.
        let grown = unsafe { heap.grow(block.cast(), layout(100), layout(size)) };
        assert_eq!(grown, Err(AllocError));
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (used, Ok(())));
}

#[test]
fn a_small_buffer_serves_many_classes() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 * 1024];
    let heap = LocalHeap::new(Buffer::new(&mut bytes));
    let sizes = [16, 32, 48, 64, 96, 128, 200, 256, 400, 512, 700, 1000, 2000, 4000];
    assert!(heap.allocate(layout(10_000)).is_ok(), "a medium block");
    let served = sizes.iter().filter(|&&size| heap.allocate(layout(size)).is_ok()).count();
    assert_eq!(served, sizes.len());
}

#[test]
fn a_buffer_may_start_anywhere() {
    let mut bytes = vec![MaybeUninit::uninit(); 300 * 1024];
    for shift in 0..17 {
        let heap = LocalHeap::new(Buffer::new(&mut bytes[shift..]));
        for size in [10, 3000, 10_000, 30_000] {
            let block = heap.allocate_zeroed(layout(size)).unwrap();
            // SAFETY: the block is ours, and initialized.
            assert!(unsafe { block.as_ref() }.iter().all(|&byte| byte == 0), "{shift}");
        }
        assert_eq!(heap.check_invariants(), Ok(()), "{shift}");
    }
}

#[test]
fn in_a_small_region_a_block_grows_into_free_pages_only() {
    let mut bytes = vec![MaybeUninit::uninit(); 128 * 1024];
    let heap = LocalHeap::new(Buffer::new(&mut bytes));
    let [first, second] = [(); 2].map(|()| heap.allocate(layout(10_000)).unwrap().cast::<u8>());
    // SAFETY: both blocks are in use, with these layouts, until they are freed.
    unsafe {
        second.write_bytes(2, 10_000);
        let grown = heap.grow(first, layout(10_000), layout(40_000)).unwrap().cast::<u8>();
        grown.write_bytes(1, 40_000);
        assert_ne!(grown, first, "the second block lies behind the first");
        assert!((0..10_000).all(|at| second.add(at).read() == 2));
        let shrunk = heap.shrink(grown, layout(40_000), layout(9_000)).unwrap();
        assert_eq!(shrunk.cast(), grown);
        let again = heap.grow(grown, layout(9_000), layout(20_000)).unwrap();
        assert_eq!(again.cast(), grown, "what is behind it is free");
        assert!((0..9_000).all(|at| grown.add(at).read() == 1));
        heap.deallocate(grown, layout(20_000));
        heap.deallocate(second, layout(10_000));
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn blocks_of_several_kinds_come_back_whole() {
    let heap = LocalHeap::new(OsPages::new());
    let mut map = HashMap::new_in(&heap);
    for n in 0..10_000_u32 {
        map.insert(n, HeapBox::new_in([n; 5], &heap));
    }
    assert!((0..10_000).all(|n| *map[&n] == [n; 5]));
    let mut long = HeapVec::new_in(&heap);
    long.extend(0..2_000_000_u64);
    assert!(long.iter().copied().eq(0..2_000_000));
    drop((map, long));
    assert_eq!(heap.bytes_used(), 0);
}

#[test]
fn statistics_tell_the_routes_apart() {
    let heap = LocalHeap::new(OsPages::new());
    let small = HeapBox::new_in([1_u8; 100], &heap);
    let medium = HeapVec::<u8, _>::with_capacity_in(100_000, &heap);
    let large = HeapVec::<u8, _>::with_capacity_in(5 << 20, &heap);
    let stats = heap.stats();
    assert_eq!((stats.small, stats.medium, stats.large), (112, 102_400, 5 << 20));
    assert_eq!(stats.used(), heap.bytes_used());
    assert_eq!(stats.classes().map(|class| (class.block_size, class.used)).next(), Some((112, 1)));
    let text = stats.to_string();
    assert!(text.contains("class of   112 bytes:        1 in use"), "{text}");
    drop((small, medium, large));
    assert_eq!(heap.stats().used(), 0);
}

#[test]
fn the_walk_sees_every_block_in_use() {
    let heap = LocalHeap::new(OsPages::new());
    let mut expected = BTreeSet::new();
    for (n, size) in
        [10, 100, 500, 3000, 8192, 9000, 70_000, 2 << 20].into_iter().cycle().enumerate().take(400)
    {
        let block = heap.allocate(layout(size)).unwrap().cast::<u8>();
        if n % 3 == 0 {
            // SAFETY: just allocated.
            unsafe { heap.deallocate(block, layout(size)) };
        } else {
            expected.insert(block.addr().get());
        }
    }
    let mut blocks = [Block::NONE; 400];
    let count = heap.copy_blocks(&mut blocks);
    let seen: BTreeSet<_> = blocks[..count].iter().map(|block| block.address).collect();
    assert_eq!((seen, count), (expected.clone(), expected.len()));
    assert_eq!(blocks[..count].iter().map(|block| block.extent).sum::<usize>(), heap.bytes_used());
    assert_eq!(heap.copy_blocks(&mut []), count);
    let large = |block: &&Block| matches!(block.route, Route::Large { .. });
    assert_eq!(blocks[..count].iter().filter(large).count(), 33);
    assert_eq!(heap.check_invariants(), Ok(()));
}

#[test]
fn views_take_their_strategy_whatever_the_layout() {
    let heap = LocalHeap::new(OsPages::new());
    let block = heap.with(Strategy::BestFit).allocate(layout(10)).unwrap();
    assert_eq!(block.len(), 4096);
    assert_eq!(heap.with(Strategy::Extents).allocate(layout(10)).unwrap().len(), 4096);
    assert_eq!(heap.with(Strategy::Slabs).allocate(layout(10_000)), Err(AllocError));
    let stats = heap.stats();
    assert_eq!((stats.small, stats.medium, stats.large), (0, 4096, 4096));
    assert_eq!(heap.for_type::<[u8; 100]>().strategy(), Strategy::Slabs);
    assert_eq!(heap.for_type::<[u8; 100_000]>().strategy(), Strategy::BestFit);
    assert_eq!(heap.for_type::<[u8; 10_000_000]>().strategy(), Strategy::Extents);
}

#[test]
fn the_last_handle_drops_the_heap() {
    let counting = Counting::default();
    let first = HeapRc::new(Upstream::new(counting.clone())).unwrap();
    let second = first.clone();
    assert_eq!(first.handles(), 2);
    let mut numbers = HeapVec::new_in(second);
    numbers.extend(0..100_000);
    drop(first);
    assert!(numbers.iter().copied().eq(0..100_000));
    assert_eq!(numbers.allocator().handles(), 1);
    drop(numbers);
    assert_eq!(counting.0.get(), 0);
}

#[test]
fn a_handle_without_memory_is_an_error() {
    let mut bytes = [MaybeUninit::uninit(); 1000];
    assert!(HeapRc::new(Buffer::new(&mut bytes)).is_err());
}

#[test]
fn batches_are_as_many_as_there_is_memory_for() {
    let mut bytes = vec![MaybeUninit::uninit(); 16 * 1024];
    let heap = LocalHeap::new(Buffer::new(&mut bytes));
    let mut blocks = [MaybeUninit::uninit(); 1000];
    let count = heap.allocate_batch(layout(64), &mut blocks);
    assert!((100..256).contains(&count), "{count}");
    // SAFETY: so many were allocated just now.
    let blocks: Vec<_> =
        blocks[..count].iter().map(|block| unsafe { block.assume_init() }).collect();
    let places: BTreeSet<_> = blocks.iter().map(|block| block.addr()).collect();
    assert_eq!(places.len(), count);
    // SAFETY: as above, each once.
    unsafe { heap.deallocate_batch(layout(64), &blocks) };
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    heap.trim();
    assert!(heap.allocate(layout(8000)).is_ok(), "all of it serves other sizes again");
}

#[test]
fn zeroed_blocks_are_zero_after_others_were_there() {
    let heap = LocalHeap::new(OsPages::new());
    for turn in 0..3 {
        for size in [100, 10_000, 500_000, 2 << 20] {
            let block = heap.allocate_zeroed(layout(size)).unwrap();
            // SAFETY: the block is ours, and initialized.
            unsafe {
                assert!(block.as_ref().iter().all(|&byte| byte == 0), "{size}, turn {turn}");
                block.cast::<u8>().write_bytes(7, block.len());
                heap.deallocate(block.cast(), layout(size));
            }
        }
    }
}

#[test]
fn threads_share_a_heap_behind_a_lock() {
    let heap = Locked::new(LocalHeap::new(OsPages::new()));
    std::thread::scope(|threads| {
        for seed in 0..4 {
            let heap = &heap;
            threads.spawn(move || {
                for n in 0..2000_usize {
                    let size = 1 + (n * 7919 + seed * 104_729) % 20_000;
                    let block = heap.allocate(layout(size)).unwrap();
                    // SAFETY: the block is this thread's alone.
                    unsafe {
                        block.cast::<u8>().write_bytes(seed as u8, size);
                        assert!(block.as_ref()[..size].iter().all(|&byte| byte == seed as u8));
                        heap.deallocate(block.cast(), layout(size));
                    }
                }
            });
        }
    });
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

/// What a heap has of its source's memory, and of blocks, as events tell it: how many bytes.
#[derive(Default)]
struct Ledger {
    memory: std::cell::Cell<usize>,
    blocks: std::cell::Cell<usize>,
}

impl Hook for &Ledger {
    type Record = Events;

    fn on_event(&self, event: &Event) {
        let (account, is_more) = match event.kind {
            EventKind::Refill => (&self.memory, true),
            EventKind::Release => (&self.memory, false),
            EventKind::Allocate => (&self.blocks, true),
            EventKind::Free => (&self.blocks, false),
            _ => unreachable!("{event:?}"),
        };
        let sum = account.get();
        account.set(if is_more { sum + event.extent } else { sum - event.extent });
    }

    fn on_overflow(&self, lost: usize) {
        panic!("{lost} events are lost");
    }
}

#[test]
fn events_tell_of_all_memory_and_of_all_blocks() {
    let mut bytes = vec![MaybeUninit::uninit(); 4 << 20];
    let ledger = Ledger::default();
    keep_books(LocalHeap::<_, ClassicPolicy, _>::with_hook(OsPages::new(), &ledger), &ledger);
    keep_books(
        LocalHeap::<_, ClassicPolicy, _>::with_hook(Upstream::new(Global), &ledger),
        &ledger,
    );
    let in_buffer = Buffer::new(&mut bytes);
    keep_books(LocalHeap::<_, ClassicPolicy, _>::with_hook(in_buffer, &ledger), &ledger);
}

fn keep_books<S: Source>(heap: LocalHeap<S, ClassicPolicy, &Ledger>, ledger: &Ledger) {
    let mut blocks = Vec::new();
    for size in [10, 100, 5000, 20_000, 100_000, 300_000].into_iter().cycle().take(30) {
        blocks.extend(heap.allocate(layout(size)).map(|block| (block.cast(), layout(size))));
        assert_eq!(ledger.blocks.get(), heap.bytes_used());
        assert!(ledger.memory.get() >= heap.bytes_used());
    }
    for (block, old) in &mut blocks {
        let new = layout(old.size() * 3);
        // SAFETY: allocated above with `old`.
        if let Ok(grown) = unsafe { heap.grow(*block, *old, new) } {
            (*block, *old) = (grown.cast(), new);
        }
        assert_eq!(ledger.blocks.get(), heap.bytes_used());
    }
    for (block, layout) in blocks {
        // SAFETY: allocated with this layout.
        unsafe { heap.deallocate(block, layout) };
    }
    assert_eq!(ledger.blocks.get(), 0);
    heap.trim();
    assert_eq!((ledger.memory.get(), heap.bytes_held()), (0, 0));
    let forgotten = heap.allocate(layout(100)).unwrap();
    let extent = ledger.blocks.replace(0);
    assert_eq!(extent, forgotten.len());
    assert!(ledger.memory.get() > 0);
    drop(heap);
    assert_eq!(ledger.memory.get(), 0);
}

/// The region that most heaps begin with, which has its first slab without a search.
#[test]
fn the_slab_that_a_heap_begins_with_is_its_own() {
    #[repr(align(4096))]
    struct Bytes([MaybeUninit<u8>; 64 << 10]);

    let mut bytes = Box::new(Bytes([MaybeUninit::uninit(); 64 << 10]));
    for first in [1, 16, 100, 513, 1024, 1025, 4000, 8192] {
        let heap = LocalHeap::new(Buffer::new(&mut bytes.0));
        let sizes = [first, 30, 500, 1024].into_iter().cycle();
        let mut blocks: Vec<_> = sizes
            .map_while(|size| Some((heap.allocate(layout(size)).ok()?.cast::<u8>(), size)))
            .collect();
        assert!(blocks.len() > 8, "{first}");
        heap.check_invariants().unwrap();
        blocks.sort();
        let ends_before = |pair: &[(NonNull<u8>, usize)]| {
            pair[0].0.addr().get() + pair[0].1 <= pair[1].0.addr().get()
        };
        assert!(blocks.windows(2).all(ends_before), "{first}");
        for (block, size) in blocks {
            // SAFETY: allocated above.
            unsafe { heap.deallocate(block, layout(size)) };
        }
        assert_eq!(heap.bytes_used(), 0);
        heap.check_invariants().unwrap();
    }
}
