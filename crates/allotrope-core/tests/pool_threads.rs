//! A pool on several threads.
//!
//! Goal: blocks that two threads have at once, blocks that are lost, calls that fail although there
//! is memory, bytes that a freeing thread wrote and the next user does not see.

use std::alloc::Layout;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;

use allotrope_core::{Broken, Buffer, ClassicPolicy, OsPages, Policy, Pool, Source};

const LAYOUT: Layout = Layout::new::<[u64; 8]>();

fn at_rest<S: Source, P: Policy>(pool: &Pool<S, P>) -> Result<(), Broken> {
    // SAFETY: who asks has waited for all threads.
    unsafe { pool.check_at_rest() }
}

/// A block that is on its way between threads, filled with a byte.
struct Sent(NonNull<u8>, Layout, u8);

// SAFETY: whoever has it has the block to itself.
unsafe impl Send for Sent {}

impl Sent {
    fn new<S: Source, P: Policy>(pool: &Pool<S, P>, layout: Layout, fill: u8) -> Option<Self> {
        let block = pool.allocate(layout).ok()?;
        assert!(block.addr().get().is_multiple_of(layout.align()));
        // SAFETY: a new block is valid for writes of its length.
        unsafe { block.cast::<u8>().write_bytes(fill, block.len()) };
        Some(Self(block.cast(), layout, fill))
    }

    fn free<S: Source, P: Policy>(self, pool: &Pool<S, P>) {
        let Self(block, layout, fill) = self;
        // SAFETY: `new` allocated it with this layout and filled it, and it is freed once.
        unsafe {
            let bytes = NonNull::slice_from_raw_parts(block, layout.size());
            assert!(bytes.as_ref().iter().all(|&byte| byte == fill), "somebody else wrote");
            pool.deallocate(block, layout);
        }
    }
}

fn rounds(normal: usize) -> usize {
    if cfg!(miri) { normal / 1000 + 1 } else { normal }
}

#[test]
fn blocks_cross_threads_both_ways() {
    let pool = Pool::new(OsPages::new());
    let (to_left, from_right) = mpsc::channel();
    let (to_right, from_left) = mpsc::channel();
    let work = |send: mpsc::Sender<Sent>, receive: mpsc::Receiver<Sent>, fill| {
        for n in 0..rounds(50_000) {
            let layout = Layout::from_size_align(1 + n * 7 % 4096, 1 << (n % 8)).unwrap();
            send.send(Sent::new(&pool, layout, fill).unwrap()).unwrap();
            if n % 3 != 0 {
                receive.recv().unwrap().free(&pool);
            }
        }
        drop(send);
        receive.iter().for_each(|sent| sent.free(&pool));
    };
    thread::scope(|threads| {
        threads.spawn(|| work(to_left, from_left, 1));
        work(to_right, from_right, 2);
    });
    assert_eq!((pool.bytes_used(), at_rest(&pool)), (0, Ok(())));
}

#[test]
fn a_producer_and_a_consumer_reuse_the_same_memory() {
    let pool = Pool::new(OsPages::new());
    let (send, receive) = mpsc::sync_channel(100);
    thread::scope(|threads| {
        let pool = &pool;
        threads.spawn(move || {
            for n in 0..rounds(200_000) {
                send.send(Sent::new(pool, LAYOUT, n as u8).unwrap()).unwrap();
            }
        });
        receive.iter().for_each(|sent: Sent| sent.free(pool));
    });
    assert_eq!((pool.bytes_used(), at_rest(&pool)), (0, Ok(())));
    // At most 102 blocks are in use at once; a chunk has a thousand.
    assert!(pool.bytes_held() <= 4 * 65536, "{}", pool.bytes_held());
}

#[test]
fn blocks_outlive_the_thread_that_allocated_them() {
    let pool = Pool::new(OsPages::new());
    let kept = Mutex::new(VecDeque::new());
    for n in 0..rounds(2000) {
        thread::scope(|threads| {
            threads.spawn(|| {
                let sent = Sent::new(&pool, LAYOUT, n as u8).unwrap();
                let mut kept = kept.lock().unwrap();
                kept.push_back(sent);
                if kept.len() > 50 {
                    kept.pop_front().unwrap().free(&pool);
                }
            });
        });
    }
    assert_eq!(pool.blocks_used(LAYOUT), kept.lock().unwrap().len());
    kept.into_inner().unwrap().into_iter().for_each(|sent| sent.free(&pool));
    assert_eq!((pool.bytes_used(), at_rest(&pool)), (0, Ok(())));
    // No more than a chunk for each shard, though there were thousands of threads.
    assert!(pool.bytes_held() <= 17 * 65536, "{}", pool.bytes_held());
}

