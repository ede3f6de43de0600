//! The store: all memory of a heap, in pages of its regions and in extents of their own.
//!
//! ```text
//! Store ── pocket    the first region, small                       (`pocket.rs`)
//!       ├─ pages     further regions, newest first, or a buffer    (`pages.rs`)
//!       └─ large     a region for each large block                 (`Large` of allotrope-core)
//! ```
//!
//! # Giving back
//!
//! What is behind free pages goes back to the source when what is in use has fallen below a quarter of
//! what it was at most since the last time (its recent peak), and stays there for a while: for some
//! tens of requests that concern pages, or a few of those of small blocks that leave the fast path.
//! That may be too soon, for a program that frees all and begins anew: each time that half of the peak
//! comes again, the while is four times as long from then on, and each time that it does not, half. So
//! a program that holds about as much all the time never gives back what it needs again at once, nor
//! for long does one that comes and goes in waves; and one that has freed everything and goes on holds
//! next to nothing. This is found out where pages are taken and freed, which is no fast path; there is
//! no timer and no thread.
//!
//! # Invariants
//!
//! 1. A large block is in `large`, or it is a run of pages where the source had no region for it.
//! 2. `used` is how many bytes of pages are in use, those of the pocket apart.
//! 3. `pages` links heads that [`Pages::open`] made of regions on loan from `source`, each once.
//!    They stay until they leave the list, and no reference to one outlives a statement or the
//!    borrow of the store.

mod more;
mod release;

use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::parts::{BlockSize, Firm, Large, Log, SizeClass};
use allotrope_core::{AllocError, Event, EventKind, Hook, Policy, Source};
use allotrope_sync::fatal::promised;

use crate::account::Account;
use crate::entries::Kind;
use crate::finder::SlabFinder;
use crate::pages::Pages;
use crate::pocket::Pocket;
use crate::route::PAGE;
use crate::slab::Slab;

/// All memory of a heap.
pub(crate) struct Store<S: Source, P, H: Hook> {
    pub(crate) source: Firm<S>,
    pocket: Option<Pocket>,
    pages: Option<NonNull<Pages>>,
    pub(crate) large: Large,
    used: usize,
    /// The most that `used` was since pages were given back.
    peak: usize,
    /// For how long it is far below that: see [`Weight`].
    waited: u32,
    /// For how long it must be.
    wait: u32,
    /// From so much in use on, it was too soon to give pages back the last time.
    regret: usize,
    /// How many bytes of pages are in blocks, not in slabs.
    pub(crate) in_blocks: usize,
    /// How many bytes are held, and how many may be.
    pub(crate) account: Account,
    /// Was the source asked for the first region?
    is_open: bool,
    /// What hooks are told.
    pub(crate) log: Log<H>,
    policy: PhantomData<P>,
}

/// Where an address lies.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Pocket(u32),
    Pages(NonNull<Pages>, u32),
}

/// What a request stands for.
#[derive(Clone, Copy)]
pub(crate) enum Weight {
    /// For itself.
    Pages = 1,
    /// For a hundred or so of small blocks.
    Small = 8,
}

/// How much weight there is to be in a row, at least, and at most.
const WAIT: u32 = 64;
const MOST_WAIT: u32 = 64 * 1024;

/// Less than this is not worth giving back.
const LEAST_PEAK: usize = 128 * 1024;

/// How many pages the slabs of each class have: as few as waste least, with some blocks at least.
const SLAB_PAGES: [u8; SizeClass::COUNT] = {
    let mut pages = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        pages[index] = slab_pages(SizeClass::at(index).block_size());
        index += 1;
    }
    pages
};

/// 4 to 16 pages with room for 8 blocks, and with the smallest rest for their number.
const fn slab_pages(block_size: usize) -> u8 {
    let (mut best, mut best_rest) = (16, usize::MAX);
    let mut pages = 16;
    while pages >= 4 {
        let bytes = pages * PAGE;
        // In parts of all bytes, so many that 32 bits hold the product.
        let rest = (bytes % block_size) * 32_768 / bytes;
        if bytes / block_size >= 8 && rest <= best_rest {
            (best, best_rest) = (pages, rest);
        }
        pages -= 1;
    }
    best as u8
}

impl<S: Source, P: Policy, H: Hook> Store<S, P, H> {
    pub(crate) const fn new(source: S, large: Large, log: Log<H>) -> Self {
        Self {
            source: Firm::new(source),
            pocket: None,
            pages: None,
            large,
            used: 0,
            peak: 0,
            waited: 0,
            wait: WAIT,
            regret: usize::MAX,
            in_blocks: 0,
            account: Account::new(),
            is_open: false,
            log,
            policy: PhantomData,
        }
    }

