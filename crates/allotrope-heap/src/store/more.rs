//! More memory: what a heap asks its source for, and when.
//!
//! ```text
//! first     the pocket, 64 KiB; or all of a buffer
//! then      the next pages of a region: what is needed, and by as much as is held already
//! at last   a further region
//! ```

use core::ptr::NonNull;

use allotrope_core::parts::{SizeClass, exposed, release_clean, reserve_ahead};
use allotrope_core::{AllocError, EventKind, Hook, Policy, Region, Source};

use super::{SLAB_PAGES, Store};
use crate::pages::{PAGE_COST, Pages, region_size};
use crate::pocket::{LEAST_PAGES_REGION, POCKET_SIZE, Pocket, commit_all};
use crate::route::PAGE;
use crate::slab::Slab;

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
            let mut regions = store.regions_mut();
            let taken = regions.find_map(|pages| pages.take_slab(count, size, align, index));
            drop(regions);
            let (slab, count) = taken?;
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
        let growth = u32::try_from(growth).unwrap_or(u32::MAX / 2).max(least);
        let held = self.bytes_committed() + self.large.bytes_held() + size_of::<Pages>();
        let room = self.limit.saturating_sub(held) / PAGE_COST;
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        if room < least {
            return Err(AllocError);
        }
        let mut next = self.pages;
        while let Some(pages) = next {
            // SAFETY: heads in the list are ours and initialized, and nobody else borrows them.
            let (addable, growth) = unsafe {
                let pages = pages.as_ref();
                next = pages.next;
                (pages.addable(), pages.rounded(growth).min(pages.addable()).min(room))
            };
            // SAFETY: as above.
            let mut extend = |by| unsafe { self.extend(pages, by) };
            if addable >= least && (extend(growth) || extend(least)) {
                return Ok(());
            }
            // What is free at the end may be enough with a few pages more.
            if addable > 0 && addable < least && extend(addable) {
                return Ok(());
            }
        }
        self.add_region(least, growth.min(room), room)
    }

    /// Adds pages to a region of ours.
    ///
    /// # Safety
    ///
    /// The head is one that [`Pages::open`] made of a region of this source's; nobody borrows it.
    unsafe fn extend(&mut self, mut pages: NonNull<Pages>, by: u32) -> bool {
        // SAFETY: as the caller promises.
        let pages = unsafe { pages.as_mut() };
        let (start, bytes) = pages.span();
        // SAFETY: as above.
        let is_extended = unsafe { pages.extend(&self.source, by) };
        if is_extended {
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
        let region = match self.source.take_kept(POCKET_SIZE) {
            Some(region) => exposed(region),
            None => exposed(self.source.reserve(1, POCKET_SIZE).ok()?),
        };
        if !self.has_room_for(region.size()) {
            // SAFETY: the region was lent just above.
            unsafe { self.refuse(region) };
            return None;
        }
        if !Pocket::is_usual(&region) {
            // SAFETY: as above.
            self.is_open = unsafe { self.open(region) }.is_ok();
            return None;
        }
        self.note(EventKind::Refill, region.start(), region.size());
        self.is_open = true;
        // SAFETY: the region was lent just above, and is usual: it is committed.
        let (pocket, slab) = unsafe { Pocket::usual(region, class) };
        self.pocket = Some(pocket);
        slab
    }

    /// Begins with a region that is not the usual one.
    ///
    /// # Safety
    ///
    /// The region is on loan from our source, and nobody uses it.
    #[cold]
    #[inline(never)]
    unsafe fn open(&mut self, region: Region) -> Result<(), AllocError> {
        let region = if region.size() >= LEAST_PAGES_REGION {
            // SAFETY: as the caller promises.
            match unsafe { Pages::open(&self.source, region) } {
                Ok(pages) => {
                    // SAFETY: made just above.
                    unsafe { self.link(pages) };
                    return Ok(());
                }
                Err(region) => region,
            }
        } else {
            region
        };
        // SAFETY: as the caller promises.
        unsafe {
            if !commit_all(&self.source, &region) {
                return Err(self.refuse(region));
            }
        }
        let (start, bytes) = (region.start(), region.size());
        // SAFETY: as the caller promises; it was just committed.
        match unsafe { Pocket::new(region) } {
            Ok(pocket) => self.pocket = Some(pocket),
            // SAFETY: as above.
            Err(region) => return Err(unsafe { self.refuse(region) }),
        }
        self.note(EventKind::Refill, start, bytes);
        Ok(())
    }

    /// Gets a further region with room for `least` pages, and adds as many as `growth`; or all that it
    /// has room for, `room` at most, where the rest would be nobody's.
    fn add_region(&mut self, least: u32, growth: u32, room: u32) -> Result<(), AllocError> {
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
        // SAFETY: the region was lent just above.
        let head = match unsafe { Pages::open(&self.source, region) } {
            Ok(head) => head,
            // SAFETY: as above.
            Err(region) => return Err(unsafe { self.refuse(region) }),
        };
        // SAFETY: `open` has just made it, and it is nobody else's.
        let most = unsafe { head.as_ref() }.addable();
        let at_once = if S::RESERVES_AHEAD { growth.min(most) } else { most.min(room) };
        // SAFETY: as above; where it is given up, it is in no list and not used any more.
        unsafe {
            if !self.extend(head, at_once) && !self.extend(head, least.min(most)) {
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
