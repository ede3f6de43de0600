//! The pocket: a small region whose pages are the bits of one word. It is what a heap starts with,
//! and all that one over a small buffer has.
//!
//! ```text
//! region  │ gap │ page 0 │ page 1 │ … │ page 63 │ rest │
//! free       1 bit for each page that nobody uses
//! starts     1 bit for each page that a run starts at
//! slabs      1 bit for each page that a slab starts at
//! ```
//!
//! Pages are as small as 64 of them make of the region, so that a buffer of a few kilobytes serves
//! several classes. There is nothing to set up, and what is known of a slab stands at its end.
//!
//! # Invariants
//!
//! 1. A page's bit in `free` is clear if it is of a run that was taken and not given back.
//! 2. A page's bit in `starts` is set if such a run starts there.
//! 3. The `count` pages from `base` on lie in the first `held` bytes of the region, which are
//!    committed; there are bits for these pages only.

mod plan;

use core::ptr::NonNull;

use allotrope_core::parts::SizeClass;
use allotrope_core::{Region, Source, poison};
use allotrope_sync::fatal::promised;

use self::plan::{HEAD, Plan, USUAL};
use crate::route::PAGE;
use crate::slab::Slab;

/// A small region in pages.
#[derive(Debug)]
pub(crate) struct Pocket {
    region: Region,
    /// How many bytes of the region are in use: all, or as many as the limit allows.
    held: usize,
    /// The first page.
    base: NonNull<u8>,
    /// The size of a page is two to this power.
    shift: u32,
    /// How many pages there are.
    count: u32,
    /// All pages.
    all: u64,
    free: u64,
    starts: u64,
    /// The first pages of slabs.
    slabs: u64,
}

/// The size in bytes of the first region, where the source has more than one.
pub(crate) const POCKET_SIZE: usize = 64 * 1024;

/// From which size on a region is worth a table of its pages.
pub(crate) const LEAST_PAGES_REGION: usize = 256 * 1024;

/// The smallest page, in bytes.
const LEAST_PAGE: usize = 64;

/// In how many pages a region is cut, at most: a word's bits.
const PAGES: u32 = u64::BITS;

/// Each page of a pocket of [`POCKET_SIZE`] has two to this power of bytes.
const USUAL_SHIFT: u32 = (POCKET_SIZE / PAGES as usize).trailing_zeros();

/// What a run of pages here is, for who walks over them.
pub(crate) struct PocketRun {
    pub(crate) start: NonNull<u8>,
    pub(crate) size: usize,
    pub(crate) is_slab: bool,
}

impl Pocket {
    /// The pages of the first `held` bytes of `region`, or of as many of them as 64 pages take. Gives
    /// the region back if it has none.
    ///
    /// # Safety
    ///
    /// The region is ours alone until it leaves the pocket again, it has as many bytes, and these are
    /// committed.
    pub(crate) unsafe fn new(region: Region, held: usize) -> Result<Self, Region> {
        let per_page = held / PAGES as usize;
        let per_page = per_page.next_power_of_two().clamp(LEAST_PAGE, PAGE);
        let gap = region.start().addr().get().wrapping_neg() & (per_page - 1);
        match held.saturating_sub(gap) / per_page {
            0 => Err(region),
            // SAFETY: as the caller promises; there is room for so many pages behind the gap.
            count => Ok(unsafe {
                Self::of(region, held, gap, per_page.trailing_zeros(), count.min(64) as u32)
            }),
        }
    }

    /// Would [`usual`](Self::usual) do?
    #[inline(always)]
    pub(crate) fn is_usual(region: &Region) -> bool {
        region.size() == POCKET_SIZE
            && region.committed() == POCKET_SIZE
            && region.start().addr().get().is_multiple_of(1 << USUAL_SHIFT)
    }

    /// The same as [`new`](Self::new) for the region that most heaps begin with, and a slab for the class
    /// that it begins with, if its blocks are no longer than a page.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new), and the region [is usual](Self::is_usual).
    #[inline(always)]
    pub(crate) unsafe fn usual(
        region: Region,
        class: Option<SizeClass>,
    ) -> (Self, Option<NonNull<Slab>>) {
        promised!(Self::is_usual(&region), "an unusual region", region.start().addr().get());
        let begun = class.filter(|class| class.block_size() <= 1 << USUAL_SHIFT);
        let plan = begun.map(|class| USUAL[class.index()]);
        let run = plan.map_or(0, |plan| u64::MAX >> (PAGES - plan.pages));
        let begins = u64::from(begun.is_some());
        let base = region.start();
        poison::poison(base, POCKET_SIZE);
        let slab = begun.zip(plan).map(|(class, plan)| {
            poison::unpoison(base, (plan.pages as usize) << USUAL_SHIFT);
            // SAFETY: the region's first pages are nobody's, and so many (caller, `USUAL`).
            unsafe { plan.place(base, USUAL_SHIFT, class) }
        });
        let (shift, count, all) = (USUAL_SHIFT, PAGES, u64::MAX);
        let (free, starts, slabs) = (all & !run, begins, begins);
        (Self { region, held: POCKET_SIZE, base, shift, count, all, free, starts, slabs }, slab)
    }

