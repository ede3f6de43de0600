//! The current thread's scope as an allocator.
//!
//! Goal: blocks whose memory goes while they are in use, whichever way they leave their scope: by
//! escape, by growth in an inner scope, by `forget`, with their thread, by a panic; memory that stays although nobody
//! uses it; what was kept in an arena and is dropped twice, or not.

#![cfg(target_os = "linux")]

use std::alloc::Layout;
use std::cell::RefCell;
use std::env;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box as HereBox;
use allocator_api2::vec::Vec as HereVec;
use allotrope_conformance::Suite;
use allotrope_core::AllocError;
use allotrope_scope::Arena;
use allotrope_scope::ambient::{self, Here};
use hashbrown::HashMap;

/// Numbers that tell whether somebody else has written to them.
fn numbers(count: u64) -> HereVec<u64, Here> {
    let mut numbers = HereVec::new_in(Here);
    numbers.extend(0..count);
    numbers
}

#[track_caller]
fn are_whole(numbers: &[u64]) {
    assert!(numbers.iter().zip(0..).all(|(number, n)| *number == n));
}

#[test]
fn ambient_scope_keeps_the_promises_of_an_allocator() {
    let steps = env::var("ALLOTROPE_STEPS").ok().map(|steps| steps.parse().unwrap());
    ambient::scope(|| {
        let suite = Suite::new(|_| Here).limits(&[512, 4096]).max_size(64 * 1024);
        let suite = steps.map_or(suite.clone(), |steps| suite.steps(steps));
        println!("{:?}", suite.assert());
    });
}

#[test]
fn outside_of_a_scope_there_is_no_memory() {
    let layout = Layout::new::<u64>();
    assert_eq!(Here.allocate(layout), Err(AllocError));
    ambient::scope(|| assert!(Here.allocate(layout).is_ok()));
    assert_eq!(Here.allocate(layout), Err(AllocError));
    assert!(Allocator::allocate(&Here, Layout::new::<()>()).is_ok());
}

#[test]
fn a_scope_without_escapes_gives_its_memory_back() {
    let mut arena = Arena::new();
    arena.keep(Rc::new(1).to_string());
    let before = arena.bytes_used();
    let start = arena.chunks().next().unwrap().start();
    for _ in 0..1000 {
        let sum = ambient::scope_in(&mut arena, || {
            let mut map = HashMap::new_in(Here);
            map.extend((0..100_u64).map(|n| (n, numbers(n))));
            map.values().map(|numbers| numbers.len()).sum::<usize>()
        });
        assert_eq!((sum, arena.bytes_used()), (4950, before));
        assert!(arena.bytes_held() < 1 << 20);
    }
    assert_eq!(arena.chunks().next().unwrap().start(), start);
}

#[test]
fn what_escapes_keeps_its_memory() {
    let mut arena = Arena::new();
    let mut escaped = Vec::new();
    for n in 0..20 {
        escaped.push(ambient::scope_in(&mut arena, || numbers(n * 500)));
        assert_eq!(arena.bytes_used(), 0);
        ambient::scope_in(&mut arena, || are_whole(&numbers(5000)));
    }
    for (numbers, n) in escaped.iter().zip(0..) {
        assert_eq!(numbers.len(), n * 500);
        are_whole(numbers);
    }
    // Out of order, and some while another scope is open.
    ambient::scope(|| drop(escaped.split_off(10)));
    escaped.into_iter().rev().for_each(|numbers| are_whole(&numbers));
}

#[test]
fn a_container_that_escaped_grows_in_the_scope_that_is_open_then() {
    let mut escaped = ambient::scope(|| numbers(100));
    assert!(escaped.try_reserve(1000).is_err(), "there is no scope");
    escaped.shrink_to(100);
    are_whole(&escaped);
    let mut arena = Arena::new();
    ambient::scope_in(&mut arena, || {
        escaped.extend(100..10_000);
        are_whole(&escaped);
        escaped = HereVec::new_in(Here);
    });
    assert!(arena.bytes_used() == 0 && arena.bytes_held() > 0, "it was freed in time");
}

#[test]
fn an_outer_container_grows_in_its_own_scope_while_an_inner_one_is_open() {
    let mut arena = Arena::new();
    let mut inner_arena = Arena::new();
    ambient::scope_in(&mut arena, || {
        let mut outer = numbers(10);
        for turn in 1..50 {
            let begin = outer.len() as u64;
            let inner = ambient::scope_in(&mut inner_arena, || {
                outer.extend(begin..begin + 100);
                numbers(turn).len()
            });
            assert_eq!(inner as u64, turn);
            // The outer one has nothing of the inner scope's.
            assert!(inner_arena.bytes_used() == 0 && inner_arena.bytes_held() > 0);
        }
        are_whole(&outer);
    });
    assert!(arena.bytes_used() == 0 && arena.bytes_held() > 0);
}

