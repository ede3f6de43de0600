//! More memory: what a heap asks its source for, and when.
//!
//! ```text
//! first     the pocket, 64 KiB, or as much as a lower limit allows; or all of a buffer
//! then      the next pages of a region: what is needed, and by as much as is held already
//! at last   a further region
//! ```

use core::ptr::NonNull;

use allotrope_core::parts::{SizeClass, exposed, release_clean, reserve_ahead};
use allotrope_core::{AllocError, EventKind, Hook, Policy, Region, Source};

use super::{SLAB_PAGES, Store};
use crate::pages::{PAGE_COST, Pages, region_size};
use crate::pocket::{LEAST_PAGES_REGION, POCKET_SIZE, Pocket, commit_first};
use crate::route::PAGE;
use crate::slab::Slab;

/// With less room than this below the limit, in bytes, a region gets no tables: they would take it.
const LEAST_ROOM: usize = 8 * PAGE;

impl<S: Source, P: Policy, H: Hook> Store<S, P, H> {
    /// Makes a slab for a class of pages that a region has, or gets.
    #[inline(never)]
    pub(super) fn take_slab_of_pages(
        &mut self,
        class: SizeClass,
    ) -> Result<NonNull<Slab>, AllocError> {
        let (size, align) = (class.block_size(), class.block_align());
        let (index, count) = (class.index() as u8, u32::from(SLAB_PAGES[class.index()]));
        let take = |store: &mut Self, count| {
            let (slab, count) = store
                .take_of_any(|pages, charge| pages.take_slab(count, size, align, index, charge))?;
            store.count_used(count as usize * PAGE);
            Some(slab)
        };
        if let Some(slab) = take(self, count) {
            return Ok(slab);
        }
        let added = self.add_pages(count, align);
        let slab = if added.is_ok() { take(self, count) } else { None };
        if let Some(slab) = slab.or_else(|| take(self, 1)) {
            return Ok(slab);
        }
        // Near the limit, or where memory is short, a slab of one block is better than none.
        self.add_pages(size.div_ceil(PAGE) as u32, align)?;
        take(self, 1).ok_or(AllocError)
    }

    /// Gets pages from the source, with room for a run of `count` at a multiple of `align`.
    #[cold]
    pub(super) fn add_pages(&mut self, count: u32, align: usize) -> Result<(), AllocError> {
        let padding = u32::try_from(align.div_ceil(PAGE)).map_err(|_| AllocError)? - 1;
        let least = count.checked_add(padding).ok_or(AllocError)?;
        let growth = P::GROWTH_SIZE.max(self.bytes_committed() / 4) / PAGE;
        let room = self.account.room(&self.large);
        if room / PAGE < count as usize {
            return Err(AllocError);
        }
        let room = u32::try_from(room / PAGE_COST).unwrap_or(u32::MAX).max(least);
        let growth = u32::try_from(growth).unwrap_or(u32::MAX / 2).max(least).min(room);
        let mut next = self.pages;
        while let Some(pages) = next {
            // SAFETY: heads in the list are ours and initialized, and nobody else borrows them.
            let (addable, growth) = unsafe {
                let pages = pages.as_ref();
                next = pages.next;
                (pages.addable(), pages.rounded(growth).min(pages.addable()).min(room))
            };
            // SAFETY: as above.
            let mut extend = |by| unsafe { self.extend(pages, by, count) };
            if addable >= least && (extend(growth) || extend(least)) {
                return Ok(());
            }
            // What is free at the end may be enough with a few pages more.
            if addable > 0 && addable < least && extend(addable) {
                return Ok(());
            }
        }
        self.add_region((least, count), growth, room)
    }

    /// Adds pages to a region of ours, if a run of `count` of them may be held as well.
    ///
    /// # Safety
    ///
    /// The head is one that [`Pages::open`] made of a region of this source's; nobody borrows it.
    unsafe fn extend(&mut self, mut pages: NonNull<Pages>, by: u32, count: u32) -> bool {
        // SAFETY: as the caller promises.
        let pages = unsafe { pages.as_mut() };
        if by > pages.addable() {
            return false;
        }
        let (cost, cost_with_run) = pages.cost_of(by, count);
        if !self.account.has_room(cost_with_run, &self.large) {
            return false;
        }
        let (start, bytes) = pages.span();
        // SAFETY: as above.
        let is_extended = unsafe { pages.extend(&self.source, by) };
        if is_extended {
            self.account.add(cost);
            // SAFETY: the pages that there were end where the new ones begin.
            let start = unsafe { start.add(bytes) };
            self.note(EventKind::Refill, start, by as usize * PAGE);
        }
        is_extended
    }