    /// `count` pages from `gap` on.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new), and so many pages, 1 to 64, lie in the region.
    #[inline(always)]
    unsafe fn of(region: Region, held: usize, gap: usize, shift: u32, count: u32) -> Self {
        // SAFETY: as the caller promises.
        let base = unsafe { region.start().add(gap) };
        let all = u64::MAX >> (PAGES - count);
        poison::poison(base, (count as usize) << shift);
        Self { region, held, base, shift, count, all, free: all, starts: 0, slabs: 0 }
    }

    /// The region, when nobody needs what is in it.
    pub(crate) fn into_region(self) -> Region {
        self.region
    }

    /// How many bytes of the region are in use.
    pub(crate) const fn bytes_held(&self) -> usize {
        self.held
    }

    /// Whether that is all of the region.
    pub(crate) const fn is_whole(&self) -> bool {
        self.held == self.region.size()
    }

    /// How many bytes of pages nobody uses.
    pub(crate) const fn bytes_free(&self) -> usize {
        (self.free.count_ones() as usize) << self.shift
    }

    /// Is nothing in use?
    pub(crate) const fn is_unused(&self) -> bool {
        self.free == self.all
    }

    /// Takes everything back.
    pub(crate) fn reset(&mut self) {
        (self.free, self.starts, self.slabs) = (self.all, 0, 0);
        poison::poison(self.base, (self.count as usize) << self.shift);
    }

    /// Does the address lie in the pages?
    #[inline(always)]
    pub(crate) fn page_of(&self, address: NonNull<u8>) -> Option<u32> {
        let offset = address.addr().get().wrapping_sub(self.base.addr().get());
        let page = offset >> self.shift;
        (page < 64 && self.all >> page & 1 == 1).then_some(page as u32)
    }

    /// Takes a run of `size` bytes at a multiple of `align`.
    pub(crate) fn take(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let count = self.pages_for(size)?;
        let page = self.take_pages(count, align)?;
        // SAFETY: just taken.
        Some(unsafe { self.address(page) })
    }

    /// How many pages have room for so many bytes, if there are as many.
    #[inline(always)]
    fn pages_for(&self, size: usize) -> Option<u32> {
        let count = size.div_ceil(1 << self.shift);
        (1..=64).contains(&count).then_some(count as u32)
    }

    /// The first byte of a page.
    ///
    /// # Safety
    ///
    /// It is one of the pocket's, or the end of the last.
    #[inline(always)]
    unsafe fn address(&self, page: u32) -> NonNull<u8> {
        // SAFETY: as the caller promises (invariant 3).
        unsafe { self.base.add((page as usize) << self.shift) }
    }

    /// Takes a run of `count` pages, and returns the first.
    #[inline(always)]
    fn take_pages(&mut self, count: u32, align: usize) -> Option<u32> {
        // A bit stays where so many pages from there on are free: the runs' length doubles.
        let (mut fit, mut length) = (self.free, 1);
        while length < count {
            let more = length.min(count - length);
            fit &= fit >> more;
            length += more;
        }
        let page = self.first_aligned(fit, align)?;
        let run = (u64::MAX >> (64 - count)) << page;
        self.free &= !run;
        self.starts |= 1 << page;
        // SAFETY: pages that were free are the pocket's (invariant 3).
        poison::unpoison(unsafe { self.address(page) }, (count as usize) << self.shift);
        Some(page)
    }

    /// The first page of `pages` whose address is a multiple of `align`.
    #[inline(always)]
    fn first_aligned(&self, pages: u64, align: usize) -> Option<u32> {
        if align <= 1 << self.shift {
            return (pages != 0).then(|| pages.trailing_zeros());
        }
        self.first_much_aligned(pages, align)
    }

    #[cold]
    #[inline(never)]
    fn first_much_aligned(&self, pages: u64, align: usize) -> Option<u32> {
        let base = self.base.addr().get();
        let mut left = pages;
        while left != 0 {
            let page = left.trailing_zeros();
            if (base + ((page as usize) << self.shift)).is_multiple_of(align) {
                return Some(page);
            }
            left &= left - 1;
        }
        None
    }

