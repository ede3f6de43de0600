//! Random interleavings of a whole [`Pool`] with more threads than `loom` can explore.
//!
//! Goal: of six threads, no two have a block at once; nobody is refused one although together they
//! hold no more than there are; afterwards every free block is found.
//!
//! Method: as in `allotrope-sync`'s `shuttle_slots.rs`. Each place where a block may lie has a cell
//! that only who has the block touches, and that notices another.
#![cfg(shuttle)]

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_core::{Buffer, Policy, Pool};
use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::thread;
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};

/// How many threads there are, how often each takes blocks, and how many at a time at the most.
const THREADS: usize = 6;
const ROUNDS: usize = 8;
const MOST: usize = 3;

const LAYOUT: Layout = Layout::new::<[u8; 64]>();
const CHUNK: usize = 512;

/// Small chunks, so that threads pass them on.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = CHUNK;
    const GROWTH_SIZE: usize = CHUNK;
    const RESERVE_SIZE: usize = CHUNK;
}

#[repr(align(512))]
struct Page(#[allow(dead_code, reason = "only its address is used")] [MaybeUninit<u8>; CHUNK]);

struct Model {
    pool: Pool<Buffer<'static>, Tiny>,
    contents: Vec<UnsafeCell<usize>>,
    start: usize,
    _memory: Box<[Page]>,
}

// SAFETY: a content is touched by who has its block; the cell notices if not.
unsafe impl Sync for Model {}

impl Model {
    fn new() -> Self {
        let mut memory: Box<[Page]> =
            (0..8).map(|_| Page([MaybeUninit::uninit(); CHUNK])).collect();
        let start = NonNull::from_mut(&mut *memory).cast::<u8>();
        let size = memory.len() * CHUNK;
        // SAFETY: the memory is the pool's alone, and goes after it.
        let buffer = unsafe { Buffer::from_raw_parts(start, size) };
        Self {
            pool: Pool::with_policy(buffer),
            contents: (0..size / LAYOUT.size()).map(|_| UnsafeCell::new(0)).collect(),
            start: start.addr().get(),
            _memory: memory,
        }
    }

    /// Does what only who has the block may.
    fn touch(&self, block: NonNull<u8>) {
        let cell = &self.contents[(block.addr().get() - self.start) / LAYOUT.size()];
        // SAFETY: the caller has the block, or the cell notices.
        cell.with_mut(|content| unsafe { *content += 1 });
    }

    fn take(&self, shard: usize) -> NonNull<u8> {
        let block = self.pool.allocate_in(shard, LAYOUT).expect("there are enough for all");
        self.touch(block.cast());
        block.cast()
    }

    fn take_many(&self, shard: usize) -> Vec<NonNull<u8>> {
        let mut places = [MaybeUninit::uninit(); MOST];
        let count = self.pool.allocate_batch_in(shard, LAYOUT, &mut places);
        assert_eq!(count, MOST, "there are enough for all");
        // SAFETY: as many places hold a block.
        let blocks: Vec<_> = places.iter().map(|place| unsafe { place.assume_init() }).collect();
        blocks.iter().for_each(|&block| self.touch(block));
        blocks
    }

    fn put(&self, blocks: &[NonNull<u8>]) {
        blocks.iter().for_each(|&block| self.touch(block));
        if let [block] = *blocks {
            // SAFETY: taken above, and put once.
            unsafe { self.pool.deallocate(block, LAYOUT) };
        } else {
            // SAFETY: as above.
            unsafe { self.pool.deallocate_batch(LAYOUT, blocks) };
        }
    }

    /// What thread `number` does. Some threads share a shard.
    fn work(&self, number: usize) {
        let shard = number / 2;
        for round in 0..ROUNDS {
            match (number + round) % 3 {
                0 => self.put(&[self.take(shard)]),
                1 => self.put(&self.take_many(shard)),
                _ => {
                    let blocks: Vec<_> = (0..MOST).map(|_| self.take(shard)).collect();
                    blocks.iter().for_each(|&block| self.put(&[block]));
                }
            }
        }
    }
}

fn model() {
    let model = Arc::new(Model::new());
    // All chunks have this class, and there are blocks for every thread.
    let all: Vec<_> = (0..).map_while(|_| model.pool.allocate_in(0, LAYOUT).ok()).collect();
    assert!(all.len() >= THREADS * MOST);
    all.iter().for_each(|block| model.put(&[block.cast()]));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.work(number))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // SAFETY: all threads have ended.
    assert_eq!(unsafe { model.pool.check_at_rest() }, Ok(()));
    assert_eq!((model.pool.bytes_used(), model.pool.blocks_used(LAYOUT)), (0, 0));
}

/// Runs the model as `scheduler` says.
fn check(scheduler: impl Scheduler + 'static) {
    let mut config = shuttle::Config::new();
    // It has no weak memory: we know.
    config.silence_warnings = true;
    config.stack_size = 1 << 18;
    Runner::new(scheduler, config).run(model);
}

#[test]
fn six_threads_share_a_few_chunks() {
    check(RandomScheduler::new_from_seed(1, 2000));
}

#[test]
fn six_threads_share_a_few_chunks_with_few_switches() {
    check(PctScheduler::new_from_seed(1, 4, 2000));
}
