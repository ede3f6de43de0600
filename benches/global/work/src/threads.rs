//! Workloads of several threads.

use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use bench_kit::args::Args;
use bench_kit::rng::Rng;

use crate::block::Block;
use crate::{Work, sizes};

/// One thread allocates, the other frees: every free is remote.
pub fn xmalloc(args: &Args) -> Work<'static> {
    const BATCH: usize = 256;
    let batches = args.scale(5000);
    Box::new(move || {
        let sizes = sizes(8, 80.0, 0.9, 16, 1024);
        let (tx, rx) = sync_channel::<Vec<Block>>(64);
        let consumer = thread::spawn(move || rx.into_iter().map(|b| b.len()).sum::<usize>());
        for b in 0..batches {
            let batch =
                (0..BATCH).map(|i| Block::new(sizes[(b * BATCH + i) & 0xFFFF] as usize)).collect();
            tx.send(batch).expect("a consumer");
        }
        drop(tx);
        consumer.join().expect("no panic")
    })
}

/// Servers that replace blocks at random and hand their whole set to the next one.
pub fn larson(args: &Args) -> Work<'static> {
    let turns = 20;
    let per_turn = args.scale(30_000);
    Box::new(move || {
        let sizes = sizes(9, 128.0, 1.0, 16, 2048);
        let mut sets: Vec<Vec<Block>> = (0..2)
            .map(|_| (0..5000).map(|i| Block::new(sizes[i & 0xFFFF] as usize)).collect())
            .collect();
        for turn in 0..turns {
            sets = thread::scope(|s| {
                let running: Vec<_> = sets
                    .drain(..)
                    .enumerate()
                    .map(|(t, mut set)| {
                        let sizes = &sizes;
                        s.spawn(move || {
                            let mut rng = Rng::new((turn * 2 + t) as u64);
                            for i in 0..per_turn {
                                let k = rng.below(set.len());
                                set[k] = Block::new(sizes[(i + t) & 0xFFFF] as usize);
                            }
                            set
                        })
                    })
                    .collect();
                running.into_iter().map(|h| h.join().expect("no panic")).collect()
            });
        }
        turns * per_turn * 2
    })
}

/// Eight threads on whatever cores there are; one block in eight goes through slots that all
/// threads share.
pub fn mixed_eight(args: &Args) -> Work<'static> {
    let per_thread = args.scale(150_000);
    Box::new(move || {
        let sizes = sizes(10, 100.0, 1.3, 16, 16 << 10);
        let shared: Vec<SharedSlot> = (0..1024).map(|_| SharedSlot::default()).collect();
        thread::scope(|s| {
            for t in 0..8usize {
                let (sizes, shared) = (&sizes, &shared);
                s.spawn(move || {
                    let mut rng = Rng::new(100 + t as u64);
                    let mut held: Vec<Block> =
                        (0..2000).map(|i| Block::new(sizes[i] as usize)).collect();
                    for i in 0..per_thread {
                        let block = Block::new(sizes[(i * 7 + t) & 0xFFFF] as usize);
                        let r = rng.next_u64();
                        if r & 7 == 0 {
                            shared[(r >> 8) as usize & 1023].replace(block);
                        } else {
                            let k = (r >> 8) as usize % held.len();
                            held[k] = block;
                        }
                    }
                });
            }
        });
        drop(shared);
        8 * per_thread
    })
}

/// A boxed block, or null; owned.
#[derive(Default)]
struct SharedSlot(AtomicPtr<Block>);

impl SharedSlot {
    /// Puts a block in, and frees the one that was there.
    #[inline(always)]
    fn replace(&self, block: Block) {
        self.free(Box::into_raw(Box::new(block)));
    }

    #[inline(always)]
    fn free(&self, new: *mut Block) {
        let old = self.0.swap(new, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: the slot owned the box, which `replace` made, and the swap took it out.
            drop(unsafe { Box::from_raw(old) });
        }
    }
}

impl Drop for SharedSlot {
    fn drop(&mut self) {
        self.free(null_mut());
    }
}

/// Threads that live for 600 blocks and leave half of them to their parent,
/// who keeps those of the last 32 threads.
pub fn thread_churn(args: &Args) -> Work<'static> {
    let n = args.scale(800);
    Box::new(move || {
        let sizes = sizes(11, 100.0, 1.2, 16, 8192);
        let mut survivors: VecDeque<Vec<Block>> = VecDeque::new();
        for t in 0..n {
            let left = thread::scope(|s| {
                let sizes = &sizes;
                let mine = s.spawn(move || {
                    let mut v: Vec<Block> = (0..600)
                        .map(|i| Block::new(sizes[(t * 600 + i) & 0xFFFF] as usize))
                        .collect();
                    let mut keep = false;
                    v.retain(|_| {
                        keep = !keep;
                        keep
                    });
                    v
                });
                mine.join().expect("no panic")
            });
            survivors.push_back(left);
            if survivors.len() > 32 {
                survivors.pop_front();
            }
        }
        n
    })
}
