//! Pages that keep a source to its word: what is not committed cannot be accessed, what is
//! discarded is overwritten, and memory that is promised has an end.
//!
//! Goal: an access to pages that were decommitted, or never committed; bytes taken for zero that
//! are not, also in a region that has grown; state lost when a commit is refused.
//!
//! Method: the random scripts of `allotrope-conformance` over such pages, trimmed now and then. An
//! access where there is nothing ends the test program.
//!
//! Where pages may be larger than here, or poison is what faults, there is nothing of this file.
#![cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    feature = "os-pages",
    not(any(allotrope_asan, miri))
))]

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr::{self, NonNull};

use allocator_api2::alloc::{self, Allocator};
use allotrope_conformance::Suite;
use allotrope_core::{
    AllocError, BestFit, Contents, FixedSize, Local, Movement, Policy, Pool, Region, Segregated,
    Source, Strategy,
};

/// The size of a page of the machine.
const PAGE: usize = 4096;

/// What these pages do.
#[derive(Clone, Copy, Debug)]
struct Ways {
    /// What new pages read as.
    contents: Contents,
    /// What decommitted pages read as once they are committed again.
    decommitted: Contents,
    /// How many pages may be committed at once.
    limit: usize,
    /// How many pages a region has that nobody has asked for.
    more: usize,
    /// How many pages of a region are committed when it is lent.
    at_once: usize,
    growth: Growth,
}

/// What comes of a region that is to grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Growth {
    Refused,
    Moves,
    /// It moves, and what is new in it is not zero.
    MovesToJunk,
}

/// Pages as a source.
struct Strict<const AHEAD: bool> {
    ways: Ways,
    regions: RefCell<Vec<Lent>>,
    committed: Cell<usize>,
}

struct Lent {
    start: usize,
    pages: Vec<Page>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Page {
    New,
    Committed,
    Decommitted,
}

const JUNK: u8 = 0xA7;

impl<const AHEAD: bool> Strict<AHEAD> {
    fn new(ways: Ways) -> Self {
        Self { ways, regions: RefCell::default(), committed: Cell::new(0) }
    }

    /// Allows or forbids access to a page.
    fn protect(page: NonNull<u8>, access: libc::c_int) {
        // SAFETY: the page is one of a region of ours (callers).
        assert_eq!(unsafe { libc::mprotect(page.as_ptr().cast(), PAGE, access) }, 0);
    }

    fn fill(page: NonNull<u8>, contents: Contents) {
        // SAFETY: the page is committed, and nobody needs what is in it (callers).
        unsafe { page.write_bytes(if contents == Contents::Zero { 0 } else { JUNK }, PAGE) };
    }

    fn commit_page(&self, place: NonNull<u8>, page: &mut Page, contents: Contents) -> bool {
        let contents = match *page {
            Page::Committed => return true,
            Page::New => contents,
            Page::Decommitted => self.ways.decommitted,
        };
        if self.committed.get() == self.ways.limit {
            return false;
        }
        self.committed.set(self.committed.get() + 1);
        Self::protect(place, libc::PROT_READ | libc::PROT_WRITE);
        Self::fill(place, contents);
        *page = Page::Committed;
        true
    }

    /// Calls `change` for the pages with these numbers, until it returns false.
    fn each(
        &self,
        region: &Region,
        numbers: Range<usize>,
        mut change: impl FnMut(NonNull<u8>, &mut Page) -> bool,
    ) -> bool {
        let mut regions = self.regions.borrow_mut();
        let start = region.start().addr().get();
        let lent = regions.iter_mut().find(|lent| lent.start == start).unwrap();
        assert_eq!(lent.pages.len() * PAGE, region.size());
        assert!(numbers.end <= lent.pages.len());
        // SAFETY: the region has such a page.
        let place = |number| unsafe { region.start().add(number * PAGE) };
        numbers.into_iter().all(|number| change(place(number), &mut lent.pages[number]))
    }

    /// All of `range` is committed.
    fn assert_committed(&self, region: &Region, range: &Range<usize>) {
        assert!(range.start <= range.end && range.end <= region.size());
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        assert!(self.each(region, pages, |_, page| *page == Page::Committed), "not committed");
    }

    fn map(size: usize) -> NonNull<u8> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
        // SAFETY: a new mapping changes no other memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        NonNull::new(start.cast()).unwrap()
    }

    /// Forgets a region, and returns its pages.
    fn forget(&self, region: &Region) -> Vec<Page> {
        let mut regions = self.regions.borrow_mut();
        let start = region.start().addr().get();
        let place = regions.iter().position(|lent| lent.start == start).unwrap();
        let pages = regions.swap_remove(place).pages;
        assert_eq!(pages.len() * PAGE, region.size(), "a region is released as it was lent");
        pages
    }
}

