//! How a pool gets its regions.
//!
//! Goal: regions that are too many, and a pool that a refused region has spoiled.
//!
//! Method: a source that lends what the test says, and can make threads ask at the same moment.

use std::alloc::{self, Layout};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use allotrope_core::{AllocError, Contents, Pool, Region, Source};

const LAYOUT: Layout = Layout::new::<u64>();

/// Blocks of the system allocator as regions.
struct Regions<'a> {
    /// So many first calls wait for each other.
    together: Option<(&'a Barrier, usize)>,
    /// Regions of more bytes cannot be committed, and are lent only once.
    fit: usize,
    asked: &'a AtomicUsize,
    lent: &'a AtomicUsize,
}

fn region_layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

// SAFETY: regions are blocks of the system allocator, that stay until they are released.
unsafe impl Source for Regions<'_> {
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some((barrier, calls)) = self.together
            && asked < calls
        {
            barrier.wait();
        }
        let size = if asked == 0 { wanted } else { wanted.min(self.fit) };
        if size < least {
            return Err(AllocError);
        }
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc::alloc(region_layout(size)) }).ok_or(AllocError)?;
        self.lent.fetch_add(1, Ordering::Relaxed);
        Ok(Region::new(NonNull::slice_from_raw_parts(start, size), 0, Contents::Unknown))
    }

    unsafe fn commit(&self, region: &Region, _: Range<usize>) -> Result<(), AllocError> {
        if region.size() <= self.fit { Ok(()) } else { Err(AllocError) }
    }

    unsafe fn release(&self, region: Region) {
        self.lent.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: `reserve` allocated it with this layout.
        unsafe { alloc::dealloc(region.start().as_ptr(), region_layout(region.size())) };
    }
}

/// A table of regions that were added at once would be full before the memory is large.
#[test]
fn threads_that_need_a_region_at_once_add_one() {
    const THREADS: usize = 8;
    let (asked, lent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let barrier = Barrier::new(THREADS);
    let together = Some((&barrier, THREADS));
    let pool = Pool::new(Regions { together, fit: usize::MAX, asked: &asked, lent: &lent });
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| assert!(pool.allocate(LAYOUT).is_ok()));
        }
    });
    assert_eq!((asked.load(Ordering::Relaxed), lent.load(Ordering::Relaxed)), (THREADS, 1));
    assert_eq!(pool.blocks_used(LAYOUT), THREADS);
    drop(pool);
    assert_eq!(lent.load(Ordering::Relaxed), 0);
}

/// Chunks have the size that the first region suits: one that was given back is not the first.
#[test]
fn a_region_that_was_refused_leaves_no_trace() {
    let (asked, lent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let pool = Pool::new(Regions { together: None, fit: 4096, asked: &asked, lent: &lent });
    assert_eq!((pool.allocate(LAYOUT), lent.load(Ordering::Relaxed)), (Err(AllocError), 0));
    assert!(pool.allocate(LAYOUT).is_ok());
    assert_eq!(lent.load(Ordering::Relaxed), 1);
}
