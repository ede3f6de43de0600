//! An area: one region, the space in it, and how much of it is committed.
//!
//! ```text
//! region  │ header │ edges        │ granules                              │
//!         │        │ committed │  │ used, free … │ free, never used │     │
//!                                                ▲ touched          ▲     ▲
//!                                                          granules   capacity
//! ```
//!
//! The first area of a strategy lies in the strategy itself, so that a small buffer need not hold
//! it; further areas lie at the start of their own region, as the header.
//!
//! # Invariants
//!
//! 1. `granules <= capacity`; what lies below `granules`, and its edges, is committed.
//! 2. If the source's bytes are zero, those of granules that were never touched are, save for the
//!    last four of all, in which a free block that ends there keeps its size.

use core::ptr::NonNull;

use super::edges::Edges;
use super::space::{Run, Space};
use super::table::{InBlock, Table};
use crate::AllocError;
use crate::layout::area::{Geometry, edges_size};
use crate::layout::granule::{GRANULE_SHIFT, bytes_of};
use crate::source::{Contents, Region, Source, release_clean};

/// One region of a best-fit strategy.
///
/// The space comes first, here as in all that it is a part of: so it lies where the strategy does, and
/// compiled code keeps one address instead of two.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Area {
    pub(super) space: Space<InBlock>,
    region: Option<Region>,
    geometry: Geometry,
    /// Were the region's bytes zero?
    is_zero: bool,
    /// The area that was made before this one.
    pub(super) next: Option<NonNull<Area>>,
}

/// From which byte on a block is zero, save for its last four bytes, if [`clean`](Area::clean) was
/// `clean` before it was taken.
#[inline(always)]
pub(super) fn known_zero(start: u32, size: u32, clean: u32) -> usize {
    bytes_of(clean.clamp(start, start + size) - start)
}

impl Area {
    /// An area without a region: it has no granules.
    pub(super) const fn empty() -> Self {
        let nowhere = InBlock::new(NonNull::<u128>::dangling().cast());
        Self {
            space: Space::new(nowhere, Edges::new(NonNull::dangling())),
            region: None,
            geometry: Geometry { header: 0, edges: 0, granules: 0, capacity: 0 },
            is_zero: false,
            next: None,
        }
    }

    /// Makes an area of `region`, with room for `granules` at least. Gives the region back if it
    /// cannot.
    pub(super) fn open(
        source: &impl Source,
        region: Region,
        header_size: usize,
        granules: u32,
    ) -> Result<Self, AllocError> {
        match Self::try_open(source, &region, header_size, granules) {
            Ok(area) => Ok(Self { region: Some(region), ..area }),
            Err(error) => {
                // SAFETY: the region is on loan from this source, and nobody uses it.
                unsafe { release_clean(source, region) };
                Err(error)
            }
        }
    }

    fn try_open(
        source: &impl Source,
        region: &Region,
        header_size: usize,
        granules: u32,
    ) -> Result<Self, AllocError> {
        let start = region.start();
        let geometry = Geometry::new(start.addr().get(), region.size(), header_size)
            .filter(|geometry| geometry.capacity >= granules)
            .ok_or(AllocError)?;
        // SAFETY: the header and the bitmap lie in the region, which is on loan.
        unsafe { source.commit(region, 0..geometry.edges) }?;
        // SAFETY: both offsets lie in the region.
        let (edges, granules) =
            unsafe { (start.add(geometry.edges), start.add(geometry.granules)) };
        Ok(Self {
            space: Space::new(InBlock::new(granules), Edges::new(edges.cast())),
            region: None,
            geometry,
            is_zero: region.contents() == Contents::Zero,
            next: None,
        })
    }

    /// Whether `open` was told to leave room for a header.
    pub(super) fn has_header(&self) -> bool {
        self.geometry.edges - self.geometry.header >= size_of::<Self>()
    }

