//! A shared arena on one thread, where it is to be an arena like any other.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::thread;

use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::{AllocError, Buffer};
use allotrope_scope::{SharedArena, alloc_fmt};

#[test]
fn values_of_every_kind_are_put_where_there_is_room() {
    let mut arena = SharedArena::new();
    {
        let handle = arena.local();
        let number = arena.alloc(5_u8);
        let other = handle.alloc_with(|| 6_u64);
        let text = alloc_fmt!(arena, "{number} and {other}");
        let slice = handle.alloc_slice_fill_iter(text.bytes());
        let boxed = arena.boxed(String::from("dropped with its box"));
        assert_eq!((&*slice, boxed.len()), (&b"5 and 6"[..], 20));
        assert_eq!(arena.alloc_try_with(|| Err::<u8, _>("no")), Err("no"));
        let empty = arena.alloc(());
        assert_eq!(*empty, ());
    }
    assert!(arena.bytes_used() > 0 && arena.bytes_used() < arena.bytes_held());
    arena.reset();
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn values_outlive_the_handle_that_put_them_there() {
    let arena = SharedArena::new();
    let values: Vec<&mut usize> = (0..1000).map(|n| arena.local().alloc(n)).collect();
    assert!(values.iter().enumerate().all(|(n, value)| **value == n));
    // One lane served all handles, one after the other.
    let held = arena.bytes_held();
    assert!(held <= 64 * 1024, "{held}");
}

#[test]
fn the_last_block_of_a_thread_grows_and_shrinks_in_its_place() {
    let arena = SharedArena::new();
    let (small, large) = (Layout::new::<[u64; 2]>(), Layout::new::<[u64; 40]>());
    let handle = arena.local();
    arena.alloc(0_u64);
    handle.alloc(0_u64);
    // SAFETY: each block is the one before, with its layout; the last is freed.
    unsafe {
        let block = arena.allocate(small).unwrap().cast();
        assert_eq!(arena.grow(block, small, large).unwrap().cast(), block);
        assert_eq!(arena.shrink(block, large, small).unwrap().cast(), block);
        arena.deallocate(block, small);
        assert_eq!(arena.allocate(large).unwrap().cast(), block);

        let block = handle.allocate(small).unwrap().cast();
        assert_eq!(handle.grow(block, small, large).unwrap().cast(), block);
        handle.deallocate(block, large);
        assert_eq!(handle.allocate(small).unwrap().cast(), block);
    }
}

#[test]
fn threads_with_and_without_a_slot_get_different_blocks() {
    let arena = SharedArena::new();
    let layout = Layout::new::<u64>();
    // SAFETY: slot 0 is this thread's, as far as this arena is concerned.
    let first = unsafe { arena.allocate_in(0, layout) }.unwrap();
    let mut taken = vec![first];
    for _ in 0..600 {
        // SAFETY: as above; the second is the way of a thread without a slot.
        let (lane, stock) = unsafe {
            (arena.allocate_in(0, layout).unwrap(), arena.allocate_in(usize::MAX, layout).unwrap())
        };
        taken.extend([lane, stock]);
    }
    let mut starts: Vec<_> = taken.iter().map(|block| block.cast::<u8>().addr()).collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1].get() - pair[0].get() >= 8));
}

#[test]
fn a_lane_is_found_again_when_the_table_has_grown() {
    let arena = SharedArena::new();
    let layout = Layout::new::<u64>();
    // SAFETY: all slots are this thread's, as far as this arena is concerned.
    let take = |slot| unsafe { arena.allocate_in(slot, layout) }.unwrap().cast::<u8>().addr().get();
    let before = [take(0), take(7)];
    take(8);
    take(511);
    assert_eq!([take(0), take(7)], before.map(|block| block + 8));
}

#[test]
fn handles_that_exist_at_once_have_lanes_of_their_own() {
    let arena = SharedArena::new();
    drop(arena.local());
    let (first, second) = (arena.local(), arena.local());
    let block = first.alloc(1_u64) as *mut u64;
    second.alloc(2_u64);
    assert_eq!(first.alloc(3_u64) as *mut u64, block.wrapping_add(1));
}

#[test]
fn memory_is_kept_by_reset_and_given_back_by_shrink_to() {
    let mut arena = SharedArena::new();
    for _ in 0..10 {
        thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    (0..20_000).for_each(|n| assert_eq!(*arena.alloc(n), n));
                });
            }
        });
        assert!(arena.bytes_used() >= 3 * 160_000 && arena.bytes_held() < 3_000_000, "{arena:?}");
        arena.reset();
    }
    arena.shrink_to(0);
    assert_eq!(arena.bytes_held(), 0);
}

