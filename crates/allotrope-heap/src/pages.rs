//! Pages: a region in pages of 4 KiB, with best fit over runs of them.
//!
//! ```text
//! region  │ head │ dirty: 1 bit │ edges: 1 bit │ entries: 16 bytes │ slabs: 48 │ gap │ pages …
//!         for each page ─┴──────────────┴───────────────┴──────────────┘
//! ```
//!
//! The engine is that of `BestFit`: the smallest free run that is long enough serves a request, and a
//! run that is freed joins its free neighbours at once. All that is known of a page stands in tables
//! beside the pages, so what is behind free ones can be given back to the source while their
//! addresses stay. As the region is used, its tables and pages are committed, from its start on.
//!
//! From 4 MiB on, huge pages are asked for, for all that will be committed: a heap that has grown so
//! far makes hundreds of faults for each else. Smaller heaps keep to what they touch.
//!
//! # Invariants
//!
//! 1. Every run in use is noted in the entries, and is a slab or a block.
//! 2. A page that is free and not dirty reads as zero.
//! 3. `used` is how many pages are in use.
//! 4. All parts lie in the region, at `places`, and the region is on loan from the source that each
//!    method is called with. What lies below `granules` pages, of tables and pages, is committed.

mod dirty;
mod held;
mod places;

use core::ptr::NonNull;

use allotrope_core::parts::{BlockSize, Edges, Run, Space};
use allotrope_core::{Contents, Region, Source, poison};
use allotrope_sync::fatal::promised;

use self::dirty::Dirty;
use self::places::Places;
pub(crate) use self::places::region_size;
use crate::entries::{Entries, Kind};
use crate::finder::SlabFinder;
use crate::route::PAGE;
use crate::slab::Slab;

/// A region in pages; stands at the region's start.
#[derive(Debug)]
pub(crate) struct Pages {
    space: Space<Entries>,
    entries: Entries,
    region: Region,
    pub(crate) next: Option<NonNull<Pages>>,
    places: Places,
    /// The first page.
    base: NonNull<u8>,
    dirty: Dirty,
    slabs: NonNull<Slab>,
    /// How many pages the tables are committed for.
    tabled: u32,
    pub(crate) used: u32,
    /// Do pages read as zero that nobody used?
    is_zeroed: bool,
}

/// A run of pages that was just taken.
pub(crate) struct TakenRun {
    pub(crate) start: NonNull<u8>,
    /// Its first page.
    pub(crate) first: u32,
    /// Whether it reads as zero.
    pub(crate) is_zero: bool,
}

/// How many bytes a page takes together with what is known of it.
pub(crate) const PAGE_COST: usize = PAGE + 16 + size_of::<Slab>();

/// For how many pages tables are committed at once: for 32 MiB.
const TABLED_AT_ONCE: u32 = 8192;

/// From so many pages on, huge pages are asked for: from 4 MiB.
const HUGE_FROM: u32 = 1024;

/// How many pages a huge page has, on most machines: 2 MiB.
const HUGE_PAGES: u32 = 512;

/// No slab has more than this part of a region, so that there is enough for many classes.
const SHARERS: u32 = 32;

impl Pages {
    /// Makes pages of a region, of which none are committed yet. Gives the region back if it cannot.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source, and nobody uses it.
    #[inline(never)]
    pub(crate) unsafe fn open(
        source: &impl Source,
        region: Region,
    ) -> Result<NonNull<Self>, Region> {
        let start = region.start();
        let Some(places) = Places::new(start.addr().get(), region.size()) else {
            return Err(region);
        };
        // SAFETY: the range lies in the region, which is on loan (caller).
        if unsafe { source.commit(&region, places.head..places.dirty) }.is_err() {
            return Err(region);
        }
        poison::unpoison(start, places.pages);
        // SAFETY: all places lie in the region (`Places::new`).
        let at = |offset: usize| unsafe { start.add(offset) };
        let entries = Entries::new(at(places.entries).cast());
        let is_zeroed = region.contents() == Contents::Zero;
        // SAFETY: the space is extended as far as both tables are committed (`extend_tables`), and
        // their places have room for the region's capacity.
        let space = unsafe { Space::new(entries, Edges::new(at(places.edges).cast())) };
        let pages = Self {
            space,
            entries,
            region,
            next: None,
            places,
            base: at(places.pages),
            dirty: Dirty::new(at(places.dirty).cast()),
            slabs: at(places.slabs).cast(),
            tabled: 0,
            used: 0,
            is_zeroed,
        };
        let head = at(places.head).cast::<Self>();
        // SAFETY: the place is committed, aligned (`Places::of`), and ours alone (caller).
        unsafe { head.write(pages) };
        Ok(head)
    }