/// The whole pages in a range.
fn inside(range: &Range<usize>) -> Range<usize> {
    let (start, end) = (range.start.div_ceil(PAGE), range.end / PAGE);
    start..end.max(start)
}

// SAFETY: regions are mappings of their own; pages can be accessed while they are committed.
unsafe impl<const AHEAD: bool> Source for Strict<AHEAD> {
    const RESERVES_AHEAD: bool = AHEAD;

    const REGION_ALIGN: usize = PAGE;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        assert!(least > 0 && wanted >= least);
        if wanted > 1 << 30 {
            return Err(AllocError);
        }
        let count = wanted.div_ceil(PAGE) + self.ways.more;
        let start = Self::map(count * PAGE);
        let lent = Lent { start: start.addr().get(), pages: vec![Page::New; count] };
        self.regions.borrow_mut().push(lent);
        let bytes = NonNull::slice_from_raw_parts(start, count * PAGE);
        let region = Region::new(bytes, 0, self.ways.contents);
        let at_once = count.min(self.ways.at_once);
        let contents = self.ways.contents;
        if self.each(&region, 0..at_once, |place, page| self.commit_page(place, page, contents)) {
            return Ok(Region::new(bytes, at_once * PAGE, contents));
        }
        // SAFETY: nobody knows of it.
        unsafe { self.release(region) };
        Err(AllocError)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        assert!(range.start <= range.end && range.end <= region.size());
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let contents = region.contents();
        let commit = |place, page: &mut Page| self.commit_page(place, page, contents);
        if self.each(region, pages, commit) { Ok(()) } else { Err(AllocError) }
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        self.assert_committed(region, &range);
        let pages = inside(&range);
        let is_whole = pages.len() * PAGE == range.len();
        self.each(region, pages, |place, page| {
            Self::protect(place, libc::PROT_NONE);
            *page = Page::Decommitted;
            self.committed.set(self.committed.get() - 1);
            true
        });
        if is_whole { self.ways.decommitted } else { Contents::Unknown }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        self.assert_committed(region, &range);
        self.each(region, inside(&range), |place, _| {
            Self::fill(place, Contents::Unknown);
            true
        });
        Contents::Unknown
    }

    unsafe fn release(&self, region: Region) {
        let pages = self.forget(&region);
        let committed = pages.iter().filter(|page| **page == Page::Committed).count();
        self.committed.set(self.committed.get() - committed);
        // SAFETY: the region is a whole mapping that nobody uses (caller).
        unsafe { libc::munmap(region.start().as_ptr().cast(), region.size()) };
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        let count = size.div_ceil(PAGE);
        let growth = self.ways.growth;
        if growth == Growth::Refused || movement == Movement::Never || size > 1 << 30 {
            return Err(region);
        }
        let pages = self.regions.borrow();
        let old = pages.iter().find(|lent| lent.start == region.start().addr().get()).unwrap();
        let all = old.pages.iter().all(|page| *page == Page::Committed);
        assert!(all, "no strategy of ours grows a region that is not committed");
        if count < old.pages.len()
            || self.committed.get() + count - old.pages.len() > self.ways.limit
        {
            drop(pages);
            return Err(region);
        }
        drop(pages);
        let start = Self::map(count * PAGE);
        let contents = match growth {
            Growth::MovesToJunk => Contents::Unknown,
            _ => self.ways.contents,
        };
        for number in 0..count {
            // SAFETY: in the new mapping.
            let place = unsafe { start.add(number * PAGE) };
            Self::protect(place, libc::PROT_READ | libc::PROT_WRITE);
            Self::fill(place, contents);
        }
        // SAFETY: all of the old region is committed, and the new one is no shorter.
        unsafe { start.copy_from_nonoverlapping(region.start(), region.size()) };
        let committed = self.committed.get() + count - region.size() / PAGE;
        let lent = region.committed();
        // SAFETY: the caller gives up the old place.
        unsafe {
            self.forget(&region);
            libc::munmap(region.start().as_ptr().cast(), region.size());
        }
        self.committed.set(committed);
        let pages = vec![Page::Committed; count];
        self.regions.borrow_mut().push(Lent { start: start.addr().get(), pages });
        let bytes = NonNull::slice_from_raw_parts(start, count * PAGE);
        Ok(Region::new(bytes, lent, contents))
    }
}

impl<const AHEAD: bool> Drop for Strict<AHEAD> {
    fn drop(&mut self) {
        assert_eq!((self.regions.get_mut().len(), self.committed.get()), (0, 0));
    }
}

/// An allocator that can be trimmed.
trait Trimmed {
    type Allocator: Allocator;

    fn run<T>(&self, work: impl FnOnce(&Self::Allocator) -> T) -> T;
    fn trim(&self);
    fn check(&self) -> Result<(), String>;
}

impl<S: Strategy> Trimmed for Local<S> {
    type Allocator = Self;

