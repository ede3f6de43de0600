//! From which region a block is taken, and how there come to be more.
//!
//! ```text
//! first region ─▶ further ones ─▶ what is parked, joined ─▶ more memory ─▶ whatever fits by chance
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::area::Area;
use super::taken::Taken;
use super::{BestFit, note};
use crate::AllocError;
use crate::hook::{EventKind, Hook};
use crate::layout::area::Geometry;
use crate::layout::granule::{BlockSize, GRANULE_SIZE, bytes_of, granules_of_align};
use crate::policy::Policy;
use crate::source::provenance::exposed;
use crate::source::{Source, reserve_ahead};

impl<S: Source, P: Policy, H: Hook> BestFit<S, P, H> {
    /// Takes a block of `size` granules from the first area or, failing that, from any or from a
    /// new one.
    pub(super) fn take(&mut self, layout: Layout, size: BlockSize) -> Result<Taken, AllocError> {
        match self.take_first(layout, size) {
            Some(taken) => Ok(taken),
            None => self.take_slow(layout, size),
        }
    }

    /// Takes a block of `size` granules from the first area.
    #[inline(always)]
    pub(super) fn take_first(&mut self, layout: Layout, size: BlockSize) -> Option<Taken> {
        let align = layout.align();
        let area = self.areas.first_mut();
        let clean = area.clean();
        // Not in a closure, which the compiler would not inline.
        let found = if align <= GRANULE_SIZE {
            area.allocate(size)
        } else {
            granules_of_align(align).and_then(|align| area.allocate_aligned(size, align))
        };
        // SAFETY: the area has just given it out.
        Some(unsafe { Taken::new(area, size.get(), found?, clean) })
    }

    /// Allocates a block of `size` granules where the first area has none.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_slow(
        &mut self,
        layout: Layout,
        size: BlockSize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let taken = self.take_slow(layout, size)?;
        taken.tell(&mut self.log, layout, size.get());
        Ok(taken.block(size.get()))
    }

    #[cold]
    fn take_slow(&mut self, layout: Layout, size: BlockSize) -> Result<Taken, AllocError> {
        let align = granules_of_align(layout.align()).ok_or(AllocError)?;
        self.take_held(size, align)
            .or_else(|| self.settle().then(|| self.take_held(size, align)).flatten())
            .or_else(|| self.take_more(size, align).ok())
            // Before failing, all that there is: what happens to be aligned must be found.
            .or_else(|| self.take_anywhere(size, align))
            .ok_or(AllocError)
    }

    /// Takes an aligned block of what is free already. If any will do, all blocks are looked at.
    fn take_held(&mut self, size: BlockSize, align: u32) -> Option<Taken> {
        let allocate = |area: &mut Area| match align {
            1 => area.allocate(size).or_else(|| area.allocate_anywhere(size, 1)),
            _ => area.allocate_aligned(size, align),
        };
        // SAFETY: what an area allocates lies in it.
        let held = |area| unsafe { Taken::by(area, size.get(), allocate) };
        self.areas.iter_mut().find_map(held)
    }

    /// Takes an aligned block of what is free already, however many blocks are looked at.
    fn take_anywhere(&mut self, size: BlockSize, align: u32) -> Option<Taken> {
        let allocate = |area: &mut Area| area.allocate_anywhere(size, align);
        // SAFETY: what an area allocates lies in it.
        let anywhere = |area| unsafe { Taken::by(area, size.get(), allocate) };
        self.areas.iter_mut().find_map(anywhere)
    }

    /// Takes an aligned block of memory that the source has yet to give.
    fn take_more(&mut self, size: BlockSize, align: u32) -> Result<Taken, AllocError> {
        let enough = size.get().checked_add(align - 1).ok_or(AllocError)?;
        let growth = self.growth();
        for area in self.areas.iter_mut() {
            // SAFETY: all areas' regions are on loan from this source.
            if let Ok(run) = unsafe { area.extend(&self.source, enough, growth) } {
                note(&mut self.log, EventKind::Refill, area, run);
                let allocate = |area: &mut Area| area.allocate_aligned(size, align);
                // SAFETY: what an area allocates lies in it.
                return unsafe { Taken::by(area, size.get(), allocate) }.ok_or(AllocError);
            }
        }
        let mut area = self.open_region(enough, size.get(), growth)?;
        let allocate = |area: &mut Area| {
            area.allocate_aligned(size, align).or_else(|| area.allocate_anywhere(size, align))
        };
        // SAFETY: what an area allocates lies in it.
        let Some(taken) = (unsafe { Taken::by(&mut area, size.get(), allocate) }) else {
            // The region is shorter than `enough`, and not where the alignment would have it.
            // SAFETY: it is in no list yet, and has no block.
            unsafe { self.release(area) };
            return Err(AllocError);
        };
        // SAFETY: `open_region` left room for a header unless there was no area, and none was added
        // since. The region is on loan until the area is taken out.
        unsafe { self.areas.add(area) }.ok_or(AllocError)?;
        Ok(taken)
    }

    /// By how many granules to grow at once: the more there is, the more.
    fn growth(&self) -> u32 {
        let bytes = P::GROWTH_SIZE.max(self.areas.bytes_held() / 4);
        (bytes / GRANULE_SIZE).min(u32::MAX as usize / 2) as u32
    }

    /// Gets a region from the source, with room for a free block of `enough` granules, or at least
    /// of `least`. It is the caller's to add or to release.
    fn open_region(&mut self, enough: u32, least: u32, growth: u32) -> Result<Area, AllocError> {
        // A first region that is the only one, such as a buffer, is not to lose room for a header.
        let has_no_header = self.areas.is_empty() && !S::RESERVES_AHEAD;
        let header_size = if has_no_header { 0 } else { size_of::<Area>() };
        let roomy = Geometry::region_size(enough, header_size).ok_or(AllocError)?;
        let wanted = if S::RESERVES_AHEAD {
            // A free in a region that is not the newest takes longer: few blocks are to be there.
            reserve_ahead::<P>(self.areas.bytes_held(), P::GROWTH_SIZE / 4)
        } else {
            bytes_of(growth)
        };
        let region = match self.source.reserve(roomy, wanted.max(roomy)) {
            Ok(region) => exposed(region),
            // Where a region starts well, it needs less: a buffer that is just large enough must
            // not be refused.
            Err(AllocError) => exposed(self.source.reserve(bytes_of(least), roomy)?),
        };
        // SAFETY: the region was lent just above.
        let mut area = unsafe { Area::open(&self.source, region, header_size, least) }?;
        let at_once = if S::RESERVES_AHEAD { growth } else { u32::MAX };
        // SAFETY: as above.
        match unsafe { area.extend(&self.source, enough.min(area.capacity()), at_once) } {
            Ok(run) => note(&mut self.log, EventKind::Refill, &area, run),
            Err(error) => {
                // SAFETY: it is in no list yet, and has no block.
                unsafe { self.release(area) };
                return Err(error);
            }
        }
        Ok(area)
    }
}
