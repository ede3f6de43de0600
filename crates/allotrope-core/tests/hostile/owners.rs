//! Allocators that are forgotten or move away, and containers that are.

use std::alloc::Layout;
use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allocator_api2::vec::Vec as VecIn;
use allotrope_core::{
    BestFit, Buffer, FixedSize, Local, Locked, OsPages, Pool, Segregated, Upstream,
};

use super::kinds::{Block, FIXED, Tiny, each, layout};

/// Memory of std's, counted.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

// SAFETY: every call is one of std's allocator.
unsafe impl Allocator for Counted {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.fetch_add(layout.size(), Ordering::Relaxed);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

/// Where the boxes of forgotten allocators are: LeakSanitizer looks here.
static FORGOTTEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// What pinned data rests on: memory that is never freed may be used for ever, even when the
/// allocator that it came from can no longer be reached.
#[test]
fn a_forgotten_allocator_took_its_blocks_along() {
    // What is forgotten goes with this one at last.
    let upstream = Locked::new(BestFit::new(OsPages::new()));
    let mut blocks = Vec::new();
    each::<Tiny, _>(
        || Upstream::new(&upstream),
        |_, memory| {
            blocks.extend(Block::new(&*memory, layout(FIXED, 8), blocks.len() as u8));
            let before = upstream.bytes_used();
            FORGOTTEN.lock().unwrap().push(Box::into_raw(memory).addr());
            assert_eq!(upstream.bytes_used(), before);
        },
    );
    assert_eq!(blocks.len(), 9);
    // Whoever gets memory now gets other memory.
    while upstream.allocate(layout(100_000, 8)).is_ok_and(|block| {
        // SAFETY: the block is new.
        unsafe { block.cast::<u8>().write_bytes(0xEE, block.len()) };
        upstream.bytes_used() < 10_000_000
    }) {}
    blocks.iter().for_each(|block| block.check(block.len));
}

/// `mem::forget` is safe: a buffer whose allocator was forgotten is free to use when its borrow
/// ends.
#[test]
fn a_buffer_stayed_lent_to_a_forgotten_allocator() {
    let mut bytes = [const { MaybeUninit::uninit() }; 8192];
    macro_rules! forget_and_make_again {
        ($($make:expr),*) => {$(
            for _ in 0..2 {
                let memory = $make(Buffer::new(&mut bytes));
                assert!(Allocator::allocate(&memory, layout(FIXED, 8)).is_ok());
                mem::forget(memory);
                // Under AddressSanitizer, what was poisoned stays so until the next allocator.
                if !cfg!(allotrope_asan) {
                    bytes.fill(MaybeUninit::new(0xEE));
                }
            }
        )*};
    }
    forget_and_make_again!(
        |buffer| Local::new(BestFit::new(buffer)),
        |buffer| Local::new(FixedSize::<FIXED, _>::new(buffer)),
        |buffer| Local::new(Segregated::new(buffer)),
        |buffer| Locked::new(BestFit::new(buffer)),
        Pool::new
    );
}

/// A container that is forgotten leaks its block, and never beyond its allocator.
#[test]
fn a_forgotten_container_kept_a_region_for_ever() {
    let upstream = Counted::default();
    each::<Tiny, _>(
        || Upstream::new(upstream.clone()),
        |name, memory| {
            for _ in 0..20 {
                let mut numbers = VecIn::with_capacity_in(FIXED / 8, &*memory);
                numbers.push(1_u64);
                mem::forget(numbers);
            }
            assert!(memory.used() >= 20 * FIXED, "{name}");
            memory.check();
            drop(memory);
            assert_eq!(upstream.bytes(), 0, "{name}");
        },
    );
}

/// What an allocator keeps of a thread (a shard, a hint) is no more than a hint.
#[test]
fn an_allocator_that_moved_away_left_its_blocks_behind() {
    each::<Tiny, _>(OsPages::new, |name, mut memory| {
        let mut blocks: Vec<Block> = Vec::new();
        for turn in 0..4_u8 {
            let sizes = [FIXED, 10, 33];
            blocks.extend(sizes.map(|size| Block::new(&*memory, layout(size, 8), turn).unwrap()));
            // Each thread gets the allocator with all its blocks, frees some, and hands it on.
            (memory, blocks) = thread::scope(|threads| {
                let moved = threads.spawn(move || {
                    blocks.iter().for_each(|block| block.check(block.len));
                    let block = blocks.swap_remove(0).resize(&*memory, layout(48, 16));
                    blocks.push(block.unwrap());
                    blocks.swap_remove(1).free(&*memory);
                    memory.check();
                    (memory, blocks)
                });
                moved.join().unwrap()
            });
        }
        assert_eq!(blocks.len(), 8, "{name}");
        blocks.into_iter().for_each(|block| block.free(&*memory));
        assert_eq!(memory.used(), 0, "{name}");
    });
}

/// A container that owns its allocator takes it along.
#[test]
fn a_container_that_owned_its_allocator_was_sent_without_it() {
    let mut numbers = VecIn::new_in(Local::new(BestFit::<_, Tiny>::with_policy(OsPages::new())));
    numbers.extend(0..1000_u32);
    let sum = thread::spawn(move || {
        numbers.extend(1000..2000);
        assert!(numbers.allocator().bytes_used() >= 8000);
        numbers.iter().sum::<u32>()
    });
    assert_eq!(sum.join().unwrap(), 1_999_000);
}