    /// Where the header lies that `open` was told to leave room for.
    pub(super) fn header(&self) -> Option<NonNull<Area>> {
        let region = self.region.as_ref()?;
        // SAFETY: the header lies in the region.
        Some(unsafe { region.start().add(self.geometry.header) }.cast())
    }

    /// The number of the granule at `start`, if it is one of this area's.
    #[inline(always)]
    pub(super) fn granule_at(&self, start: NonNull<u8>) -> Option<u32> {
        let offset = start.addr().get().wrapping_sub(self.start().addr().get());
        let granule = offset >> GRANULE_SHIFT;
        if granule < self.space.granules() as usize { Some(granule as u32) } else { None }
    }

    /// The first byte of a granule.
    #[inline(always)]
    pub(super) fn address(&self, granule: u32) -> NonNull<u8> {
        debug_assert!(granule <= self.space.granules());
        // SAFETY: the granule is in range, or its end.
        unsafe { self.space.table.place(granule) }
    }

    /// The first byte of granule 0.
    #[inline(always)]
    pub(super) fn start(&self) -> NonNull<u8> {
        self.space.table.start()
    }

    /// The address of granule 0, in granules, modulo 2³².
    #[inline(always)]
    fn phase(&self) -> u32 {
        (self.start().addr().get() >> GRANULE_SHIFT) as u32
    }

    /// How many granules there are, or can be.
    pub(super) fn capacity(&self) -> u32 {
        self.geometry.capacity
    }

    /// How many bytes are committed, or all of the region if no more can be.
    pub(super) fn bytes_held(&self) -> usize {
        let granules = self.space.granules();
        match &self.region {
            None => 0,
            Some(region) if granules == self.geometry.capacity => region.size(),
            Some(_) => self.geometry.edges + edges_size(granules) + bytes_of(granules),
        }
    }

    /// Is everything one free block?
    pub(super) fn is_unused(&self) -> bool {
        self.space.free_granules() == self.space.granules()
    }

    /// Takes a block of `size` granules, and returns it with what was free behind it.
    #[inline(always)]
    pub(super) fn allocate(&mut self, size: u32) -> Option<Run> {
        self.space.allocate(size)
    }

    /// [`allocate`](Self::allocate) at an alignment in granules.
    #[inline(always)]
    pub(super) fn allocate_aligned(&mut self, size: u32, align: u32) -> Option<Run> {
        self.space.allocate_aligned(size, align, self.phase()).found()
    }

    /// The same, from any free block, however many are looked at.
    pub(super) fn allocate_anywhere(&mut self, size: u32, align: u32) -> Option<Run> {
        self.space.allocate_anywhere(size, align, self.phase()).found()
    }

    /// Lengthens a block in place, and returns how far the area was clean before; see
    /// [`Space::grow`].
    ///
    /// # Safety
    ///
    /// As for [`Space::grow`].
    #[inline(always)]
    pub(super) unsafe fn grow(
        &mut self,
        source: &impl Source,
        start: u32,
        old: u32,
        new: u32,
    ) -> Option<u32> {
        // SAFETY: as the caller promises.
        unsafe {
            if self.space.may_grow(start, old) {
                self.grow_slow(source, start, old, new)
            } else {
                None
            }
        }
    }

    /// [`grow`](Self::grow), where there may be room.
    ///
    /// # Safety
    ///
    /// As for [`Space::grow`].
    #[inline(never)]
    unsafe fn grow_slow(
        &mut self,
        source: &impl Source,
        start: u32,
        old: u32,
        new: u32,
    ) -> Option<u32> {
        let mut clean = self.clean();
        // SAFETY: as the caller promises.
        let mut rest = unsafe { self.space.grow(start, old, new) };
        if rest.is_none() && self.is_last(start + old) && self.extend(source, new - old, 1).is_ok()
        {
            clean = self.clean();
            // SAFETY: as above.
            rest = unsafe { self.space.grow(start, old, new) };
        }
        rest.map(|_| clean)
    }

