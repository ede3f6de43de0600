//! Blocks with affixes: both are there whenever a block comes back.

use std::alloc::Layout;
use std::fmt::Debug;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_conformance::Suite;
use allotrope_core::{Affix, AllocError, BestFit, Buffer, Fallback, Local, Owns};

use super::{AffixedNest, best, bytes, layout, steps};

#[test]
fn affixes_of_several_shapes() {
    affixes((), ());
    affixes(7_u64, ());
    affixes((), *b"abc");
    affixes([1_u16; 3], 9_u32);
    affixes(OnALine([5; 64]), 1_u8);
    affixes(1_u8, OnALine([6; 64]));
}

/// A value that is aligned more strictly than most blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct OnALine([u8; 64]);

fn affixes<P, S>(prefix: P, suffix: S)
where
    P: Copy + Debug + PartialEq + Send,
    S: Copy + Debug + PartialEq + Send,
{
    let suite =
        Suite::new(|upstream| Guarded(Affix::new(best(&upstream), prefix, suffix), prefix, suffix));
    steps(suite).max_size(2048).only_from_upstream(true).assert_sent();
    let suite =
        Suite::new(|upstream| Guarded(Affix::new(upstream, prefix, suffix), prefix, suffix));
    steps(suite).max_size(2048).only_from_upstream(true).assert_sent();
}

/// Looks whether both affixes are as they should be whenever a block comes back.
struct Guarded<A, P, S>(Affix<A, P, S>, P, S);

impl<A, P: Copy + Debug + PartialEq, S: Copy + Debug + PartialEq> Guarded<A, P, S> {
    fn look(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: the block comes back with this layout, which is the only one that fits.
            let affixes =
                unsafe { (self.0.prefix(start).read(), self.0.suffix(start, layout).read()) };
            assert_eq!(affixes, (self.1, self.2));
        }
    }
}

// SAFETY: every call is the one of the allocator inside.
unsafe impl<A, P, S> Allocator for Guarded<A, P, S>
where
    A: Allocator,
    P: Copy + Debug + PartialEq,
    S: Copy + Debug + PartialEq,
{
    fn allocate(&self, layout: Layout) -> Outcome {
        Allocator::allocate(&self.0, layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Outcome {
        Allocator::allocate_zeroed(&self.0, layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.look(start, layout);
        // SAFETY: as the caller promises.
        unsafe { self.0.deallocate(start, layout) };
    }

    unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Outcome {
        self.look(start, old);
        // SAFETY: as the caller promises.
        unsafe { Allocator::grow(&self.0, start, old, new) }
    }

    unsafe fn grow_zeroed(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Outcome {
        self.look(start, old);
        // SAFETY: as the caller promises.
        unsafe { Allocator::grow_zeroed(&self.0, start, old, new) }
    }

    unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Outcome {
        self.look(start, old);
        // SAFETY: as the caller promises.
        unsafe { Allocator::shrink(&self.0, start, old, new) }
    }
}

/// What a call of allocator-api2 returns.
type Outcome = Result<NonNull<[u8]>, allocator_api2::alloc::AllocError>;

#[test]
fn affixes_around_a_nest_and_inside_of_one() {
    let suite = steps(Suite::of(AffixedNest)).limits(&[64]);
    suite.max_size(2048).only_from_upstream(true).assert_sent();
}

#[test]
fn a_block_behind_the_buffer_was_taken_for_one_with_affixes_in_it() {
    let mut bytes = bytes::<2048>();
    let (low, high) = bytes.split_at_mut(1024);
    let border = NonNull::from(&mut high[0]).cast::<u8>();
    let [low, high] = [low, high].map(|bytes| Local::new(BestFit::new(Buffer::new(bytes))));
    let low = Affix::new(low, 7_u64, ());
    // The bytes before it are the low half's, where its prefix would be.
    assert!(!low.owns(border, layout(1, 1)));
    let memory = Fallback::new(low, high);
    let aligned = layout(64, 256);
    let blocks: Vec<_> = std::iter::from_fn(|| memory.allocate(aligned).ok()).collect();
    assert!(memory.second().bytes_used() > 0);
    for block in blocks {
        // SAFETY: allocated above with this layout, and freed once.
        unsafe { memory.deallocate(block.cast(), aligned) };
    }
    let used = memory.with_first(|low| low.allocator().bytes_used());
    assert_eq!((used, memory.second().bytes_used()), (0, 0));
}

#[test]
fn affixes_stay_with_their_block() {
    let memory = Affix::new(Global, 1_u64, 2_u16);
    let (small, large) = (layout(5, 1), layout(5000, 256));
    let block = memory.allocate(small).unwrap();
    assert_eq!(block.len(), 5);
    // SAFETY: the block is live with the layout it was made for, here and below.
    unsafe { memory.prefix(block.cast()).write(10) };
    // SAFETY: as above.
    unsafe { memory.suffix(block.cast(), small).write(20) };
    // SAFETY: as above.
    let block = unsafe { memory.grow_zeroed(block.cast(), small, large) }.unwrap();
    // SAFETY: as above; all bytes beyond the fifth are zeroed.
    let bytes = unsafe { block.cast::<[u8; 5000]>().as_ref() };
    assert!(bytes[5..].iter().all(|&byte| byte == 0));
    // SAFETY: as above.
    let block = unsafe { memory.shrink(block.cast(), large, layout(3, 1)) }.unwrap();
    let start = block.cast();
    // SAFETY: as above.
    let affixes =
        unsafe { (memory.prefix(start).read(), memory.suffix(start, layout(3, 1)).read()) };
    assert_eq!(affixes, (10, 20));
    let largest = layout(isize::MAX as usize, 1);
    // SAFETY: as above.
    let failed = unsafe { memory.grow(start, layout(3, 1), largest) };
    assert_eq!([failed, memory.allocate(largest)], [Err(AllocError); 2]);
    // SAFETY: as above.
    unsafe { memory.deallocate(start, layout(3, 1)) };
}