    /// The region, when nobody needs what is in it.
    ///
    /// # Safety
    ///
    /// `head` is not used any more.
    pub(crate) unsafe fn into_region(head: NonNull<Self>) -> Region {
        // SAFETY: as the caller promises; heads are initialized.
        unsafe { head.read() }.region
    }

    /// How many pages can be added.
    pub(crate) fn addable(&self) -> u32 {
        self.places.capacity - self.space.granules()
    }

    /// How many bytes are committed.
    pub(crate) fn bytes_committed(&self) -> usize {
        size_of::<Self>() + self.space.granules() as usize * PAGE_COST
    }

    /// How many pages nobody uses.
    pub(crate) fn free_pages(&self) -> u32 {
        self.space.granules() - self.used
    }

    /// How many pages the longest free run has.
    pub(crate) fn longest_free(&self) -> u32 {
        self.space.largest()
    }

    /// Adds `by` pages.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source.
    pub(crate) unsafe fn extend(&mut self, source: &impl Source, by: u32) -> bool {
        if by == 0 || by > self.addable() {
            return false;
        }
        let (old, new) = (self.space.granules(), self.space.granules() + by);
        // SAFETY: as the caller promises; there is room for as many.
        if !unsafe { self.extend_tables(source, new) } {
            return false;
        }
        let range =
            self.places.pages + old as usize * PAGE..self.places.pages + new as usize * PAGE;
        if old < HUGE_FROM && new >= HUGE_FROM {
            // SAFETY: the range lies in the region (`Places::new`), which is on loan (caller).
            unsafe { source.expect_use(&self.region, range.start..self.region.size()) };
        }
        // SAFETY: as above.
        if unsafe { source.commit(&self.region, range) }.is_err() {
            return false;
        }
        // SAFETY: the tables reach as far, and the pages are ours alone.
        unsafe {
            poison::poison(self.address(old), by as usize * PAGE);
            self.space.extend(by);
        }
        true
    }

    /// How many pages to add for `by` at least: where huge pages are asked for, whole ones, since the
    /// first touch of one that is not all committed gets a small page.
    pub(crate) fn rounded(&self, by: u32) -> u32 {
        let end = self.space.granules().saturating_add(by);
        if end < HUGE_FROM {
            return by;
        }
        let end = (self.base.addr().get() / PAGE).wrapping_add(end as usize);
        by.saturating_add(end.wrapping_neg() as u32 % HUGE_PAGES)
    }

    /// Commits the tables of the first `pages` pages.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source, and has room for as many.
    unsafe fn extend_tables(&mut self, source: &impl Source, pages: u32) -> bool {
        if pages <= self.tabled {
            return true;
        }
        let all = pages.next_multiple_of(TABLED_AT_ONCE).min(self.places.capacity);
        let (old, new) = (self.tabled as usize, all as usize);
        let Places { dirty, edges, entries, slabs, pages: end, .. } = self.places;
        let words = |count: usize| count.div_ceil(64) * 8;
        let ranges = [
            dirty + words(old)..dirty + words(new),
            // One word more: there is an edge behind the last page.
            edges + words(old)..(edges + words(new) + 8).min(entries),
            entries + old * 16..entries + new * 16,
            slabs + old * size_of::<Slab>()..(slabs + new * size_of::<Slab>()).min(end),
        ];
        for range in ranges {
            // SAFETY: the range lies in the region (`Places::new`), which is on loan (caller).
            if unsafe { source.commit(&self.region, range) }.is_err() {
                return false;
            }
        }
        if !self.is_zeroed {
            // SAFETY: these words of the bitmap were just committed, and are ours.
            unsafe { self.dirty.begin_dirty(old, new) };
        }
        self.tabled = all;
        true
    }

    /// Where the pages start, and how many bytes there are.
    pub(crate) fn span(&self) -> (NonNull<u8>, usize) {
        (self.base, self.space.granules() as usize * PAGE)
    }

    /// The address of a page.
    ///
    /// # Safety
    ///
    /// It is one of the region's, or the end of the last.
    pub(crate) unsafe fn address(&self, page: u32) -> NonNull<u8> {
        // SAFETY: as the caller promises; the pages lie in the region (`Places::new`).
        unsafe { self.base.add(page as usize * PAGE) }
    }