/// Threads that hold no more blocks together than the pool has are never refused one, wherever the
/// free ones lie.
#[test]
fn bounded_demand_is_never_refused() {
    const THREADS: usize = 4;
    for size in [4 * 1024, 16 * 1024] {
        for round in 0..rounds(200) {
            let mut bytes = vec![MaybeUninit::uninit(); size];
            let pool = Pool::new(Buffer::new(&mut bytes));
            let layout = Layout::from_size_align(128, 1).unwrap();
            if round % 2 == 0 {
                let all: Vec<_> = std::iter::from_fn(|| Sent::new(&pool, layout, 9)).collect();
                assert_eq!(all.len(), pool.capacity(layout));
                all.into_iter().for_each(|sent| sent.free(&pool));
            }
            let count = 13;
            let start = Barrier::new(THREADS);
            let work = |thread: usize| {
                let mut held = VecDeque::new();
                start.wait();
                for n in 0..rounds(300) {
                    let sent = Sent::new(&pool, layout, thread as u8);
                    held.push_back(sent.expect("no more are in use than there are"));
                    if held.len() == count / THREADS {
                        (0..=n % 3).filter_map(|_| held.pop_front()).for_each(|s| s.free(&pool));
                    }
                }
                held.into_iter().for_each(|sent| sent.free(&pool));
            };
            let work = &work;
            thread::scope(|threads| {
                (0..THREADS).for_each(|thread| _ = threads.spawn(move || work(thread)));
            });
            assert_eq!((pool.bytes_used(), at_rest(&pool)), (0, Ok(())));
        }
    }
}

/// As above, down to the last block.
#[test]
fn the_last_free_block_is_found() {
    const THREADS: usize = 3;
    let mut bytes = vec![MaybeUninit::uninit(); 8 * 1024];
    let pool = Pool::new(Buffer::new(&mut bytes));
    let layout = LAYOUT;
    let mut all: Vec<_> = std::iter::from_fn(|| Sent::new(&pool, layout, 9)).collect();
    assert!(all.len() > THREADS);
    // All but one for each thread stay in use; those lie in one chunk.
    all.drain(..THREADS).for_each(|sent| sent.free(&pool));
    let served = AtomicUsize::new(0);
    thread::scope(|threads| {
        for thread in 0..THREADS {
            let (pool, served) = (&pool, &served);
            threads.spawn(move || {
                for _ in 0..rounds(50_000) {
                    let sent = Sent::new(pool, layout, thread as u8).expect("one is free");
                    served.fetch_add(1, Ordering::Relaxed);
                    sent.free(pool);
                }
            });
        }
    });
    assert_eq!(served.into_inner(), THREADS * rounds(50_000));
    assert_eq!(pool.blocks_used(layout), all.len());
    all.into_iter().for_each(|sent| sent.free(&pool));
}

#[test]
fn batches_and_single_calls_mix() {
    let pool = Pool::<_, ClassicPolicy>::with_policy(OsPages::new());
    thread::scope(|threads| {
        for thread in 0..3_usize {
            let pool = &pool;
            threads.spawn(move || {
                let mut places = [MaybeUninit::uninit(); 100];
                for n in 0..rounds(3000) {
                    let wanted = (n * 31 + thread) % 100;
                    let count = pool.allocate_batch(LAYOUT, &mut places[..wanted]);
                    assert_eq!(count, wanted);
                    // SAFETY: as many places as the call returned hold a block.
                    let blocks: Vec<NonNull<u8>> = places[..count]
                        .iter()
                        .map(|place| unsafe { place.assume_init() })
                        .collect();
                    // SAFETY: blocks of this layout, each freed once.
                    unsafe {
                        blocks.iter().for_each(|block| block.write_bytes(thread as u8, 64));
                        let (single, batch) = blocks.split_at(count / 3);
                        single.iter().for_each(|&block| pool.deallocate(block, LAYOUT));
                        for block in batch {
                            let bytes = NonNull::slice_from_raw_parts(*block, 64);
                            assert!(bytes.as_ref().iter().all(|&byte| byte == thread as u8));
                        }
                        pool.deallocate_batch(LAYOUT, batch);
                    }
                }
            });
        }
    });
    assert_eq!((pool.bytes_used(), at_rest(&pool)), (0, Ok(())));
}