#[test]
fn a_container_of_an_inner_scope_escapes_to_the_outer_one() {
    let mut outlived = HereVec::new_in(Here);
    ambient::scope(|| {
        let mut lists = HereVec::new_in(Here);
        for n in 0..20 {
            lists.push(ambient::scope(|| numbers(n)));
        }
        lists[19].extend(19..1000);
        lists.iter().for_each(|list| are_whole(list));
        outlived = lists.pop().unwrap();
    });
    are_whole(&outlived);
}

#[test]
fn what_is_forgotten_or_leaked_stays_for_ever() {
    let leaked: &'static mut [u64] = ambient::scope(|| {
        mem::forget(numbers(1000));
        numbers(1000).leak()
    });
    (0..10).for_each(|_| ambient::scope(|| are_whole(&numbers(100_000))));
    // A reference may go where the container may not.
    thread::spawn(|| are_whole(leaked)).join().unwrap();
}

#[test]
fn blocks_outlive_their_threads_thread_locals() {
    struct Late(RefCell<Vec<HereVec<u64, Here>>>);

    impl Drop for Late {
        fn drop(&mut self) {
            let lists = self.0.take();
            lists.iter().for_each(|list| are_whole(list));
            drop(lists);
            ambient::scope(|| are_whole(&numbers(100)));
        }
    }

    thread_local! {
        static LATE: Late = const { Late(RefCell::new(Vec::new())) };
    }

    for _ in 0..5 {
        let work = || {
            LATE.with(|late| late.0.borrow_mut().push(ambient::scope(|| numbers(1000))));
            LATE.with(|late| late.0.borrow_mut().push(ambient::scope(|| numbers(7))));
            // Never freed, and its memory with it.
            mem::forget(ambient::scope(|| numbers(10)));
        };
        thread::spawn(work).join().unwrap();
    }
}

#[test]
fn a_scope_ends_by_a_panic_with_and_without_blocks_in_use() {
    let mut arena = Arena::new();
    let escaped = RefCell::new(HereVec::new_in(Here));
    for turn in 0..4 {
        let run = AssertUnwindSafe(|| {
            ambient::scope_in(&mut arena, || {
                let list = numbers(500);
                if turn % 2 == 0 {
                    *escaped.borrow_mut() = list;
                }
                panic!("the scope");
            })
        });
        assert!(panic::catch_unwind(run).is_err());
        assert_eq!(Here.allocate(Layout::new::<u8>()), Err(AllocError), "it is closed");
        are_whole(&escaped.borrow());
        assert_eq!(arena.bytes_held() == 0, turn % 2 == 0);
    }
}

#[test]
fn what_an_arena_keeps_is_dropped_once_when_blocks_take_its_memory() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted(Option<HereVec<u64, Here>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    // SAFETY: no other thread is concerned.
    unsafe impl Send for Counted {}

    let dropped = || DROPPED.load(Ordering::Relaxed);
    let mut arena = Arena::new();
    arena.set_allocation_limit(Some(1 << 20));
    let mark = arena.begin_scope();
    arena.keep(Counted(None));
    ambient::scope_in(&mut arena, || are_whole(&numbers(10)));
    assert_eq!(dropped(), 0);
    let slot = arena.keep(Counted(None)) as *mut Counted;
    let escaped = ambient::scope_in(&mut arena, || {
        // SAFETY: the value is there until the arena drops it. It frees a block of the very arena.
        unsafe { (*slot).0 = Some(numbers(20)) };
        numbers(10)
    });
    assert_eq!(dropped(), 2);
    assert_eq!((arena.bytes_held(), arena.allocation_limit()), (0, Some(1 << 20)));
    assert!(arena.end_scope(mark).is_err());
    are_whole(&escaped);
    drop((escaped, arena));
    assert_eq!(dropped(), 2);
}

#[test]
fn an_arena_without_room_is_as_it_was() {
    let mut arena = Arena::new();
    arena.set_allocation_limit(Some(0));
    assert_eq!(ambient::try_scope_in(&mut arena, || 1), Err(AllocError));
    arena.set_allocation_limit(None);
    assert_eq!(ambient::try_scope_in(&mut arena, || 1), Ok(1));
}