    /// The first page of the run that `page` is of.
    #[inline(always)]
    fn first_of(&self, page: u32) -> u32 {
        let before = self.starts & (u64::MAX >> (63 - page));
        63 - before.leading_zeros().min(63)
    }

    /// How many pages the run has that starts at `first`.
    fn pages_of(&self, first: u32) -> u32 {
        let used = !self.free & self.all;
        let ends = self.starts | !used;
        // The page behind the last counts as an end.
        let behind = (ends >> first) >> 1;
        if behind == 0 { 64 - first } else { behind.trailing_zeros() + 1 }
    }

    /// Gives a run back, and says how many bytes it had.
    ///
    /// # Safety
    ///
    /// `start` lies in the first page of a run that was taken, and nobody needs what is in it.
    pub(crate) unsafe fn give_back(&mut self, start: NonNull<u8>) -> usize {
        let Some(page) = self.page_of(start) else { return 0 };
        let first = self.first_of(page);
        promised!(
            self.starts >> first & 1 == 1,
            "a block that is not from here, or is freed twice",
            start.addr().get()
        );
        let count = self.pages_of(first);
        // SAFETY: runs are of the pocket's pages.
        let place = unsafe { self.address(first) };
        self.free |= (u64::MAX >> (64 - count)) << first;
        self.starts &= !(1 << first);
        self.slabs &= !(1 << first);
        poison::poison(place, (count as usize) << self.shift);
        (count as usize) << self.shift
    }

    /// Changes the size of a run in place, if it can.
    ///
    /// # Safety
    ///
    /// `start` is the start of a run that was taken, of which nobody needs more than `size` bytes.
    pub(crate) unsafe fn resize(&mut self, start: NonNull<u8>, size: usize) -> bool {
        let Some(first) = self.page_of(start) else { return false };
        let count = size.div_ceil(1 << self.shift);
        if count == 0 || count > 64 - first as usize {
            return false;
        }
        let (old, new) = (self.pages_of(first), count as u32);
        let run = |count: u32| (u64::MAX >> (64 - count)) << first;
        let more = run(old.max(new)) & !run(old.min(new));
        if new > old && self.free & more != more {
            return false;
        }
        self.free ^= more;
        // SAFETY: what follows the shorter run lies in the longer, or is its end.
        let place = unsafe { self.address(first + old.min(new)) };
        let bytes = (old.abs_diff(new) as usize) << self.shift;
        if new > old {
            poison::unpoison(place, bytes)
        } else {
            poison::poison(place, bytes)
        }
        true
    }

    /// Makes a slab for a class.
    #[inline(always)]
    pub(crate) fn take_slab(&mut self, class: SizeClass) -> Option<NonNull<Slab>> {
        let (size, align) = (class.block_size(), class.block_align());
        let is_usual = self.shift == USUAL_SHIFT && self.count == PAGES;
        let mut plan = if is_usual { USUAL[class.index()] } else { self.plan(size)? };
        let page = match self.take_pages(plan.pages, align) {
            Some(page) => page,
            None => {
                plan = Plan::of(size + HEAD, size, self.shift)?;
                self.take_pages(plan.pages, align)?
            }
        };
        self.slabs |= 1 << page;
        // SAFETY: the run was just taken.
        Some(unsafe { plan.place(self.address(page), self.shift, class) })
    }

    #[cold]
    #[inline(never)]
    fn plan(&self, size: usize) -> Option<Plan> {
        Plan::new(size, self.shift, self.count)
    }

    /// The slab that a block lies in, on this page.
    ///
    /// # Safety
    ///
    /// The page is one of a slab's.
    #[inline(always)]
    pub(crate) unsafe fn slab_of(&self, page: u32) -> NonNull<Slab> {
        let first = self.first_of(page);
        let end = ((first + self.pages_of(first)) as usize) << self.shift;
        // SAFETY: the run is one of the pocket's pages, and ends with the slab's head
        // (`Plan::place`).
        unsafe { self.base.add(end - HEAD) }.cast()
    }

    /// The runs in use, in address order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = PocketRun> {
        let mut left = self.starts;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let first = left.trailing_zeros();
            left &= left - 1;
            // SAFETY: runs are of the pocket's pages.
            let start = unsafe { self.address(first) };
            let size = (self.pages_of(first) as usize) << self.shift;
            Some(PocketRun { start, size, is_slab: self.slabs >> first & 1 == 1 })
        })
    }
}

/// Commits the first `size` bytes of a region.
///
/// # Safety
///
/// It is on loan from this source, and has as many.
pub(crate) unsafe fn commit_first(source: &impl Source, region: &Region, size: usize) -> bool {
    // SAFETY: as the caller promises.
    region.committed() >= size || unsafe { source.commit(region, 0..size) }.is_ok()
}