    fn run<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        work(self)
    }

    fn trim(&self) {
        Local::trim(self);
    }

    fn check(&self) -> Result<(), String> {
        self.check_invariants().map_err(|broken| broken.to_string())
    }
}

impl<S: Source, P: Policy> Trimmed for RefCell<Pool<S, P>> {
    type Allocator = Pool<S, P>;

    fn run<T>(&self, work: impl FnOnce(&Pool<S, P>) -> T) -> T {
        work(&self.borrow())
    }

    fn trim(&self) {
        self.borrow_mut().trim();
    }

    fn check(&self) -> Result<(), String> {
        // SAFETY: there is one thread.
        unsafe { self.borrow().check_at_rest() }.map_err(|broken| broken.to_string())
    }
}

/// An allocator that is trimmed after some frees.
struct Often<T> {
    allocator: T,
    frees: Cell<usize>,
}

// SAFETY: every call is the one of the allocator inside, which keeps its blocks when it is trimmed.
unsafe impl<T: Trimmed> Allocator for Often<T> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, alloc::AllocError> {
        self.allocator.run(|allocator| allocator.allocate(layout))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, alloc::AllocError> {
        self.allocator.run(|allocator| allocator.allocate_zeroed(layout))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises; so below.
        self.allocator.run(|allocator| unsafe { allocator.deallocate(start, layout) });
        self.frees.set(self.frees.get() + 1);
        if self.frees.get().is_multiple_of(40) {
            self.allocator.trim();
        }
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, alloc::AllocError> {
        // SAFETY: as above.
        self.allocator.run(|allocator| unsafe { allocator.grow(start, old, new) })
    }

    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, alloc::AllocError> {
        // SAFETY: as above.
        self.allocator.run(|allocator| unsafe { allocator.grow_zeroed(start, old, new) })
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, alloc::AllocError> {
        // SAFETY: as above.
        self.allocator.run(|allocator| unsafe { allocator.shrink(start, old, new) })
    }
}

/// Chunks of a few pages, and many regions.
struct Small;

impl Policy for Small {
    const CHUNK_SIZE: usize = 4 * PAGE;
    const GROWTH_SIZE: usize = 8 * PAGE;
    const RESERVE_SIZE: usize = 64 * PAGE;
    const LARGEST_CLASS: usize = 1024;
}

/// Runs the suite over pages of all ways.
fn over_all_ways<T: Trimmed>(make: impl Fn(Ways) -> T) {
    use Contents::{Unknown, Zero};
    let ways = Ways {
        contents: Zero,
        decommitted: Zero,
        limit: usize::MAX,
        more: 0,
        at_once: 0,
        growth: Growth::Moves,
    };
    for ways in [
        ways,
        Ways { limit: 60, more: 3, growth: Growth::Refused, ..ways },
        Ways { decommitted: Unknown, at_once: 5, growth: Growth::MovesToJunk, ..ways },
        Ways { contents: Unknown, limit: 120, ..ways },
    ] {
        println!("{ways:?}");
        let make = |_| Often { allocator: make(ways), frees: Cell::new(0) };
        Suite::new(make)
            .invariants(|often: &Often<T>| often.allocator.check())
            .sweeps(false)
            .max_size(2 * PAGE)
            .max_align(PAGE)
            .max_live_bytes(200 * PAGE)
            .seeds(1..=2)
            .steps(3000)
            .assert();
    }
}

#[test]
fn best_fit_touches_nothing_that_is_not_committed() {
    over_all_ways(|ways| Local::new(BestFit::<_, Small>::with_policy(Strict::<false>::new(ways))));
    over_all_ways(|ways| Local::new(BestFit::<_, Small>::with_policy(Strict::<true>::new(ways))));
}

#[test]
fn fixed_size_touches_nothing_that_is_not_committed() {
    over_all_ways(|ways| {
        Local::new(FixedSize::<272, _, Small>::with_policy(Strict::<false>::new(ways)))
    });
    over_all_ways(|ways| {
        Local::new(FixedSize::<8192, _, Small>::with_policy(Strict::<true>::new(ways)))
    });
}

#[test]
fn segregated_touches_nothing_that_is_not_committed() {
    over_all_ways(|ways| {
        Local::new(Segregated::<_, Small>::with_policy(Strict::<false>::new(ways)))
    });
    over_all_ways(|ways| {
        Local::new(Segregated::<_, Small>::with_policy(Strict::<true>::new(ways)))
    });
}

#[test]
fn pool_touches_nothing_that_is_not_committed() {
    over_all_ways(|ways| RefCell::new(Pool::<_, Small>::with_policy(Strict::<false>::new(ways))));
    over_all_ways(|ways| RefCell::new(Pool::<_, Small>::with_policy(Strict::<true>::new(ways))));
}
