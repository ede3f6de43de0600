//! The areas of a strategy: the first in the strategy itself, further ones in their own regions.
//!
//! # Invariants
//!
//! 1. Each further area lies in its own region, where it is initialized and nobody else's, and is
//!    in the list once; the region stays until the area is taken out.

use core::iter;
use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

use super::area::Area;
use crate::layout::area::WORD;

/// All areas of a strategy.
#[derive(Debug)]
#[repr(C)] // As `Area` is.
pub(super) struct Areas {
    first: Area,
    /// Each lies at the start of its own region and is linked to one that was made before it.
    further: Option<NonNull<Area>>,
}

impl Areas {
    pub(super) const fn new() -> Self {
        Self { first: Area::empty(), further: None }
    }

    #[inline(always)]
    pub(super) fn first_mut(&mut self) -> &mut Area {
        &mut self.first
    }

    /// Is the first area's place still free?
    pub(super) fn is_empty(&self) -> bool {
        self.first.space.granules() == 0
    }

    /// How many bytes all areas hold.
    pub(super) fn bytes_held(&self) -> usize {
        self.iter().map(Area::bytes_held).sum()
    }

    /// Every area, the first first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Area> {
        let mut next = self.further;
        let further = iter::from_fn(move || {
            // SAFETY: invariant 1; `self` is borrowed for as long as the result.
            let area = unsafe { next?.as_ref() };
            next = area.next;
            Some(area)
        });
        iter::once(&self.first).filter(|area| area.space.granules() > 0).chain(further)
    }

    /// Every area, the first first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Area> {
        let mut next = self.further;
        let further = iter::from_fn(move || {
            // SAFETY: as in `iter`; each is in the list once, so it is lent once. The next is found
            // before this one is lent.
            let area = unsafe { next?.as_mut() };
            next = area.next;
            Some(area)
        });
        iter::once(&mut self.first).filter(|area| area.space.granules() > 0).chain(further)
    }

    /// The area that the block at `start` lies in, and the block's first granule.
    #[inline(always)]
    pub(super) fn of(&mut self, start: NonNull<u8>) -> Option<(&mut Area, u32)> {
        match self.first.granule_at(start) {
            Some(granule) => Some((&mut self.first, granule)),
            None => self.further_of(start),
        }
    }

    #[cold]
    fn further_of(&mut self, start: NonNull<u8>) -> Option<(&mut Area, u32)> {
        let found = self.iter_mut().find_map(|area| {
            let granule = area.granule_at(start)?;
            Some((area, granule))
        });
        promised!(found.is_some(), "a block that is not from here", start.addr().get());
        found
    }

    /// Adds an area, and returns where it is now: in the first's place if that is free, or if the
    /// first area's region has room for it; else at the start of its own region. The newest area is
    /// the longest where a source reserves ahead, so most requests are served there.
    ///
    /// # Safety
    ///
    /// The area was opened with room for a header, unless this [is empty](Self::is_empty), and its
    /// region stays until the area is taken out.
    pub(super) unsafe fn add(&mut self, mut area: Area) -> Option<&mut Area> {
        if !self.is_empty() && self.first.has_header() {
            let old = core::mem::replace(&mut self.first, Area::empty());
            // SAFETY: it was opened with room for a header; its region stays until it is taken out.
            unsafe { self.add_further(old) }?;
        }
        if self.is_empty() {
            area.next = None;
            self.first = area;
            return Some(&mut self.first);
        }
        // SAFETY: as the caller promises; this is not empty.
        unsafe { self.add_further(area) }
    }

    /// Adds an area at the start of its own region.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add), with room for a header.
    unsafe fn add_further(&mut self, mut area: Area) -> Option<&mut Area> {
        let mut header = area.header()?;
        area.next = self.further;
        // SAFETY: `Area::open` left room for a header there (caller), aligned, committed and ours.
        unsafe { header.write(area) };
        self.further = Some(header);
        // SAFETY: just written, and lent by `self` alone.
        Some(unsafe { header.as_mut() })
    }

    /// Takes out one area that has no block in use; `None` when there is none.
    pub(super) fn take_unused(&mut self) -> Option<Area> {
        if !self.is_empty() && self.first.is_unused() {
            return Some(core::mem::replace(&mut self.first, Area::empty()));
        }
        self.take_further(Area::is_unused)
    }

    /// Takes out any area; `None` when there is none.
    pub(super) fn take_any(&mut self) -> Option<Area> {
        if !self.is_empty() {
            return Some(core::mem::replace(&mut self.first, Area::empty()));
        }
        self.take_further(|_| true)
    }

    fn take_further(&mut self, wanted: impl Fn(&Area) -> bool) -> Option<Area> {
        let mut link = &mut self.further;
        loop {
            // SAFETY: as in `iter_mut`.
            let area = unsafe { (*link)?.as_mut() };
            if wanted(area) {
                let header = NonNull::from(&mut *area);
                let next = area.next;
                *link = next;
                // SAFETY: it is out of the list, so this is the only copy of it in use.
                return Some(unsafe { header.read() });
            }
            link = &mut area.next;
        }
    }
}

const _: () = assert!(align_of::<Area>() <= WORD, "a header is aligned as `Geometry` says");
