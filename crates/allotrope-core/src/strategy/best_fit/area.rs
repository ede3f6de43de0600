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
//! 2. The region is on loan from the source that each method is called with.
//! 3. If the source's bytes are zero, those of granules that were never touched are, save for the
//!    last four of all, in which a free block that ends there keeps its size.

use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

use super::edges::Edges;
use super::space::{Run, Space};
use super::table::{InBlock, Table};
use crate::AllocError;
use crate::layout::area::{Geometry, edges_size};
use crate::layout::granule::{BlockSize, GRANULE_SHIFT, bytes_of};
use crate::source::provenance::within;
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
        // SAFETY: the space is never extended, so that no bit is ever asked for.
        let space = unsafe { Space::new(nowhere, Edges::new(NonNull::dangling())) };
        Self {
            space,
            region: None,
            geometry: Geometry { header: 0, edges: 0, granules: 0, capacity: 0 },
            is_zero: false,
            next: None,
        }
    }

    /// Makes an area of `region`, with room for `granules` at least. Gives the region back if it
    /// cannot.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source, and nobody uses it.
    pub(super) unsafe fn open(
        source: &impl Source,
        region: Region,
        header_size: usize,
        granules: u32,
    ) -> Result<Self, AllocError> {
        // SAFETY: as the caller promises.
        match unsafe { Self::try_open(source, &region, header_size, granules) } {
            Ok(area) => Ok(Self { region: Some(region), ..area }),
            Err(error) => {
                // SAFETY: as the caller promises.
                unsafe { release_clean(source, region) };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// As for `open`.
    unsafe fn try_open(
        source: &impl Source,
        region: &Region,
        header_size: usize,
        granules: u32,
    ) -> Result<Self, AllocError> {
        let start = region.start();
        let geometry = Geometry::new(start.addr().get(), region.size(), header_size)
            .filter(|geometry| geometry.capacity >= granules)
            .ok_or(AllocError)?;
        // SAFETY: the header lies in the region (`Geometry`), which is on loan (caller).
        unsafe { source.commit(region, 0..geometry.edges) }?;
        // SAFETY: both offsets lie in the region (`Geometry`).
        let (edges, granules) =
            unsafe { (start.add(geometry.edges), start.add(geometry.granules)) };
        // SAFETY: the space is extended as far as bitmap and granules are committed, and no further
        // than the region has room for.
        let space = unsafe { Space::new(InBlock::new(granules), Edges::new(edges.cast())) };
        Ok(Self {
            space,
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
        // SAFETY: the header lies in the region (`Geometry`).
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
    ///
    /// # Safety
    ///
    /// The granule is one of this area's, or the end of its last.
    #[inline(always)]
    pub(super) unsafe fn address(&self, granule: u32) -> NonNull<u8> {
        promised!(granule <= self.space.granules(), "a granule outside its area", granule as usize);
        // SAFETY: as the caller promises.
        unsafe { self.space.table.place(granule) }
    }

    /// Our own pointer to the block at `start`, which is one of this area's.
    #[inline(always)]
    pub(super) fn own(&self, start: NonNull<u8>) -> NonNull<u8> {
        within(self.start(), start)
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
    pub(super) fn allocate(&mut self, size: BlockSize) -> Option<Run> {
        self.space.allocate(size)
    }

    /// [`allocate`](Self::allocate) at an alignment in granules.
    #[inline(always)]
    pub(super) fn allocate_aligned(&mut self, size: BlockSize, align: u32) -> Option<Run> {
        self.space.allocate_aligned(size, align, self.phase()).found()
    }

    /// The same, from any free block, however many are looked at.
    pub(super) fn allocate_anywhere(&mut self, size: BlockSize, align: u32) -> Option<Run> {
        self.space.allocate_anywhere(size, align, self.phase()).found()
    }

    /// Lengthens a block in place, and returns how far the area was clean before; see
    /// [`Space::grow`].
    ///
    /// # Safety
    ///
    /// As for [`Space::grow`], and the region is on loan from `source`.
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
    /// As for `grow`.
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
        if rest.is_none()
            && self.is_last(start + old)
            // SAFETY: the region is on loan from this source (caller).
            && unsafe { self.extend(source, new - old, 1) }.is_ok()
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
        // SAFETY: both lie in `all`, which is the caller's block and what was free around it; both
        // have `kept` bytes (caller).
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
    ///
    /// # Safety
    ///
    /// The region is on loan from `source`.
    pub(super) unsafe fn extend(
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
        // SAFETY: as the caller promises; there is room for as many, the larger of which is `most`.
        let by = unsafe {
            match self.commit(source, most) {
                Ok(()) => most,
                Err(_) => self.commit(source, least).map(|()| least)?,
            }
        };
        // SAFETY: granules and edges are committed, and nobody's.
        let run = unsafe { self.space.extend(by) };
        if run.start + 1 < granules {
            // SAFETY: the granule that was the last lies inside of `run` now.
            unsafe { self.space.table.wipe_end(granules - 1) };
        }
        Ok(Run { start: granules, size: by })
    }

    /// Commits the next granules, and their edges.
    ///
    /// # Safety
    ///
    /// The region is on loan from `source`, and has room for `by` granules more.
    unsafe fn commit(&self, source: &impl Source, by: u32) -> Result<(), AllocError> {
        let region = self.region.as_ref().ok_or(AllocError)?;
        if region.committed() == region.size() {
            return Ok(());
        }
        let (old, new) = (self.space.granules(), self.space.granules() + by);
        let (edges, granules) = (self.geometry.edges, self.geometry.granules);
        let old_edges = if old == 0 { 0 } else { edges_size(old) };
        // SAFETY: as far as that there is room (caller), bitmap and granules lie in the region
        // (`Geometry`), which is on loan (caller).
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
    /// a source makes of the rest need not be zero (invariant 3). They stay committed, since an
    /// allocation does not ask whether its block was.
    ///
    /// # Safety
    ///
    /// The region is on loan from `source`.
    pub(super) unsafe fn discard_free(&self, source: &impl Source) {
        let Some(region) = &self.region else { return };
        for run in self.space.free_runs() {
            let (first, end) = (run.start + 1, (run.end() - 1).min(self.clean()));
            if first < end {
                let granules = self.geometry.granules;
                let range = granules + bytes_of(first)..granules + bytes_of(end);
                // SAFETY: the range lies in a free block, between the granules that hold its size
                // and links, and is committed (invariant 1); the region is on loan (caller).
                let _ = unsafe { source.discard(region, range) };
            }
        }
    }

    /// The region, to be released; the area has none any more.
    pub(super) fn take_region(&mut self) -> Option<Region> {
        self.region.take()
    }
}