#[test]
fn all_threads_together_keep_the_limit() {
    let arena = SharedArena::new();
    arena.set_allocation_limit(Some(1 << 20));
    let served = thread::scope(|threads| {
        let fill = || (0..).take_while(|n| arena.try_alloc([*n; 16]).is_ok()).count();
        let threads = [(); 3].map(|()| threads.spawn(fill));
        threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
    });
    assert!(arena.bytes_held() <= 1 << 20);
    assert_eq!(arena.allocation_limit(), Some(1 << 20));
    assert!(served * 64 > (1 << 20) / 2, "{served}");
    arena.set_allocation_limit(None);
    assert_eq!(arena.allocation_limit(), None);
    assert_eq!(*arena.alloc(1), 1);
}

#[test]
fn threads_share_one_buffer() {
    let mut bytes = [MaybeUninit::<u8>::uninit(); 32 * 1024];
    let arena = SharedArena::with_source(Buffer::new(&mut bytes));
    let served: Vec<usize> = thread::scope(|threads| {
        let fill = || (0..).take_while(|n| arena.try_alloc([*n; 4]).is_ok()).count();
        let threads: Vec<_> = (0..3).map(|_| threads.spawn(fill)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(served.iter().sum::<usize>() * 16 > 28 * 1024, "{served:?}");
    assert_eq!(arena.bytes_held(), 32 * 1024);
}

#[test]
fn too_little_memory_is_an_error_and_not_more() {
    for size in 0..600 {
        let mut bytes = vec![MaybeUninit::<u8>::uninit(); size];
        let mut arena = SharedArena::with_source(Buffer::new(&mut bytes));
        let served = (0..size).take_while(|_| arena.try_alloc(0_u64).is_ok()).count();
        assert!(served * 8 <= size && arena.bytes_held() <= size);
        if served == 0 {
            assert_eq!(arena.try_alloc(0_u64), Err(AllocError));
        }
        arena.reset();
        let again = (0..size).take_while(|_| arena.try_alloc(0_u64).is_ok()).count();
        assert_eq!(again, served);
    }
}

#[test]
fn the_cap_holds_for_lanes_that_are_there_and_for_new_ones() {
    let held_with = |cap: Option<usize>| {
        let mut arena = SharedArena::new();
        drop(arena.local());
        cap.inspect(|cap| arena.set_chunk_cap(*cap));
        let handles: Vec<_> = (0..64).map(|_| arena.local()).collect();
        // Little more than what doubling chunks have when the last but one is full.
        handles.iter().for_each(|handle| (0..16_500_u64).for_each(|n| _ = handle.alloc(n)));
        arena.bytes_held()
    };
    let used = 64 * 16_500 * 8;
    let (capped, doubled) = (held_with(Some(4096)), held_with(None));
    assert!(
        capped < used + used / 8 + 1_000_000 && doubled > used + used / 2,
        "{capped} {doubled}"
    );
}

#[test]
fn containers_of_several_threads_grow_in_one_arena() {
    let arena = SharedArena::new();
    let sums = thread::scope(|threads| {
        let work = |first: usize| {
            let arena = &arena;
            threads.spawn(move || {
                let mut lists: Vec<_> = (0..10).map(|_| ArenaVec::new_in(arena)).collect();
                for n in 0..10_000 {
                    lists[n % 10].push(first + n);
                }
                lists.iter().flatten().sum::<usize>()
            })
        };
        [0, 10_000, 20_000].map(work).map(|thread| thread.join().unwrap())
    });
    assert_eq!(sums.iter().sum::<usize>(), (0..30_000).sum());
}

#[test]
fn a_static_arena_serves_any_thread() {
    static ARENA: SharedArena = SharedArena::new();
    let text: &'static str = thread::spawn(|| &*ARENA.alloc_str("for ever")).join().unwrap();
    assert_eq!(text, "for ever");
}

/// A lane is told where its stock is whenever it may take a chunk: two arenas change places, and blocks
/// that grow then take chunks from their own.
#[test]
fn arenas_that_change_places_take_chunks_from_their_own_source() {
    let mut arenas = [SharedArena::new(), SharedArena::new()];
    for arena in &arenas {
        arena.alloc(1_u64);
    }
    arenas.swap(0, 1);
    let [first, second] = &arenas;
    let before = second.bytes_held();
    let mut numbers = ArenaVec::new_in(first);
    numbers.push(1_u64);
    numbers.resize(1 << 20, 2_u64);
    assert!(first.bytes_held() >= size_of_val(&numbers[..]));
    assert_eq!(second.bytes_held(), before);
    assert_eq!(numbers[1 << 19], 2);
}
