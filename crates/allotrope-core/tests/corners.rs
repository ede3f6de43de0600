//! The corners where allocators break: limits, odd buffers, exhaustion, several regions, gibibytes.

use std::alloc::Layout;
use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::thread;

use allotrope_core::{
    AllocError, BestFit, Buffer, ClassicPolicy, FixedSize, Local, Locked, OsPages, Policy,
    Segregated, Span, Strategy, Upstream,
};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn impossible_layouts_are_errors_that_change_nothing() {
    impossible_layouts(BestFit::new(OsPages::new()));
    impossible_layouts(Segregated::new(OsPages::new()));
}

fn impossible_layouts(strategy: impl Strategy) {
    let heap = Local::new(strategy);
    let block = heap.allocate(layout(100, 8)).unwrap();
    let (used, largest) = (heap.bytes_used(), heap.largest_free_block());
    let huge = isize::MAX as usize;
    for (size, align) in [
        (huge, 1),
        (huge - 15, 16),
        (huge - 4095, 4096),
        (1, 1 << (usize::BITS - 2)),
        (huge / 2, 1 << (usize::BITS - 3)),
        (huge / 4 * 3, 1 << (usize::BITS / 2 + 8)),
    ] {
        assert_eq!(heap.allocate(layout(size, align)), Err(AllocError), "{size} {align}");
        // SAFETY: the block is in use, and stays so, since growing it fails.
        let grown =
            unsafe { heap.grow(block.cast(), layout(100, 8), layout(size.max(100), align)) };
        assert_eq!(grown, Err(AllocError), "{size} {align}");
    }
    assert_eq!((heap.bytes_used(), heap.largest_free_block()), (used, largest));
    assert_eq!(heap.check_invariants(), Ok(()));
}

#[test]
fn buffers_of_any_length_and_alignment_serve_what_they_have_room_for() {
    let mut bytes = vec![MaybeUninit::uninit(); 400];
    for start in 0..17 {
        for len in 0..=300 {
            let heap = Local::new(BestFit::new(Buffer::new(&mut bytes[start..start + len])));
            let served = heap.allocate(layout(16, 16)).is_ok();
            assert!(served || len < 40, "{start} {len}");
            assert!(!served || len >= 16 + 8, "{start} {len}");
            assert_eq!(heap.check_invariants(), Ok(()));
        }
    }
}

#[test]
fn a_buffer_of_256_bytes_holds_240() {
    #[repr(align(16))]
    struct Aligned([MaybeUninit<u8>; 256]);
    let mut bytes = Aligned([MaybeUninit::uninit(); 256]);
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes.0)));
    assert_eq!(heap.allocate(layout(240, 16)).unwrap().len(), 240);
    assert_eq!(heap.allocate(layout(1, 1)), Err(AllocError));
}

/// A buffer that is long enough for a tail, so that blocks are parked.
fn long_buffer() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::new(0xFF); 1 << 20]
}

#[test]
fn what_is_parked_is_joined_before_a_request_fails() {
    let mut bytes = long_buffer();
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let block = heap.allocate(layout(1, 1)).unwrap();
    // SAFETY: allocated just now.
    unsafe { heap.deallocate(block.cast(), layout(1, 1)) };
    let whole = heap.largest_free_block();
    for _ in 0..2 {
        let sizes = (1..=63).flat_map(|granules| [granules * 16; 2]);
        let blocks: Vec<_> = sizes.map(|n| (heap.allocate(layout(n, 8)).unwrap(), n)).collect();
        for (block, n) in blocks {
            // SAFETY: allocated above with this layout.
            unsafe { heap.deallocate(block.cast(), layout(n, 8)) };
            assert_eq!(heap.check_invariants(), Ok(()));
        }
        assert_eq!(heap.copy_spans(&mut []), 1, "all that is free is one span");
        assert_eq!((heap.bytes_used(), heap.bytes_free()), (0, whole));
        assert_eq!(heap.largest_free_block(), whole);
        let block = heap.allocate(layout(whole, 16)).unwrap();
        assert_eq!(heap.check_invariants(), Ok(()));
        // SAFETY: allocated above with this layout.
        unsafe { heap.deallocate(block.cast(), layout(whole, 16)) };
    }
}