    /// Lengthens a block downwards, moves the first `kept` bytes of what it holds, and returns
    /// where it starts now; see [`Space::grow_down`].
    ///
    /// # Safety
    ///
    /// As for [`Space::grow`], and the block is `kept` bytes long.
    pub(super) unsafe fn grow_down(
        &mut self,
        start: u32,
        old: u32,
        new: u32,
        kept: usize,
    ) -> Option<Run> {
        // SAFETY: as the caller promises.
        let all = unsafe { self.space.grow_down(start, old, new) }?;
        // SAFETY: both lie in `all`, which is the caller's block and what was free around it.
        unsafe { self.address(all.start).copy_from(self.address(start), kept) };
        // SAFETY: the rest was free, or part of the block; around `all` nothing is free.
        unsafe { self.space.insert_rest(all, new) };
        Some(all)
    }

    /// Is everything from granule `end` on free, so that more at the end would join it?
    fn is_last(&self, end: u32) -> bool {
        end == self.space.granules() - self.space.free_at_end()
    }

    /// Commits more, so that at least `wanted` granules at the end are free: `growth` more, if
    /// there is as much. Returns the granules that were added.
    pub(super) fn extend(
        &mut self,
        source: &impl Source,
        wanted: u32,
        growth: u32,
    ) -> Result<Run, AllocError> {
        let granules = self.space.granules();
        let room = self.geometry.capacity - granules;
        let least = wanted.saturating_sub(self.space.free_at_end()).max(1);
        if least > room {
            return Err(AllocError);
        }
        let most = least.max(growth).min(room);
        let by = match self.commit(source, most) {
            Ok(()) => most,
            Err(_) => self.commit(source, least).map(|()| least)?,
        };
        // SAFETY: granules and edges are committed, and nobody's.
        let run = unsafe { self.space.extend(by) };
        if run.start + 1 < granules {
            // SAFETY: the granule that was the last lies inside of `run` now.
            unsafe { self.space.table.wipe_end(granules - 1) };
        }
        Ok(Run { start: granules, size: by })
    }

    fn commit(&self, source: &impl Source, by: u32) -> Result<(), AllocError> {
        let region = self.region.as_ref().ok_or(AllocError)?;
        if region.committed() == region.size() {
            return Ok(());
        }
        let (old, new) = (self.space.granules(), self.space.granules() + by);
        let (edges, granules) = (self.geometry.edges, self.geometry.granules);
        let old_edges = if old == 0 { 0 } else { edges_size(old) };
        // SAFETY: bitmap and granules lie in the region, which is on loan.
        unsafe {
            if edges_size(new) > old_edges {
                source.commit(region, edges + old_edges..edges + edges_size(new))?;
            }
            source.commit(region, granules + bytes_of(old)..granules + bytes_of(new))
        }
    }

    /// Granules from here on were never used, and are zero.
    #[inline(always)]
    pub(super) fn clean(&self) -> u32 {
        if self.is_zero { self.space.touched() } else { u32::MAX }
    }

    /// Gives back what is behind the pages inside of free blocks, as far as it was ever used: what
    /// a source makes of the rest need not be zero (invariant 2). They stay committed, since an
    /// allocation does not ask whether its block was.
    pub(super) fn discard_free(&self, source: &impl Source) {
        let Some(region) = &self.region else { return };
        for run in self.space.free_runs() {
            let (first, end) = (run.start + 1, (run.end() - 1).min(self.clean()));
            if first < end {
                let granules = self.geometry.granules;
                let range = granules + bytes_of(first)..granules + bytes_of(end);
                // SAFETY: the range lies in a free block, between the granules that hold its size.
                let _ = unsafe { source.discard(region, range) };
            }
        }
    }

    /// The region, to be released; the area has none any more.
    pub(super) fn take_region(&mut self) -> Option<Region> {
        self.region.take()
    }
}
