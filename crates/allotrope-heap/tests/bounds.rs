//! What a heap does at the limits of its figures, and over sources that refuse half-way.
//!
//! Goal: numbers that are out of a table's range; memory that is read although the source never
//! made it usable. Both were found with nothing but safe calls.

use std::alloc::Layout;
use std::cell::Cell;
use std::ops::Range;

use allotrope_core::{AllocError, OsPages, Region, Source};
use allotrope_heap::{LocalHeap, Strategy};

/// `OsPages`, that lends no region larger than `largest`, and none smaller than `smallest`, and
/// commits as often as `commits` says.
struct Scarce {
    smallest: usize,
    largest: usize,
    commits: Cell<usize>,
}

impl Scarce {
    fn new(smallest: usize, largest: usize, commits: usize) -> Self {
        Self { smallest, largest, commits: Cell::new(commits) }
    }
}

// SAFETY: the regions are those of `OsPages`; a commit that is refused changes nothing.
unsafe impl Source for Scarce {
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        if least > self.largest {
            return Err(AllocError);
        }
        let size = wanted.clamp(self.smallest, self.largest).max(least);
        OsPages::new().reserve(size, size)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        self.commits.set(self.commits.get().checked_sub(1).ok_or(AllocError)?);
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().commit(region, range) }
    }

    unsafe fn release(&self, region: Region) {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().release(region) };
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_request_for_more_pages_than_any_run_has_is_refused_before_a_bin_is_looked_up() {
    let heap = LocalHeap::new(Scarce::new(0, 64 << 20, usize::MAX));
    let pages = heap.with(Strategy::BestFit);
    let layout = |size| Layout::from_size_align(size, 1).unwrap();
    // A free run of several sizes' bin, between blocks in use.
    let blocks = [1, 100, 1].map(|count| pages.allocate(layout(count * 4096)).unwrap().cast());
    // SAFETY: allocated above with this layout.
    unsafe { pages.deallocate(blocks[1], layout(100 * 4096)) };
    for shift in 12..40 {
        for size in [(1_usize << 31 << 12) - 4096, 1 << 31 << 12, 3 << 31 << 12, 1 << 12 << shift] {
            let refused = size > 64 << 20;
            for align in [1, 4096, 1 << 16] {
                let request = Layout::from_size_align(size, align).unwrap();
                assert!(!refused || heap.allocate(request).is_err(), "{size} {align}");
                assert!(!refused || pages.allocate(request).is_err(), "{size} {align}");
            }
        }
    }
    heap.check_invariants().unwrap();
}

#[test]
fn a_region_of_which_only_the_head_was_committed_is_not_read() {
    for commits in 0..8 {
        let heap = LocalHeap::new(Scarce::new(1 << 29, 1 << 30, commits));
        let _ = heap.allocate(Layout::new::<[u8; 100]>());
        let _ = heap.allocate(Layout::new::<[u8; 100_000]>());
        heap.check_invariants().unwrap();
        let stats = heap.stats();
        assert_eq!(stats.used(), heap.bytes_used(), "{commits} commits");
        let _ = (heap.copy_blocks(&mut []), heap.bytes_free(), heap.largest_free_block());
        heap.trim();
        heap.check_invariants().unwrap();
    }
}