#[test]
fn an_arena_whose_memory_went_to_blocks_lost_its_chunk_cap() {
    let fill = |arena: &Arena| {
        while arena.bytes_held() < 400_000 {
            arena.alloc(1_u64);
        }
        arena.chunks().map(|chunk| chunk.size()).max()
    };
    let [mut retired, other] = [Arena::new(), Arena::new()];
    for arena in [&retired, &other] {
        arena.set_chunk_cap(8192);
        arena.set_allocation_limit(Some(1 << 20));
    }
    let escaped = ambient::scope_in(&mut retired, || numbers(1));
    assert_eq!(retired.allocation_limit(), Some(1 << 20));
    assert_eq!(fill(&retired), fill(&other));
    are_whole(&escaped);
}

#[test]
fn a_block_that_is_shrunk_stays_where_it_is_without_a_scope_and_without_memory() {
    const ALIGNS: [usize; 6] = [1, 8, 16, 64, 4096, 65_536];
    let layout = |size, align| Layout::from_size_align(size, align).unwrap();
    for old in ALIGNS {
        for new in ALIGNS.into_iter().filter(|new| *new <= old) {
            for size in [1, 7, 8, 100, 999, 1000] {
                let old = layout(1000, old);
                let mut arena = Arena::new();
                let allocate = || Here.allocate(old).unwrap().cast::<u8>();
                let start = ambient::scope_in(&mut arena, allocate);
                // SAFETY: the block is as long as its layout says, and freed with the last one.
                unsafe {
                    (0..size).for_each(|n| start.add(n).write(n as u8));
                    let shrunk = Here.shrink(start, old, layout(size, new));
                    assert_eq!(shrunk, Ok(std::ptr::NonNull::slice_from_raw_parts(start, size)));
                    assert!((0..size).all(|n| start.add(n).read() == n as u8));
                    let none = Here.shrink(start, layout(size, new), layout(0, new));
                    assert_eq!(none.map(|none| none.len()), Ok(0));
                }
            }
        }
    }
}

#[test]
fn blocks_that_were_shrunk_to_a_lower_alignment_go_on_as_any_other() {
    let layout = |size, align| Layout::from_size_align(size, align).unwrap();
    let mut arena = Arena::new();
    for size in [1000, 2_000_000] {
        ambient::scope_in(&mut arena, || {
            let neighbour = numbers(10);
            // SAFETY: each block is the one before, with its layout; the last is freed.
            unsafe {
                let start = Here.allocate(layout(size, 64)).unwrap().cast::<u8>();
                start.write_bytes(7, size);
                Here.shrink(start, layout(size, 64), layout(size, 1)).unwrap();
                Here.shrink(start, layout(size, 1), layout(size - 500, 1)).unwrap();
                let grown = Here.grow(start, layout(size - 500, 1), layout(2 * size, 1));
                let grown = grown.unwrap().cast::<u8>();
                let bytes = std::slice::from_raw_parts(grown.as_ptr(), size - 500);
                assert!(bytes.iter().all(|byte| *byte == 7));
                Here.deallocate(grown, layout(2 * size, 1));
            }
            are_whole(&neighbour);
        });
        assert!(arena.bytes_used() == 0 && arena.bytes_held() > 0);
        arena.check_invariants().unwrap();
    }
}

#[test]
fn alignment_and_length_change_together() {
    ambient::scope(|| {
        for (old, new) in [(1, 8), (8, 64), (64, 8), (4096, 16), (16, 16)] {
            let before = Layout::from_size_align(100, old).unwrap();
            let larger = Layout::from_size_align(300, new).unwrap();
            let smaller = Layout::from_size_align(50, old).unwrap();
            // SAFETY: each block is the one before, with its layout; the last is freed.
            unsafe {
                let block = Here.allocate(before).unwrap().cast::<u8>();
                block.write_bytes(7, 100);
                let block = Here.grow_zeroed(block, before, larger).unwrap().cast::<u8>();
                assert!(block.addr().get().is_multiple_of(new));
                let bytes = std::slice::from_raw_parts(block.as_ptr(), 300);
                assert!(bytes[..100].iter().all(|byte| *byte == 7));
                assert!(bytes[100..].iter().all(|byte| *byte == 0));
                let block = Here.shrink(block, larger, smaller).unwrap().cast::<u8>();
                assert!(block.addr().get().is_multiple_of(old));
                assert_eq!(block.add(49).read(), 7);
                let none = Layout::from_size_align(0, old).unwrap();
                let empty = Here.shrink(block, smaller, none).unwrap().cast();
                Here.deallocate(empty, none);
            }
        }
    });
    assert_eq!(size_of::<HereBox<u64, Here>>(), size_of::<usize>());
}