#[test]
fn what_a_buffer_held_before_means_nothing() {
    let mut bytes = long_buffer();
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let mut blocks = Vec::new();
    for n in (1..).map_while(|n| (n < 4000).then_some(n * 37 % 4000 + 1)) {
        let Ok(block) = heap.allocate(layout(n, 8)) else { break };
        blocks.push((block, n));
        if n % 3 == 0 {
            let (block, n) = blocks.swap_remove(blocks.len() / 2);
            // SAFETY: allocated above with this layout.
            unsafe { heap.deallocate(block.cast(), layout(n, 8)) };
        }
        assert_eq!(heap.check_invariants(), Ok(()));
    }
    let used = blocks.iter().map(|(block, _)| block.len()).sum::<usize>();
    assert_eq!(heap.bytes_used(), used);
    assert!(used > 900_000, "{used}");
}

#[test]
fn what_was_never_used_is_taken_whole_and_cut() {
    // Too short for a tail, and of unknown contents.
    let mut bytes = vec![MaybeUninit::<u8>::new(0xFF); 48 << 10];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let first = heap.allocate(layout(100, 8)).unwrap();
    let size = heap.largest_free_block();
    let rest = heap.allocate(layout(size, 16)).unwrap();
    // An edge where none ever was.
    // SAFETY: allocated above with this layout.
    let rest = unsafe { heap.shrink(rest.cast(), layout(size, 16), layout(size / 2, 16)) }.unwrap();
    assert_eq!(heap.check_invariants(), Ok(()));
    // SAFETY: as above; the block was shrunk to that layout.
    unsafe {
        heap.deallocate(first.cast(), layout(100, 8));
        heap.deallocate(rest.cast(), layout(size / 2, 16));
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn handles_are_as_large_as_documented() {
    let size = size_of::<BestFit<Buffer<'_>>>();
    assert!((2200..2450).contains(&size), "{size}");
    assert!(size_of::<FixedSize<64, Buffer<'_>>>() <= 64);
    // Lists of blocks, which are pointers.
    let size = size_of::<Segregated<OsPages>>();
    let sizes = if cfg!(target_pointer_width = "64") { 1300..1450 } else { 650..725 };
    assert!(sizes.contains(&size), "{size}");
}

#[test]
fn size_zero_touches_no_memory() {
    size_zero(BestFit::new(Buffer::new(&mut [])));
    size_zero(Segregated::new(Buffer::new(&mut [])));
}

fn size_zero(strategy: impl Strategy) {
    let heap = Local::new(strategy);
    let empty = heap.allocate(layout(0, 64)).unwrap();
    assert_eq!((empty.len(), empty.addr().get()), (0, 64));
    // SAFETY: allocated above; all of it is of size 0.
    unsafe {
        let empty = heap.shrink(empty.cast(), layout(0, 64), layout(0, 8)).unwrap();
        let empty = heap.grow(empty.cast(), layout(0, 8), layout(0, 16)).unwrap();
        assert_eq!(heap.grow(empty.cast(), layout(0, 16), layout(1, 16)), Err(AllocError));
        heap.deallocate(empty.cast(), layout(0, 16));
    }
    assert_eq!(heap.bytes_held(), 0);
}

#[test]
fn the_largest_free_block_can_be_allocated() {
    let mut bytes = vec![MaybeUninit::uninit(); 100_000];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let mut held = Vec::new();
    for n in 1..200_usize {
        held.push((heap.allocate(layout(n * 7 % 500 + 1, 1)).unwrap(), n * 7 % 500 + 1));
        if n % 3 == 0 {
            let (block, size) = held.swap_remove(n % held.len());
            // SAFETY: allocated above with this size, and freed once.
            unsafe { heap.deallocate(block.cast(), layout(size, 1)) };
        }
        let largest = heap.largest_free_block();
        assert_eq!(heap.allocate(layout(largest + 1, 1)), Err(AllocError));
        let block = heap.allocate(layout(largest, 16)).unwrap();
        // SAFETY: as above.
        unsafe { heap.deallocate(block.cast(), layout(largest, 16)) };
    }
}

#[test]
fn spans_tile_the_buffer_in_address_order() {
    let mut bytes = vec![MaybeUninit::uninit(); 4096];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let blocks = [64, 128, 64, 256].map(|size| heap.allocate(layout(size, 16)).unwrap());
    // SAFETY: allocated above, and freed once.
    unsafe { heap.deallocate(blocks[1].cast(), layout(128, 16)) };

    let nothing = Span { start: NonNull::dangling(), size: 0, is_free: false };
    let mut spans = [nothing; 8];
    assert_eq!(heap.copy_spans(&mut spans), 4);
    assert_eq!(heap.copy_spans(&mut []), 4);
    let seen = spans[..4].iter().map(|span| (span.size, span.is_free)).collect::<Vec<_>>();
    assert_eq!(seen[..3], [(64, false), (128, true), (320, false)]);
    assert!(seen[3].1);
    for pair in spans[..4].windows(2) {
        assert_eq!(pair[0].start.addr().get() + pair[0].size, pair[1].start.addr().get());
    }
    assert_eq!(heap.bytes_used(), 64 + 320);
}

#[test]
fn reset_and_trim_keep_the_heap_usable() {
    let mut heap = Local::new(BestFit::<_, ClassicPolicy>::with_policy(OsPages::new()));
    for round in 0..3 {
        let blocks: Vec<_> =
            (1..=50).map(|n| heap.allocate_zeroed(layout(n * 10_000, 8)).unwrap()).collect();
        for block in &blocks {
            // SAFETY: the block is in use, and zeroed.
            assert!(unsafe { block.as_ref() }.iter().all(|&byte| byte == 0), "round {round}");
            // SAFETY: as above.
            unsafe { block.cast::<u8>().write_bytes(0xAA, block.len()) };
        }
        heap.trim();
        // SAFETY: as above.
        assert!(blocks.iter().all(|block| unsafe { block.as_ref() }.iter().all(|&b| b == 0xAA)));
        heap.reset();
        assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    }
    assert!(heap.bytes_held() > 0);
    heap.trim();
    assert_eq!((heap.bytes_held(), heap.bytes_free()), (0, 0));
    assert!(heap.allocate(layout(100, 8)).is_ok());
}

#[test]
fn a_block_that_grows_at_the_end_of_a_region_stays_where_it_is() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    let mut size = 64;
    let start = heap.allocate(layout(size, 8)).unwrap().cast::<u8>();
    // The first region has 256 KiB, or 1 MiB where nothing is reserved ahead.
    let most = 1 << 17;
    while size < most {
        // SAFETY: the block is in use, with this size.
        let grown = unsafe { heap.grow(start, layout(size, 8), layout(size * 2, 8)) }.unwrap();
        assert_eq!(grown.cast(), start, "{size}");
        size *= 2;
    }
}

#[test]
fn when_nothing_else_is_left_a_block_grows_into_what_is_free_below_it() {
    let mut bytes = vec![MaybeUninit::uninit(); 4096];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let first = heap.allocate(layout(1024, 16)).unwrap();
    let second = heap.allocate(layout(1024, 16)).unwrap();
    let rest = heap.largest_free_block();
    let third = heap.allocate(layout(rest, 16)).unwrap();
    // SAFETY: the blocks are in use, written before they are read, and freed once.
    unsafe {
        second.cast::<u8>().write_bytes(7, 1024);
        heap.deallocate(first.cast(), layout(1024, 16));
        let grown = heap.grow(second.cast(), layout(1024, 16), layout(2000, 16)).unwrap();
        assert_eq!(grown.cast::<u8>(), first.cast());
        assert!(grown.as_ref()[..1024].iter().all(|&byte| byte == 7));
        heap.deallocate(grown.cast(), layout(2000, 16));
        heap.deallocate(third.cast(), layout(rest, 16));
    }
    assert_eq!(heap.check_invariants(), Ok(()));
}

// AddressSanitizer reserves less ahead.
#[cfg(all(target_pointer_width = "64", not(allotrope_asan)))]
#[test]
fn several_gibibytes_in_one_region() {
    let heap = Local::new(BestFit::new(OsPages::new()));
    let gibibyte = layout(1 << 30, 4096);
    let all = heap.allocate(layout(6 << 30, 4096)).unwrap();
    // SAFETY: just allocated, and not used.
    unsafe { heap.deallocate(all.cast(), layout(6 << 30, 4096)) };
    let blocks: Vec<_> = (0..6).map(|_| heap.allocate(gibibyte).unwrap()).collect();
    for (n, block) in blocks.iter().enumerate() {
        // SAFETY: the block is in use; two of its pages are touched.
        unsafe {
            block.cast::<u8>().write(n as u8);
            block.cast::<u8>().add(block.len() - 1).write(n as u8);
        }
    }
    let last = blocks.iter().map(|block| block.addr().get()).max().unwrap();
    let first = blocks.iter().map(|block| block.addr().get()).min().unwrap();
    assert!(last - first < 7 << 30, "the blocks lie in several regions");
    for (n, block) in blocks.iter().enumerate().rev() {
        // SAFETY: as above, and freed once.
        unsafe {
            assert_eq!(block.cast::<u8>().add(block.len() - 1).read(), n as u8);
            heap.deallocate(block.cast(), gibibyte);
        }
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
}

#[test]
fn the_first_block_of_a_region_may_be_strictly_aligned() {
    for align in [64, 4096, 1 << 16, 1 << 20, 1 << 24] {
        let heap = Local::new(BestFit::new(OsPages::new()));
        let block = heap.allocate(layout(5 << 20, align)).unwrap();
        assert!(block.addr().get().is_multiple_of(align));
        let upstream = Local::new(BestFit::new(OsPages::new()));
        let heap = Local::new(BestFit::new(Upstream::new(&upstream)));
        let block = heap.allocate(layout(5 << 20, align)).unwrap();
        assert!(block.addr().get().is_multiple_of(align));
    }
}

#[test]
fn memory_beyond_the_reservation_is_a_further_region() {
    let heap = Local::new(BestFit::<_, ClassicPolicy>::with_policy(OsPages::new()));
    let blocks: Vec<_> = (0..40).map(|_| heap.allocate(layout(100_000, 64)).unwrap()).collect();
    assert!(heap.bytes_held() > 4_000_000);
    for block in blocks {
        // SAFETY: allocated above, and freed once.
        unsafe { heap.deallocate(block.cast(), layout(100_000, 64)) };
    }
    assert_eq!((heap.bytes_used(), heap.check_invariants()), (0, Ok(())));
    heap.trim();
    assert_eq!(heap.bytes_held(), 0);
}

#[test]
fn fixed_size_buffers_of_the_computed_size_hold_as_many_blocks() {
    fn check<const SIZE: usize>() {
        for blocks in [1, 2, 10, 100, 3000] {
            let size = FixedSize::<SIZE, Buffer<'_>>::buffer_size(blocks);
            let mut bytes = vec![MaybeUninit::uninit(); size + 64];
            for start in [0, 1, 15, 16, 33] {
                let buffer = Buffer::new(&mut bytes[start..start + size]);
                let mut pool = FixedSize::<SIZE, _>::new(buffer);
                for n in 0..blocks {
                    assert!(pool.allocate(layout(SIZE, 1)).is_ok(), "{SIZE} {blocks} {start} {n}");
                }
                assert_eq!(pool.bytes_used(), blocks * FixedSize::<SIZE, Buffer<'_>>::BLOCK_SIZE);
            }
        }
    }
    check::<1>();
    check::<64>();
    check::<1000>();
    check::<4096>();
}

#[test]
fn fixed_size_reset_hands_everything_out_again() {
    let mut bytes = vec![MaybeUninit::uninit(); 300_000];
    let mut pool = FixedSize::<64, _>::new(Buffer::new(&mut bytes));
    let fill = |pool: &mut FixedSize<64, _>| {
        std::iter::from_fn(|| pool.allocate(layout(64, 64)).ok()).count()
    };
    let first = fill(&mut pool);
    pool.reset();
    assert_eq!((pool.bytes_used(), pool.bytes_free()), (0, 0));
    assert_eq!(fill(&mut pool), first);
    assert!(first * 64 > 290_000);
}

#[test]
fn allocators_nest() {
    let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
    let outer = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    struct Small;
    impl Policy for Small {
        const CHUNK_SIZE: usize = 1024;
        const GROWTH_SIZE: usize = 8192;
    }
    {
        let pool = Local::new(FixedSize::<32, _, Small>::with_policy(Upstream::new(&outer)));
        let heap = Local::new(BestFit::<_, Small>::with_policy(Upstream::new(&outer)));
        for _ in 0..1000 {
            pool.allocate(layout(32, 8)).unwrap();
            heap.allocate(layout(100, 8)).unwrap();
        }
        assert!(outer.bytes_used() >= 1000 * (32 + 112));
    }
    assert_eq!(outer.bytes_used(), 0);
}

#[test]
fn an_allocator_moves_between_threads_with_its_blocks() {
    let mut bytes = vec![MaybeUninit::uninit(); 4096];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let block = heap.allocate(layout(100, 8)).unwrap();
    // SAFETY: the block is in use, and 100 bytes long.
    unsafe { block.cast::<u8>().write_bytes(5, 100) };
    let address = block.addr();
    thread::scope(|threads| {
        let moved = threads.spawn(move || {
            let again = heap.allocate(layout(100, 8)).unwrap();
            assert_ne!(again.addr(), address);
            heap.bytes_used()
        });
        assert_eq!(moved.join().unwrap(), 224);
    });
}

#[test]
fn a_forgotten_allocator_leaks_and_nothing_else() {
    let mut bytes = vec![MaybeUninit::uninit(); 4096];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    heap.allocate(layout(100, 8)).unwrap();
    mem::forget(heap);
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    assert!(heap.allocate(layout(3000, 8)).is_ok());
}

#[test]
fn the_spin_lock_guards_a_static() {
    static POOL: Locked<FixedSize<64, OsPages>> = Locked::new(FixedSize::new(OsPages::new()));
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..1000 {
                    let block = POOL.allocate(layout(64, 8)).unwrap();
                    // SAFETY: allocated just above, and freed once.
                    unsafe { POOL.deallocate(block.cast(), layout(64, 8)) };
                }
            });
        }
    });
    assert_eq!((POOL.bytes_used(), POOL.check_invariants()), (0, Ok(())));
}

