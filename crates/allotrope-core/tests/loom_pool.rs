//! Interleavings of a whole [`Pool`] over a small buffer.
//!
//! Goal: blocks go to one thread at a time, with what their last user left in them; nobody is
//! refused a block while one is free; afterwards every free block can be found.
//!
//! Method: as in `allotrope-sync`'s models. Each place where a block may lie has a `loom` cell
//! that only who has the block touches. Heads are larger under `loom`, so a model asks the pool how
//! many blocks there are.

#![cfg(loom)]

use std::alloc::Layout;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_core::{AllocError, Broken, Buffer, Policy, Pool, Region, Source};
use allotrope_sync::facade::{cell::UnsafeCell, thread};

/// Small chunks, so that one holds a few blocks.
struct Tiny;

const CHUNK: usize = 256;
const BLOCK: usize = 64;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = CHUNK;
    const GROWTH_SIZE: usize = CHUNK;
    const RESERVE_SIZE: usize = CHUNK;
}

const LAYOUT: Layout = Layout::new::<[u8; BLOCK]>();

#[repr(align(256))]
struct Page(#[allow(dead_code, reason = "only its address is used")] [MaybeUninit<u8>; CHUNK]);

/// A buffer that says of itself that it might call the pool that it supplies.
struct Suspect(Buffer<'static>);

// SAFETY: as for the buffer.
unsafe impl Source for Suspect {
    const MAY_REENTER: bool = true;
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.0.reserve(least, wanted)
    }
    unsafe fn release(&self, region: Region) {
        // SAFETY: as the caller promises.
        unsafe { self.0.release(region) };
    }
}

struct Model<S: Source + 'static = Buffer<'static>> {
    /// Never dropped: where a model fails, `loom` drops it when its atomics are dead already.
    pool: ManuallyDrop<Pool<S, Tiny>>,
    /// One for each block size in the memory.
    contents: Vec<UnsafeCell<u32>>,
    start: usize,
    _memory: Box<[Page]>,
}

impl Model {
    /// A pool with room for `chunks` chunks.
    fn new(chunks: usize) -> Arc<Self> {
        Self::over(chunks, |buffer| buffer)
    }

    /// As `new`, and all blocks are taken. Returns them, too.
    fn full(chunks: usize) -> (Arc<Self>, Vec<Block>) {
        let model = Self::new(chunks);
        let blocks: Vec<_> = std::iter::from_fn(|| model.take(0)).collect();
        assert!(blocks.len() >= 2 * chunks && model.pool.capacity(LAYOUT) == blocks.len());
        (model, blocks)
    }
}

impl<S: Source + 'static> Model<S> {
    fn over(chunks: usize, source: impl Fn(Buffer<'static>) -> S) -> Arc<Self> {
        let mut memory: Box<[Page]> =
            (0..chunks + 2).map(|_| Page([MaybeUninit::uninit(); CHUNK])).collect();
        let start = NonNull::from_mut(&mut *memory).cast::<u8>();
        // The region's head takes the first of them, and the last is not whole.
        let size = memory.len() * CHUNK - 1;
        // SAFETY: the memory is the pool's alone, and nobody uses the pool after it.
        let buffer = unsafe { Buffer::from_raw_parts(start, size) };
        Arc::new(Self {
            pool: ManuallyDrop::new(Pool::with_policy(source(buffer))),
            contents: (0..=size / BLOCK).map(|_| UnsafeCell::new(0)).collect(),
            start: start.addr().get(),
            _memory: memory,
        })
    }

    fn take(&self, shard: usize) -> Option<Block> {
        let block = self.pool.allocate_in(shard, LAYOUT).ok()?.cast();
        self.touch(block);
        Some(Block(block))
    }

    fn put(&self, Block(block): Block) {
        self.touch(block);
        // SAFETY: `take` took it, and it is put once.
        unsafe { self.pool.deallocate(block, LAYOUT) };
    }

    /// Does what only who has the block may.
    fn touch(&self, block: NonNull<u8>) {
        let cell = &self.contents[(block.addr().get() - self.start) / BLOCK];
        // SAFETY: the caller has the block; `loom` checks that nobody else does.
        cell.with_mut(|content| unsafe { *content += 1 });
    }

    fn at_rest(&self) -> Result<(), Broken> {
        // SAFETY: models ask when their threads have ended.
        unsafe { self.pool.check_at_rest() }
    }

    /// Puts what is left back, and finds it again.
    fn check(&self, blocks: Vec<Block>) {
        let count = self.pool.capacity(LAYOUT);
        blocks.into_iter().for_each(|block| self.put(block));
        assert_eq!((self.pool.bytes_used(), self.at_rest()), (0, Ok(())));
        let all: Vec<_> = (0..count).map_while(|_| self.take(5)).collect();
        assert_eq!(all.len(), count);
        all.into_iter().for_each(|block| self.put(block));
    }
}

/// A block that somebody has.
struct Block(NonNull<u8>);

// SAFETY: whoever has it has the block to itself.
unsafe impl Send for Block {}

fn with_other<S: Source + 'static, R: 'static>(
    model: &Arc<Model<S>>,
    work: impl FnOnce(&Model<S>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let model = Arc::clone(model);
    thread::spawn(move || work(&model))
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

#[test]
fn the_first_blocks_of_two_threads() {
    explore(2, || {
        let model = Model::new(2);
        let other = with_other(&model, |model| model.take(1).expect("there are more"));
        let mine = model.take(0).expect("there are more");
        let others = other.join().unwrap();
        assert!(mine.0 != others.0);
        model.check(vec![mine, others]);
    });
}

/// One of the threads borrows the buffer, and there is a chunk for the other one in it.
fn the_first_blocks_of_two_classes<S: Source + 'static>(source: fn(Buffer<'static>) -> S) {
    explore(2, move || {
        let model = Model::over(2, source);
        let other = with_other(&model, |model| {
            model.pool.allocate_in(1, Layout::new::<[u64; 4]>()).expect("there is a chunk for it");
        });
        let mine = model.take(0).expect("there is a chunk for it");
        other.join().unwrap();
        model.put(mine);
        assert_eq!(model.at_rest(), Ok(()));
    });
}

#[test]
fn two_classes_want_their_first_chunk() {
    the_first_blocks_of_two_classes(|buffer| buffer);
}

/// One of the threads makes the only chunk, and the other must wait until it sees it.
#[test]
fn the_first_blocks_of_two_threads_from_the_same_chunk() {
    explore(2, || {
        let model = Model::new(1);
        let other = with_other(&model, |model| model.take(1).expect("there are more"));
        let mine = model.take(0).expect("there are more");
        let others = other.join().unwrap();
        assert!(mine.0 != others.0);
        model.check(vec![mine, others]);
    });
}

#[test]
fn the_first_blocks_of_two_threads_of_one_shard() {
    explore(2, || {
        let model = Model::new(2);
        let other = with_other(&model, |model| model.take(0).expect("there are more"));
        let mine = model.take(0).expect("there are more");
        model.check(vec![mine, other.join().unwrap()]);
    });
}

/// There is a region already, with room for one chunk more, which both want.
fn the_last_chunk<S: Source + 'static>(source: fn(Buffer<'static>) -> S) {
    explore(2, move || {
        let model = Model::over(2, source);
        model.pool.allocate_in(0, Layout::new::<u8>()).expect("there is room");
        let other = with_other(&model, |model| model.take(1).expect("there are more"));
        let mine = model.take(0).expect("there are more");
        let others = other.join().unwrap();
        model.put(mine);
        model.put(others);
        assert_eq!(model.at_rest(), Ok(()));
    });
}