    /// The regions with tables, newest first.
    pub(crate) fn regions(&self) -> impl Iterator<Item = NonNull<Pages>> + use<S, P, H> {
        let mut next = self.pages;
        core::iter::from_fn(move || {
            let pages = next?;
            // SAFETY: heads in the list are ours and initialized.
            next = unsafe { pages.as_ref() }.next;
            Some(pages)
        })
    }

    /// The regions with tables, each lent once.
    fn regions_mut(&mut self) -> impl Iterator<Item = &mut Pages> {
        // SAFETY: heads in the list are ours and initialized, and the store is borrowed as long.
        self.regions().map(|mut pages| unsafe { pages.as_mut() })
    }

    pub(crate) const fn pocket(&self) -> Option<&Pocket> {
        self.pocket.as_ref()
    }

    /// Where an address lies, if it is one of the heap's pages.
    #[inline(always)]
    pub(crate) fn place_of(&self, address: NonNull<u8>) -> Option<Place> {
        let mut next = self.pages;
        while let Some(pages) = next {
            // SAFETY: heads in the list are ours and initialized.
            let head = unsafe { pages.as_ref() };
            if let Some(page) = head.page_of(address) {
                return Some(Place::Pages(pages, page));
            }
            next = head.next;
        }
        let page = self.pocket.as_ref()?.page_of(address)?;
        Some(Place::Pocket(page))
    }

    /// The slab that a block lies in.
    ///
    /// # Safety
    ///
    /// The block is one of a slab of this store.
    #[inline(always)]
    pub(crate) unsafe fn slab_of(&self, block: NonNull<u8>) -> Option<NonNull<Slab>> {
        // SAFETY: the page is one of a slab (caller).
        unsafe {
            match self.place_of(block)? {
                Place::Pages(pages, page) => Some(pages.as_ref().slab_of(page)),
                Place::Pocket(page) => Some(self.pocket.as_ref()?.slab_of(page)),
            }
        }
    }

    /// What finds slabs in the newest region.
    #[inline(always)]
    pub(crate) fn slab_finder(&self) -> SlabFinder {
        // SAFETY: heads in the list are ours and initialized.
        self.pages.map_or(SlabFinder::NOWHERE, |pages| unsafe { pages.as_ref() }.slab_finder())
    }