#[test]
fn an_aligned_block_behind_eight_that_are_not_was_never_found() {
    let mut bytes = vec![MaybeUninit::uninit(); 8192];
    let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
    let aligned = heap.allocate(layout(64, 64)).unwrap();
    // What is free before it; then the next blocks of 64 bytes start 16 after a multiple of 64.
    while heap.allocate(layout(16, 16)).unwrap().addr() < aligned.addr() {}
    let take = |_| (heap.allocate(layout(64, 16)).unwrap(), heap.allocate(layout(64, 16)).unwrap());
    let holes = (0..20).map(take).collect::<Vec<_>>();
    heap.allocate(layout(heap.largest_free_block(), 16)).unwrap();
    // SAFETY: allocated above with these layouts, and freed once.
    unsafe {
        heap.deallocate(aligned.cast(), layout(64, 64));
        holes.iter().for_each(|(hole, _)| heap.deallocate(hole.cast(), layout(64, 16)));
    }
    assert_eq!(heap.allocate(layout(64, 64)).unwrap().addr(), aligned.addr());
    assert_eq!(heap.allocate(layout(64, 64)), Err(AllocError));
    assert_eq!(heap.check_invariants(), Ok(()));
}

#[test]
#[should_panic(expected = "that many blocks fit nowhere")]
fn a_buffer_size_beyond_any_buffer_was_returned() {
    FixedSize::<16, Buffer<'_>>::buffer_size(usize::MAX / 32 + 1);
}