#[test]
fn two_threads_want_the_last_chunk() {
    the_last_chunk(|buffer| buffer);
}

#[test]
fn two_threads_want_the_last_chunk_of_a_source_that_might_call_the_pool() {
    the_last_chunk(Suspect);
}

#[test]
fn who_borrows_a_buffer_sees_what_the_borrower_before_did() {
    loom::model(|| {
        let bytes = Box::leak(Box::new([MaybeUninit::uninit(); 16]));
        let shared = Arc::new((Buffer::new(bytes), UnsafeCell::new(0)));
        let borrow = |(buffer, cell): &(Buffer<'static>, UnsafeCell<u32>)| {
            if let Ok(region) = buffer.reserve(1, 1) {
                // SAFETY: who has the region is the only one who does this.
                cell.with_mut(|count| unsafe { *count += 1 });
                // SAFETY: lent just above, and not used.
                unsafe { buffer.release(region) };
            }
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || borrow(&shared))
        };
        borrow(&shared);
        other.join().unwrap();
    });
}

/// Two threads, two blocks: nobody is ever refused.
fn two_threads_two_blocks(chunks: usize, free: [usize; 2], shards: [usize; 2]) {
    explore(2, move || {
        let (model, mut blocks) = Model::full(chunks);
        let free = free.map(|at| at.min(blocks.len() - 2));
        let [first, second] = [blocks.swap_remove(free[1]), blocks.swap_remove(free[0])];
        model.put(first);
        let other = with_other(&model, move |model| {
            model.put(second);
            let block = model.take(shards[1]).expect("no more are in use than there are");
            model.put(block);
        });
        for _ in 0..2 {
            let block = model.take(shards[0]).expect("no more are in use than there are");
            model.put(block);
        }
        other.join().unwrap();
        model.check(blocks);
    });
}

#[test]
fn two_threads_with_two_blocks_of_one_chunk() {
    two_threads_two_blocks(1, [0, 1], [1, 2]);
}

#[test]
fn two_threads_with_a_block_in_each_of_two_chunks() {
    two_threads_two_blocks(2, [0, usize::MAX], [1, 2]);
}

#[test]
fn two_threads_of_one_shard_with_a_block_in_each_of_two_chunks() {
    two_threads_two_blocks(2, [0, usize::MAX], [1, 1]);
}

#[test]
fn threads_of_one_shard_leave_no_chunk_behind() {
    explore(2, || {
        let (model, mut blocks) = Model::full(2);
        let (first, second) = (blocks.swap_remove(0), blocks.pop().unwrap());
        let other = with_other(&model, move |model| {
            model.put(first);
            model.take(0)
        });
        model.put(second);
        let mine = model.take(0);
        blocks.extend(other.join().unwrap());
        blocks.extend(mine);
        model.check(blocks);
    });
}

#[test]
fn batches_and_single_calls() {
    explore(2, || {
        let (model, mut blocks) = Model::full(1);
        let two = [blocks.pop().unwrap(), blocks.pop().unwrap()];
        two.into_iter().for_each(|block| model.put(block));
        let other = with_other(&model, |model| {
            let mut places = [MaybeUninit::uninit(); 2];
            let count = model.pool.allocate_batch_in(1, LAYOUT, &mut places);
            // SAFETY: as many places hold a block.
            let blocks = places[..count].iter().map(|place| unsafe { place.assume_init() });
            let blocks: Vec<_> = blocks.inspect(|&block| model.touch(block)).collect();
            blocks.iter().for_each(|&block| model.touch(block));
            // SAFETY: allocated above, and freed once.
            unsafe { model.pool.deallocate_batch(LAYOUT, &blocks) };
        });
        let mine = model.take(2);
        mine.into_iter().for_each(|block| model.put(block));
        other.join().unwrap();
        model.check(blocks);
    });
}