    /// Asks the source for the first region: a small one, or the one that there is. May make a slab of it
    /// for a class.
    #[inline(always)]
    pub(super) fn begin(&mut self, class: Option<SizeClass>) -> Option<NonNull<Slab>> {
        if !self.account.has_room(POCKET_SIZE, &self.large) {
            self.begin_small();
            return None;
        }
        let region = match self.source.take_kept(POCKET_SIZE) {
            Some(region) => exposed(region),
            None => exposed(self.source.reserve(1, POCKET_SIZE).ok()?),
        };
        if !Pocket::is_usual(&region) {
            // SAFETY: as above.
            self.is_open = unsafe { self.open(region) }.is_ok();
            return None;
        }
        self.account.add(POCKET_SIZE);
        self.note(EventKind::Refill, region.start(), region.size());
        self.is_open = true;
        // SAFETY: the region was lent just above, and is usual: it is committed.
        let (pocket, slab) = unsafe { Pocket::usual(region, class) };
        self.pocket = Some(pocket);
        slab
    }

    /// Begins with as much as the limit allows, which is less than usual.
    #[cold]
    #[inline(never)]
    fn begin_small(&mut self) {
        let room = self.account.room(&self.large) & !(PAGE - 1);
        if room > 0
            && let Ok(region) = self.source.reserve(1, room)
        {
            // SAFETY: the region was lent just now.
            self.is_open = unsafe { self.open(exposed(region)) }.is_ok();
        }
    }

    /// Begins with a region that is not the usual one.
    ///
    /// # Safety
    ///
    /// The region is on loan from our source, and nobody uses it.
    #[cold]
    #[inline(never)]
    unsafe fn open(&mut self, region: Region) -> Result<(), AllocError> {
        let least = Pages::least_held(&region);
        let is_worth_tables = self.account.has_room(least + LEAST_ROOM, &self.large);
        let region = if region.size() >= LEAST_PAGES_REGION && is_worth_tables {
            // SAFETY: as the caller promises.
            match unsafe { Pages::open(&self.source, region) } {
                Ok(pages) => {
                    self.account.add(least);
                    // SAFETY: made just above.
                    unsafe { self.link(pages) };
                    return Ok(());
                }
                Err(region) => region,
            }
        } else {
            region
        };
        let (start, bytes) = (region.start(), region.size());
        let held = bytes.min(self.account.room(&self.large));
        // SAFETY: as the caller promises.
        unsafe {
            if !commit_first(&self.source, &region, held) {
                return Err(self.refuse(region));
            }
        }
        // SAFETY: as the caller promises; so much was just committed.
        match unsafe { Pocket::new(region, held) } {
            Ok(pocket) => self.pocket = Some(pocket),
            // SAFETY: as above.
            Err(region) => return Err(unsafe { self.refuse(region) }),
        }
        self.account.add(held);
        self.note(EventKind::Refill, start, bytes);
        Ok(())
    }

    /// Gets a further region with room for `least` pages, of which a run of `count` is to be taken,
    /// and adds as many as `growth`; or all that it has room for, `room` at most, where the rest would
    /// be nobody's.
    fn add_region(
        &mut self,
        (least, count): (u32, u32),
        growth: u32,
        room: u32,
    ) -> Result<(), AllocError> {
        let roomy = region_size(least as usize).ok_or(AllocError)?;
        let wanted = region_size(growth as usize).unwrap_or(roomy);
        // Regions become longer and longer, for frees look through all of them.
        let wanted = if S::RESERVES_AHEAD {
            // What is small stays in the pocket: who outgrows that may become large.
            wanted.max(reserve_ahead::<P>(self.bytes_committed().max(1), 0))
        } else {
            wanted
        };
        let region = exposed(self.source.reserve(roomy, wanted.max(roomy))?);
        let held = Pages::least_held(&region);
        if !self.account.has_room(held, &self.large) {
            // SAFETY: the region was lent just above.
            return Err(unsafe { self.refuse(region) });
        }
        // SAFETY: as above.
        let head = match unsafe { Pages::open(&self.source, region) } {
            Ok(head) => head,
            // SAFETY: as above.
            Err(region) => return Err(unsafe { self.refuse(region) }),
        };
        self.account.add(held);
        // SAFETY: `open` has just made it, and it is nobody else's.
        let most = unsafe { head.as_ref() }.addable();
        let at_once = if S::RESERVES_AHEAD { growth.min(most) } else { most.min(room) };
        // SAFETY: as above; where it is given up, it is in no list and not used any more.
        unsafe {
            if !self.extend(head, at_once, count) && !self.extend(head, least.min(most), count) {
                self.account.credit(held);
                let region = Pages::into_region(head);
                return Err(self.refuse(region));
            }
            self.link(head);
        }
        Ok(())
    }

    /// Gives a region back that is of no use.
    ///
    /// # Safety
    ///
    /// The region is on loan from our source, and nobody uses it.
    unsafe fn refuse(&self, region: Region) -> AllocError {
        // SAFETY: as the caller promises.
        unsafe { release_clean(&self.source, region) };
        AllocError
    }

    /// Puts a region in front of the list.
    ///
    /// # Safety
    ///
    /// The head is one that [`Pages::open`] made of a region of this source's, and in no list.
    pub(super) unsafe fn link(&mut self, mut pages: NonNull<Pages>) {
        // SAFETY: as the caller promises.
        unsafe { pages.as_mut() }.next = self.pages;
        self.pages = Some(pages);
    }
}
