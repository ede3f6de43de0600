//! The same engine over pages: granules of 4 KiB of reserved address space, whose sizes and links
//! stand in a table beside them, so that what is behind free pages can be decommitted.
//!
//! ```text
//! side table   │ size next prev size │ size next prev size │ …      one entry for a page
//! pages        │ used                │ free, decommitted   │ …
//! ```

extern crate std;

use self::std::vec;
use self::std::vec::Vec;
use core::ptr::NonNull;

use super::edges::Edges;
use super::space::{Run, Space};
use super::table::Table;
use crate::layout::area::edges_size;
use crate::layout::granule::BlockSize;
use crate::source::{OsPages, Region, Source};

const PAGE: usize = 4096;

/// Sizes and links in a table of their own; a place is a granule's number.
struct SideTable(Vec<[u32; 4]>);

// SAFETY: a free block's words are in the entries of its first and last granule, so free blocks,
// which do not overlap, do not share any.
unsafe impl Table for SideTable {
    type Place = u32;

    unsafe fn place(&self, granule: u32) -> u32 {
        granule
    }

    unsafe fn after(&self, place: u32, granules: u32) -> u32 {
        place + granules
    }

    unsafe fn before(&self, place: u32, granules: u32) -> u32 {
        place - granules
    }

    unsafe fn put(&mut self, block: u32, size: u32) {
        self.0[block as usize][0] = size;
        self.0[(block + size - 1) as usize][3] = size;
    }

    unsafe fn take(&mut self, _: u32, _: u32) {}

    unsafe fn hide(&mut self, _: u32, _: u32) {}

    unsafe fn size(&self, block: u32) -> u32 {
        self.0[block as usize][0]
    }

    unsafe fn size_before(&self, end: u32) -> u32 {
        self.0[end as usize - 1][3]
    }

    unsafe fn next(&self, block: u32) -> u32 {
        self.0[block as usize][1]
    }

    unsafe fn prev(&self, block: u32) -> u32 {
        self.0[block as usize][2]
    }

    unsafe fn set_next(&mut self, block: u32, next: u32) {
        self.0[block as usize][1] = next;
    }

    unsafe fn set_prev(&mut self, block: u32, prev: u32) {
        self.0[block as usize][2] = prev;
    }
}

/// Runs of pages of one reservation.
struct Pages {
    space: Space<SideTable>,
    region: Region,
    _bitmap: Vec<u64>,
}

impl Pages {
    fn new(pages: u32) -> Self {
        let size = pages as usize * PAGE;
        let region = OsPages::new().reserve(size, size).unwrap();
        let mut bitmap = vec![u64::MAX; edges_size(pages) / 8];
        let words = NonNull::new(bitmap.as_mut_ptr()).unwrap();
        let table = SideTable(vec![[7; 4]; pages as usize]);
        // SAFETY: table and bitmap have as many entries, and go with the space.
        let mut space = unsafe { Space::new(table, Edges::new(words)) };
        // SAFETY: as above, and the pages are nobody else's.
        unsafe { space.extend(pages) };
        Self { space, region, _bitmap: bitmap }
    }

    /// Takes `size` pages, and commits them.
    fn allocate(&mut self, size: u32) -> Option<Run> {
        let start = self.space.allocate(BlockSize::new(size as usize)?)?.start;
        let run = Run { start, size };
        // SAFETY: the range lies in the region, which is on loan.
        unsafe { OsPages::new().commit(&self.region, Self::bytes(run)).unwrap() };
        Some(run)
    }

    /// Gives pages back, and decommits them.
    fn free(&mut self, run: Run) {
        // SAFETY: the pages were allocated, and are freed once.
        unsafe {
            OsPages::new().decommit(&self.region, Self::bytes(run));
            self.space.free(run.start, run);
        }
    }

    fn bytes(run: Run) -> core::ops::Range<usize> {
        run.start as usize * PAGE..run.end() as usize * PAGE
    }

    /// The first word of a page, which is committed.
    fn word(&self, page: u32) -> NonNull<u64> {
        // SAFETY: the page lies in the region.
        unsafe { self.region.start().add(page as usize * PAGE).cast() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let empty = Region::new(self.region.bytes(), 0, self.region.contents());
        let region = core::mem::replace(&mut self.region, empty);
        // SAFETY: the region is on loan, and nobody uses it any more.
        unsafe { OsPages::new().release(region) };
    }
}

#[test]
fn pages_are_served_from_a_side_table_and_decommitted_while_they_are_free() {
    let all = 1 << 13;
    let mut pages = Pages::new(all);
    let mut held: Vec<Run> = Vec::new();
    let mut random = 1_u64;
    for _ in 0..2 * all {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let wanted = (random >> 33) as u32 % 100 + 1;
        if random >> 61 < 5
            && let Some(run) = pages.allocate(wanted)
        {
            for page in run.start..run.end() {
                // SAFETY: the page is committed, and this block's.
                let old = unsafe { pages.word(page).replace(u64::from(run.start) << 32 | 1) };
                assert_eq!(old, 0, "a free page was not decommitted");
            }
            held.push(run);
        } else if !held.is_empty() {
            let run = held.swap_remove((random >> 20) as usize % held.len());
            // SAFETY: the page is committed, and this block's.
            let first = unsafe { pages.word(run.start).read() };
            assert_eq!(first >> 32, u64::from(run.start), "two blocks share a page");
            pages.free(run);
        }
    }
    assert!(
        held.len() > 10,
        "{} blocks, {} of {all} pages free",
        held.len(),
        pages.space.free_granules()
    );
    let used: u32 = held.iter().map(|run| run.size).sum();
    assert_eq!(pages.space.free_granules(), all - used);
    held.drain(..).for_each(|run| pages.free(run));
    pages.space.settle();
    assert_eq!(pages.space.largest(), all, "all pages are one free block again");
    assert!(pages.allocate(all).is_some());
}
