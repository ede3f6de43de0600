//! What a large zeroed block of an arena costs before anybody writes to it.
//!
//! Goal: memory that the system has just lent as zeros, and that is written all the same.
//! It stands alone, because it looks at the whole process.

#![cfg(all(target_os = "linux", target_pointer_width = "64", not(loom)))]

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box as ArenaBox;
use allotrope_core::OsPages;
use allotrope_scope::ambient::{self, Here};
use allotrope_scope::{Arena, ArenaPool, SharedArena};

const SIZE: usize = 1 << 30;

type Words = [u64; SIZE / 8];

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * OsPages::page_size()
}

/// The memory that `work` takes is a small part of the block, also where a sanitizer has a byte for
/// each eight.
#[track_caller]
fn costs_little<R>(work: impl FnOnce() -> R) -> R {
    let before = resident();
    let result = work();
    let grown = resident().saturating_sub(before);
    assert!(grown < SIZE / 4, "{} MiB more", grown >> 20);
    result
}

fn boxed<A: Allocator>(allocator: A) {
    costs_little(|| {
        let words = ArenaBox::<Words, A>::new_zeroed_in(allocator);
        // SAFETY: zeros are words.
        let mut words = unsafe { words.assume_init() };
        assert!(words.iter().step_by(1 << 20).all(|word| *word == 0));
        words[SIZE / 16] = 1;
    });
}

/// Grows a block of `size` bytes to a large one.
fn grown(allocator: &impl Allocator, size: usize) {
    let [old, new] = [size, SIZE].map(|size| Layout::from_size_align(size, 8).unwrap());
    costs_little(|| {
        let block = allocator.allocate(old).unwrap().cast::<u8>();
        // SAFETY: the block is new, and so long; then it is the larger one.
        unsafe {
            block.write_bytes(7, size);
            let block: NonNull<u8> = allocator.grow_zeroed(block, old, new).unwrap().cast();
            assert_eq!(
                [block.read(), block.add(size - 1).read(), block.add(size).read()],
                [7, 7, 0]
            );
            allocator.deallocate(block, new);
        }
    });
}

#[test]
fn a_gibibyte_of_zeros_costs_nothing_until_it_is_written() {
    // The first block, and one beside others.
    boxed(Arena::new());
    let mut arena = Arena::new();
    arena.alloc(1_u64);
    arena.scope(|scope| boxed(&*scope));
    arena.shrink_to(0);
    boxed(&arena);

    grown(&Arena::new(), 1000);
    for size in [1000, 60_000, 1 << 20] {
        let arena = Arena::new();
        arena.alloc(1_u64);
        grown(&&arena, size);
    }

    let shared = SharedArena::new();
    shared.alloc(1_u64);
    boxed(&shared);
    let shared = SharedArena::new();
    boxed(shared.local());
    grown(&&SharedArena::new(), 60_000);

    let pool = ArenaPool::new();
    assert_eq!(*pool.get().alloc(1), 1);
    boxed(&*pool.get());

    ambient::scope(|| boxed(Here));
    ambient::scope(|| grown(&Here, 60_000));
}