    /// The slab that a block lies in, and what finds others of its region, if it is one with a table.
    ///
    /// # Safety
    ///
    /// As for [`slab_of`](Self::slab_of).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn slab_elsewhere(
        &self,
        block: NonNull<u8>,
    ) -> (Option<NonNull<Slab>>, Option<SlabFinder>) {
        // SAFETY: the page is one of a slab (caller).
        unsafe {
            match self.place_of(block) {
                Some(Place::Pages(pages, page)) => {
                    let pages = pages.as_ref();
                    (Some(pages.slab_of(page)), Some(pages.slab_finder()))
                }
                _ => (self.slab_of(block), None),
            }
        }
    }

    /// Makes a slab for a class.
    #[inline(always)]
    pub(crate) fn take_slab(&mut self, class: SizeClass) -> Result<NonNull<Slab>, AllocError> {
        if !self.is_open
            && let Some(slab) = self.begin(Some(class))
        {
            return Ok(slab);
        }
        if let Some(pocket) = &mut self.pocket
            && let Some(slab) = pocket.take_slab(class)
        {
            return Ok(slab);
        }
        self.take_slab_of_pages(class)
    }

    /// Gives the pages of a slab back.
    ///
    /// # Safety
    ///
    /// It is one of this store, in no list, and none of its blocks is in use or in a list.
    pub(crate) unsafe fn give_slab(&mut self, slab: NonNull<Slab>) {
        // SAFETY: the slab is valid until its pages are given back; its run starts with its blocks.
        let start = unsafe { slab.as_ref() }.start;
        // SAFETY: as the caller promises.
        unsafe {
            match self.place_of(start) {
                Some(Place::Pages(pages, page)) => {
                    let count = pages.as_ref().pages_of_slab(page);
                    self.give_run(Place::Pages(pages, page), count, start);
                }
                Some(place) => self.give_run(place, 0, start),
                None => promised!(false, "a slab that is not from here", start.addr().get()),
            }
        }
    }

    /// Takes a run of pages for a block; true if it reads as zero.
    #[inline]
    pub(crate) fn take_block(
        &mut self,
        extent: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, bool), AllocError> {
        // Nearly always the newest region has one.
        if align <= PAGE
            && let Some(mut newest) = self.pages
            // SAFETY: heads in the list are ours and initialized, and nobody else borrows them.
            && let pages = unsafe { newest.as_mut() }
            && let Some(count) = BlockSize::new(extent / PAGE)
            && let Some(run) = pages.take(count, align, Kind::Block, |bytes| {
                self.account.charge(bytes, &self.large)
            })
        {
            self.count_used(extent);
            self.in_blocks += extent;
            return Ok((run.start, run.is_zero));
        }
        self.take_block_slow(extent, align)
    }

    #[cold]
    #[inline(never)]
    fn take_block_slow(
        &mut self,
        extent: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, bool), AllocError> {
        // More pages than any run has are not asked for, wherever they would come from.
        let count = BlockSize::new(extent / PAGE).ok_or(AllocError)?;
        let take = |store: &mut Self, is_last: bool| {
            // Where there are other pages, the pocket is for small blocks.
            if (is_last || !S::RESERVES_AHEAD)
                && let Some(pocket) = &mut store.pocket
                && let Some(start) = pocket.take(extent, align)
            {
                return Some((start, false));
            }
            let run = store.take_of_any(|pages, charge| {
                if is_last {
                    pages.take_anywhere(count, align, Kind::Block, charge)
                } else {
                    pages.take(count, align, Kind::Block, charge)
                }
            })?;
            store.count_used(extent);
            Some((run.start, run.is_zero))
        };
        if !self.is_open {
            self.begin(None);
        }
        let mut block = take(self, false);
        if block.is_none() {
            let added = self.add_pages(count.get(), align);
            block = if added.is_ok() { take(self, false) } else { None };
        }
        let block = block.or_else(|| take(self, true)).ok_or(AllocError)?;
        self.in_blocks += extent;
        Ok(block)
    }

    /// What `take` takes of the first region that has it and of which it may be held.
    fn take_of_any<T>(
        &mut self,
        mut take: impl FnMut(&mut Pages, &mut dyn FnMut(usize) -> bool) -> Option<T>,
    ) -> Option<T> {
        let mut next = self.pages;
        while let Some(mut head) = next {
            // SAFETY: heads in the list are ours and initialized, and nobody else borrows them.
            let pages = unsafe { head.as_mut() };
            next = pages.next;
            let taken = take(pages, &mut |bytes| self.account.charge(bytes, &self.large));
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// Gives the run of a block back.
    ///
    /// # Safety
    ///
    /// As for `give_run`; the block has this extent.
    #[inline]
    pub(crate) unsafe fn give_block(&mut self, start: NonNull<u8>, extent: usize) {
        let Some(place) = self.place_of(start) else {
            promised!(false, "a block that is not from here", start.addr().get());
            return;
        };
        // SAFETY: as the caller promises.
        unsafe { self.give_run(place, (extent / PAGE) as u32, start) };
        let fits = extent <= self.in_blocks;
        promised!(fits, "a layout that does not fit", start.addr().get());
        self.in_blocks -= extent;
    }

    /// Gives a run of pages back.
    ///
    /// # Safety
    ///
    /// A run that was taken, of `count` pages unless it is the pocket's, starts here, and nobody needs
    /// what is in it.
    #[inline]
    unsafe fn give_run(&mut self, place: Place, count: u32, start: NonNull<u8>) {
        // SAFETY: as the caller promises.
        unsafe {
            match place {
                Place::Pages(mut pages, page) => {
                    pages.as_mut().give_back(page, count);
                    self.used -= count as usize * PAGE;
                }
                Place::Pocket(_) => {
                    if let Some(pocket) = &mut self.pocket {
                        pocket.give_back(start);
                    }
                }
            }
        }
    }

    /// Makes a block of one extent one of another, in place, if it can.
    ///
    /// # Safety
    ///
    /// A block of pages with the old extent starts here, of which nobody needs more than the new.
    pub(crate) unsafe fn resize_block(
        &mut self,
        start: NonNull<u8>,
        old: usize,
        new: usize,
    ) -> bool {
        // SAFETY: as the caller promises.
        let is_done = unsafe {
            match self.place_of(start) {
                Some(Place::Pages(mut pages, page)) => {
                    let Ok(count) = u32::try_from(new / PAGE) else { return false };
                    let charge = |bytes| self.account.charge(bytes, &self.large);
                    let is_done = pages.as_mut().resize(page, (old / PAGE) as u32, count, charge);
                    if is_done {
                        self.used -= old;
                        self.count_used(new);
                    }
                    is_done
                }
                Some(Place::Pocket(_)) => {
                    self.pocket.as_mut().is_some_and(|pocket| pocket.resize(start, new))
                }
                None => false,
            }
        };
        if is_done {
            self.in_blocks = self.in_blocks - old + new;
        }
        is_done
    }

    #[inline(always)]
    const fn count_used(&mut self, bytes: usize) {
        self.used += bytes;
        if self.used > self.peak {
            self.peak = self.used;
            if self.peak >= self.regret {
                self.regret = usize::MAX;
                self.wait = if self.wait < MOST_WAIT { self.wait * 4 } else { MOST_WAIT };
            }
        }
    }

    /// Has what is in use fallen so far, and for so long, that pages should be given back? To be asked
    /// with every request that leaves the fast path.
    #[inline(always)]
    pub(crate) const fn has_fallen(&mut self, weight: Weight) -> bool {
        if self.used >= self.peak / 4 {
            self.waited = 0;
            return false;
        }
        self.waited = self.waited.saturating_add(weight as u32);
        self.waited >= self.wait && self.peak >= LEAST_PEAK
    }

    /// Gives back what is behind free pages.
    #[cold]
    pub(crate) fn discard_free(&mut self) {
        if self.regret != usize::MAX {
            self.wait = (self.wait / 2).max(WAIT);
        }
        let half = self.peak / 2;
        self.regret = if half > self.used { half } else { usize::MAX };
        (self.peak, self.waited) = (self.used, 0);
        for mut pages in self.regions() {
            // SAFETY: heads in the list are ours and initialized, and nobody else borrows them.
            // Their regions are on loan from this source.
            let discarded = unsafe { pages.as_mut().discard_free(&self.source) };
            self.account.credit(discarded);
        }
    }

    /// How many bytes are committed, extents of their own apart.
    pub(super) fn bytes_committed(&self) -> usize {
        let pocket = self.pocket.as_ref().map_or(0, Pocket::bytes_held);
        // SAFETY: heads in the list are ours and initialized.
        let pages = self.regions().map(|pages| unsafe { pages.as_ref() }.bytes_committed());
        pocket + pages.sum::<usize>()
    }

    /// How many bytes are held, those that were given back not among them.
    pub(crate) fn bytes_held(&self) -> usize {
        self.account.held() + self.large.bytes_held()
    }

    /// How many bytes of pages nobody uses.
    pub(crate) fn bytes_free(&self) -> usize {
        let pocket = self.pocket.as_ref().map_or(0, Pocket::bytes_free);
        // SAFETY: as above.
        let pages =
            self.regions().map(|pages| unsafe { pages.as_ref() }.free_pages() as usize * PAGE);
        pocket + pages.sum::<usize>()
    }

    /// Whether so many bytes more may be held.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.account.has_room(bytes, &self.large)
    }

    /// How many bytes the longest free run of pages has.
    pub(crate) fn longest_free(&self) -> usize {
        // SAFETY: as above.
        let longest = self.regions().map(|pages| unsafe { pages.as_ref() }.longest_free());
        longest.max().unwrap_or(0) as usize * PAGE
    }

    /// Takes all pages back. What is behind them stays; large extents go.
    ///
    /// # Safety
    ///
    /// Nobody uses a block of this store any more.
    pub(crate) unsafe fn reset(&mut self) {
        if let Some(pocket) = &mut self.pocket {
            pocket.reset();
        }
        // SAFETY: as the caller promises.
        self.regions_mut().for_each(|pages| unsafe { pages.reset() });
        (self.used, self.in_blocks) = (0, 0);
        // SAFETY: as above.
        unsafe { self.release_large() };
    }

    /// Are the numbers right?
    pub(crate) fn check(&self) -> Result<(), (&'static str, usize)> {
        let (mut used, mut held) = (0, self.pocket.as_ref().map_or(0, Pocket::bytes_held));
        for pages in self.regions() {
            // SAFETY: heads in the list are ours and initialized.
            let pages = unsafe { pages.as_ref() };
            pages.check()?;
            used += pages.used as usize * PAGE;
            held += pages.bytes_held();
        }
        if held != self.account.held() {
            return Err(("the bytes held are counted", 0));
        }
        if used != self.used {
            return Err(("the bytes of pages in use are counted", 0));
        }
        // SAFETY: borrowed by a heap, which no other thread uses.
        unsafe { self.large.check_invariants() }
            .map_err(|broken| (broken.invariant, broken.address))
    }
}

impl<S: Source, P, H: Hook> Store<S, P, H> {
    /// Notes that memory came from the source, or went back.
    pub(crate) fn note(&mut self, kind: EventKind, start: NonNull<u8>, bytes: usize) {
        self.log.push(|| Event::internal(kind, start.addr().get(), bytes));
    }
}
