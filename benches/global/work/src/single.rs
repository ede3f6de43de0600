//! Blocks that one thread allocates and frees.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::collections::VecDeque;
use std::hint::black_box;
use std::mem::MaybeUninit;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box as ABox;
use bench_kit::args::Args;
use bench_kit::rng::Rng;

use crate::block::Block;
use crate::{Work, sizes};

type Small<A> = ABox<MaybeUninit<[u64; 8]>, A>;

/// A 64-byte box of which only the first word is written, so that little else
/// than the allocator is counted.
#[inline(always)]
fn small<A: Allocator>(i: u64, home: A) -> Small<A> {
    let mut b = Small::new_in(MaybeUninit::uninit(), home);
    // SAFETY: the box is valid for a write of the first of its words.
    unsafe { b.as_mut_ptr().cast::<u64>().write(i) };
    black_box(b)
}

pub fn box_lifo<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    let turns = args.scale(4000);
    let mut held: Vec<Small<A>> = Vec::with_capacity(1000);
    Box::new(move || {
        for t in 0..turns {
            for i in 0..1000 {
                held.push(small(t as u64 ^ i, home));
            }
            held.drain(..).rev().for_each(drop);
        }
        turns * 1000
    })
}

pub fn box_fifo<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    let n = args.scale(3_000_000);
    Box::new(move || {
        let mut held: VecDeque<Small<A>> = VecDeque::with_capacity(10_001);
        for i in 0..n {
            held.push_back(small(i as u64, home));
            if held.len() > 10_000 {
                drop(held.pop_front());
            }
        }
        n
    })
}

pub fn box_random<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    let n = args.scale(2_500_000);
    Box::new(move || {
        let mut rng = Rng::new(1);
        let mut held: Vec<Small<A>> = (0..10_000).map(|i| small(i, home)).collect();
        for i in 0..n {
            let k = rng.below(held.len());
            held[k] = small(i as u64, home);
        }
        n
    })
}

pub fn mixed<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    churn(args.scale(2_000_000), 10_000, sizes(2, 96.0, 1.2, 16, 4096), home)
}

pub fn mid_blocks<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    churn(args.scale(200_000), 64, sizes(3, 48e3, 1.2, 8 << 10, 1 << 20), home)
}

/// Replaces random blocks of a live set.
fn churn<'a, A>(n: usize, live: usize, sizes: Vec<u32>, home: A) -> Work<'a>
where
    A: Allocator + Copy + 'a,
{
    Box::new(move || {
        let mut rng = Rng::new(4);
        let mut held: Vec<Block<A>> =
            (0..live).map(|i| Block::new_in(sizes[i & 0xFFFF] as usize, home)).collect();
        for i in 0..n {
            let k = rng.below(live);
            held[k] = Block::new_in(sizes[i & 0xFFFF] as usize, home);
        }
        n
    })
}

/// Zeroed blocks of 64 KiB to 64 MiB, touched once per 64 KiB; the small ones more often.
pub fn zeroed(args: &Args) -> Work<'static> {
    let turns = args.scale(16);
    Box::new(move || {
        let mut ops = 0;
        for _ in 0..turns {
            for k in 0..11usize {
                let layout = Layout::from_size_align(64 << 10 << k, 16).expect("a layout");
                for _ in 0..1 + (10 - k) * 2 {
                    // SAFETY: the size is not zero.
                    let start = unsafe { alloc_zeroed(layout) };
                    assert!(!start.is_null());
                    for at in (0..layout.size()).step_by(64 << 10) {
                        // SAFETY: `at` is inside of the block, which is initialized.
                        unsafe {
                            assert!(start.add(at).read_volatile() == 0);
                            start.add(at).write_volatile(1);
                        }
                    }
                    // SAFETY: the block came from this allocator with this layout.
                    unsafe { dealloc(start, layout) };
                    ops += 1;
                }
            }
        }
        ops
    })
}

/// One buffer growing by a quarter from 4 KiB to 128 MiB, its new pages touched.
pub fn realloc_growth(args: &Args) -> Work<'static> {
    let turns = args.scale(4);
    Box::new(move || (0..turns).map(|_| grow_to_128_mib()).sum())
}

fn grow_to_128_mib() -> usize {
    let mut ops = 0;
    let mut layout = Layout::from_size_align(4096, 8).expect("a layout");
    // SAFETY: the size is not zero.
    let mut start = unsafe { alloc(layout) };
    while layout.size() < 128 << 20 {
        let new_size = layout.size() + layout.size() / 4;
        // SAFETY: the block came from this allocator with this layout; the new size is one of a
        // layout, and not zero.
        start = unsafe { realloc(start, layout, new_size) };
        assert!(!start.is_null());
        for at in (layout.size()..new_size).step_by(4096) {
            // SAFETY: `at` is inside of the grown block.
            unsafe { start.add(at).write_volatile(1) };
        }
        layout = Layout::from_size_align(new_size, 8).expect("a layout");
        ops += 1;
    }
    // SAFETY: the block came from this allocator with this layout.
    unsafe { dealloc(start, layout) };
    ops
}