    /// The page that an address lies in.
    #[inline(always)]
    pub(crate) fn page_of(&self, address: NonNull<u8>) -> Option<u32> {
        let offset = address.addr().get().wrapping_sub(self.base.addr().get());
        let page = offset / PAGE;
        (page < self.space.granules() as usize).then_some(page as u32)
    }

    /// Takes a run of `count` pages at a multiple of `align` bytes, and says whether it reads as zero.
    /// Before clean pages are taken, `charge` is asked whether so many bytes more may be held.
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        count: BlockSize,
        align: usize,
        kind: Kind,
        charge: impl FnOnce(usize) -> bool,
    ) -> Option<TakenRun> {
        let found = if align <= PAGE {
            self.space.allocate(count)?
        } else {
            let align = u32::try_from(align / PAGE).ok()?;
            let phase = (self.base.addr().get() / PAGE) as u32 & (align - 1);
            self.space.allocate_aligned(count, align, phase).found()?
        };
        // SAFETY: the space has just given the run out.
        unsafe { self.taken(found.start, count.get(), kind, charge) }
    }

    /// Notes that a run was taken; or gives it back, if what is clean of it may not be held.
    ///
    /// # Safety
    ///
    /// The space has just given it out.
    #[inline(always)]
    unsafe fn taken(
        &mut self,
        first: u32,
        count: u32,
        kind: Kind,
        charge: impl FnOnce(usize) -> bool,
    ) -> Option<TakenRun> {
        let mut is_zero = false;
        // SAFETY: the pages are in range, and nobody else has the run (caller).
        unsafe {
            let clean = self.dirty.clean(first, count);
            if clean > 0 {
                is_zero = clean == count;
                if !self.charge_run(Run { start: first, size: count }, clean, charge) {
                    return None;
                }
            }
        }
        self.used += count;
        // SAFETY: the pages are in range, and in use now (caller).
        unsafe {
            self.entries.note_used(first, count, kind);
            let start = self.address(first);
            poison::unpoison(start, count as usize * PAGE);
            Some(TakenRun { start, first, is_zero })
        }
    }

    /// [`take`](Self::take), however many free runs are looked at.
    pub(crate) fn take_anywhere(
        &mut self,
        count: BlockSize,
        align: usize,
        kind: Kind,
        mut charge: impl FnMut(usize) -> bool,
    ) -> Option<TakenRun> {
        self.space.settle();
        if let Some(taken) = self.take(count, align, kind, &mut charge) {
            return Some(taken);
        }
        let align = u32::try_from(align.div_ceil(PAGE)).ok()?;
        let phase = (self.base.addr().get() / PAGE) as u32 & (align - 1);
        let found = self.space.allocate_anywhere(count, align, phase).found()?;
        // SAFETY: as in `take`.
        unsafe { self.taken(found.start, count.get(), kind, charge) }
    }

    /// How many pages the slab has that starts at this page.
    ///
    /// # Safety
    ///
    /// One does.
    pub(crate) unsafe fn pages_of_slab(&self, first: u32) -> u32 {
        // SAFETY: the run was noted when it was taken (invariant 1).
        unsafe { self.entries.used(first) }.0
    }

    /// Gives a run of `count` pages back.
    ///
    /// # Safety
    ///
    /// Such a run, in use, starts at this page, and nobody needs what is in it.
    pub(crate) unsafe fn give_back(&mut self, first: u32, count: u32) {
        if cfg!(debug_assertions) {
            // SAFETY: the run was noted when it was taken (invariant 1), and its page is the region's.
            let ((noted, kind), address) =
                unsafe { (self.entries.used(first), self.address(first).addr().get()) };
            promised!(kind != Kind::Nothing as u32, "a block is freed twice", address);
            promised!(noted == count, "a layout that does not fit", address);
            // SAFETY: it is in use until it is freed below.
            unsafe { self.entries.note_used(first, count, Kind::Nothing) };
        }
        self.used -= count;
        // SAFETY: the pages are in range, and ours to give (caller).
        unsafe {
            poison::poison(self.address(first), count as usize * PAGE);
            self.space.free(first, Run { start: first, size: count });
        }
    }

    /// Makes a run of `old` pages one of `new`, in place, if it can, and if `charge` says that the
    /// clean pages that are added may be held.
    ///
    /// # Safety
    ///
    /// A block of `old` pages starts at this page, of which nobody needs more than `new`.
    pub(crate) unsafe fn resize(
        &mut self,
        first: u32,
        old: u32,
        new: u32,
        charge: impl FnOnce(usize) -> bool,
    ) -> bool {
        if new > old {
            // SAFETY: the block is in use (caller).
            if unsafe { self.space.grow(first, old, new) }.is_none() {
                return false;
            }
            let more = Run { start: first + old, size: new - old };
            // SAFETY: the pages that were added are in range, and ours now.
            unsafe {
                let clean = self.dirty.clean(more.start, more.size);
                if clean > 0 && !self.charge_run(more, clean, charge) {
                    return false;
                }
                poison::unpoison(self.address(more.start), more.size as usize * PAGE);
            }
            self.used += more.size;
        } else if new < old {
            let rest = Run { start: first + new, size: old - new };
            self.used -= rest.size;
            // SAFETY: the rest of the block is ours to give (caller).
            unsafe {
                poison::poison(self.address(rest.start), rest.size as usize * PAGE);
                self.space.free(rest.start, rest);
            }
        }
        // SAFETY: the block has so many pages now.
        unsafe { self.entries.note_used(first, new, Kind::Block) };
        true
    }

    /// Makes a slab of `count` pages, or of fewer in a small region, with blocks of `size` bytes at
    /// multiples of `align`; says how many pages it has.
    pub(crate) fn take_slab(
        &mut self,
        count: u32,
        size: usize,
        align: usize,
        class: u8,
        charge: impl FnOnce(usize) -> bool,
    ) -> Option<(NonNull<Slab>, u32)> {
        let least = size.div_ceil(PAGE) as u32;
        let count = count.min(self.places.capacity / SHARERS).max(least);
        let run = self.take(BlockSize::new(count as usize)?, align, Kind::Slab, charge)?;
        let TakenRun { start, first, .. } = run;
        poison::poison(start, count as usize * PAGE);
        let blocks = (count as usize * PAGE / size) as u16;
        // SAFETY: the tables have a slab for every page, and this one's page is ours.
        unsafe {
            let slab = self.slabs.add(first as usize);
            slab.write(Slab::new(start, blocks, class));
            Some((slab, count))
        }
    }

    /// The slab that this page is of.
    ///
    /// # Safety
    ///
    /// It is one of a slab.
    #[inline(always)]
    pub(crate) unsafe fn slab_of(&self, page: u32) -> NonNull<Slab> {
        // SAFETY: as the caller promises.
        unsafe { self.slabs.add(self.entries.first_of_slab(page) as usize) }
    }

    /// What finds slabs here.
    #[inline(always)]
    pub(crate) fn slab_finder(&self) -> SlabFinder {
        SlabFinder::new(self.base, self.space.granules(), self.entries, self.slabs)
    }

    /// Takes everything back. What is behind the pages stays.
    ///
    /// # Safety
    ///
    /// Nobody uses any page any more.
    pub(crate) unsafe fn reset(&mut self) {
        self.used = 0;
        poison::poison(self.base, self.space.granules() as usize * PAGE);
        // SAFETY: as the caller promises.
        unsafe { self.space.reset() };
    }

    /// All runs of pages in address order: where each starts, its length, and what is there.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, u32, Option<Kind>)> {
        let mut free = self.space.free_runs();
        let mut next_free = free.next();
        let mut page = 0;
        core::iter::from_fn(move || {
            if page >= self.space.granules() {
                return None;
            }
            let start = page;
            if let Some(run) = next_free.filter(|run| run.start == page) {
                page = run.end();
                next_free = free.next();
                return Some((start, run.size, None));
            }
            // SAFETY: what is not free was noted when it was taken (invariant 1).
            let (count, kind) = unsafe { self.entries.used(page) };
            page += count.max(1);
            let is_slab = kind == Kind::Slab as u32;
            Some((start, count, Some(if is_slab { Kind::Slab } else { Kind::Block })))
        })
    }

    /// Are the numbers right, and all runs noted?
    pub(crate) fn check(&self) -> Result<(), (&'static str, usize)> {
        let (mut used, mut end) = (0, 0);
        for (start, count, kind) in self.runs() {
            if count == 0 || start != end {
                let address = self.base.addr().get() + start as usize * PAGE;
                return Err(("runs of pages follow each other", address));
            }
            end = start + count;
            used += if kind.is_some() { count } else { 0 };
        }
        if end != self.space.granules() {
            return Err(("runs of pages end with the last page", self.base.addr().get()));
        }
        if used != self.used {
            return Err(("the pages in use are counted", self.base.addr().get()));
        }
        Ok(())
    }
}
