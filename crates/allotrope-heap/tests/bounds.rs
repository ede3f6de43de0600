//! What a heap does at the limits of its figures, and over sources that refuse half-way.
//!
//! Goal: numbers that are out of a table's range; memory that is read although the source never
//! made it usable. Both were found with nothing but safe calls.

use std::alloc::Layout;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;

use allotrope_core::{AllocError, OsPages, Region, Source};
use allotrope_heap::{LocalHeap, Strategy};

#[cfg(target_os = "linux")]
mod access {
    use super::*;

    /// Lets the pages that `range` of a region touches be accessed, or not.
    pub fn allow(region: &Region, range: Range<usize>, is_allowed: bool) {
        let page = OsPages::page_size();
        let start = range.start / page * page;
        let size = range.end.next_multiple_of(page).min(region.size()) - start;
        let access = if is_allowed { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_NONE };
        // SAFETY: the pages are those of a region on loan, which its borrower uses when committed.
        let result =
            unsafe { libc::mprotect(region.start().add(start).as_ptr().cast(), size, access) };
        assert_eq!(result, 0);
    }
}

#[cfg(not(target_os = "linux"))]
mod access {
    use super::*;

    pub fn allow(_: &Region, _: Range<usize>, _: bool) {}
}

/// `OsPages`, that lends no region larger than `largest`, and none smaller than `smallest`, from
/// `shift` bytes behind a page's start on, and commits as often as `commits` says. On Linux, what is
/// not committed cannot be read.
struct Scarce {
    smallest: usize,
    largest: usize,
    shift: usize,
    commits: Cell<usize>,
}

impl Scarce {
    fn new(smallest: usize, largest: usize, commits: usize) -> Self {
        Self { smallest, largest, shift: 0, commits: Cell::new(commits) }
    }

    /// The region of `OsPages` that a region of ours is the end of.
    fn whole(&self, region: &Region) -> Region {
        // SAFETY: the region starts so far behind the other one's start.
        let start = unsafe { region.start().sub(self.shift) };
        let bytes = NonNull::slice_from_raw_parts(start, region.size() + self.shift);
        Region::new(bytes, 0, region.contents())
    }
}

// SAFETY: the regions are parts of those of `OsPages`; a commit that is refused changes nothing.
unsafe impl Source for Scarce {
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        if least > self.largest {
            return Err(AllocError);
        }
        let size = wanted.clamp(self.smallest, self.largest).max(least) + self.shift;
        let whole = OsPages::new().reserve(size, size)?;
        access::allow(&whole, 0..whole.size(), false);
        // SAFETY: the region is longer than `shift`.
        let start = unsafe { whole.start().add(self.shift) };
        let bytes = NonNull::slice_from_raw_parts(start, whole.size() - self.shift);
        Ok(Region::new(bytes, 0, whole.contents()))
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        self.commits.set(self.commits.get().checked_sub(1).ok_or(AllocError)?);
        let range = range.start + self.shift..range.end + self.shift;
        access::allow(&self.whole(region), range.clone(), true);
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().commit(&self.whole(region), range) }
    }

    unsafe fn release(&self, region: Region) {
        let whole = self.whole(&region);
        access::allow(&whole, 0..whole.size(), true);
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().release(whole) };
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

#[test]
fn whatever_commit_fails_nothing_is_read_that_is_not_there_and_nothing_is_lost() {
    let layouts = [(16, 8), (700, 4), (5000, 1), (100_000, 4096), (3 << 20, 1), (40, 8)];
    let layouts = layouts.map(|(size, align)| Layout::from_size_align(size, align).unwrap());
    for smallest in [1, 1 << 16, 300_000, 1 << 20, 1 << 29] {
        for shift in [0, 1, 24, 4095] {
            // Under AddressSanitizer, all of a region's tables are poisoned each time.
            for commits in 0..if cfg!(allotrope_asan) { 4 } else { 16 } {
                let source = Scarce { shift, ..Scarce::new(smallest, 1 << 30, commits) };
                let heap = LocalHeap::new(source);
                let mut held = Vec::new();
                for layout in layouts.iter().cycle().take(18) {
                    let Ok(block) = heap.allocate(*layout) else { continue };
                    // SAFETY: the block is new, and as long as it says.
                    unsafe { block.cast::<u8>().write_bytes(held.len() as u8, block.len()) };
                    held.push((block, *layout));
                }
                let used: usize = held.iter().map(|(block, _)| block.len()).sum();
                assert_eq!((heap.bytes_used(), heap.copy_blocks(&mut [])), (used, held.len()));
                heap.check_invariants().unwrap();
                heap.trim();
                for (mark, (block, layout)) in held.into_iter().enumerate() {
                    // SAFETY: the block is ours, all of it was written above, and it is freed once.
                    unsafe {
                        assert!(block.as_ref().iter().all(|byte| *byte == mark as u8));
                        heap.deallocate(block.cast(), layout);
                    }
                }
                heap.check_invariants().unwrap();
                assert_eq!((heap.bytes_used(), heap.stats().used()), (0, 0));
                heap.trim();
            }
        }
    }
}
