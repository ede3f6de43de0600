//! A block that was just taken out of an area.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::area::Area;
use super::event;
use super::space::Run;
use crate::hook::{Event, EventKind, Hook, Log};
use crate::layout::granule::bytes_of;

/// A block that was just taken.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) start: NonNull<u8>,
    /// The granules after it that stay free.
    rest: u32,
    /// Its first granule.
    pub(super) granule: u32,
    /// Granules from here on were never used before, and zero.
    pub(super) clean: u32,
}

impl Taken {
    /// What `allocate` takes out of an area, with what was free behind it: a block of `size`.
    ///
    /// # Safety
    ///
    /// What `allocate` returns lies in the area.
    pub(super) unsafe fn by(
        area: &mut Area,
        size: u32,
        allocate: impl FnOnce(&mut Area) -> Option<Run>,
    ) -> Option<Self> {
        let clean = area.clean();
        let found = allocate(area)?;
        // SAFETY: as the caller promises.
        Some(unsafe { Self::new(area, size, found, clean) })
    }

    /// A block of `size` granules at the start of what was `found`, in an area that was `clean`
    /// from there on before.
    ///
    /// # Safety
    ///
    /// `found` lies in the area.
    #[inline(always)]
    pub(super) unsafe fn new(area: &Area, size: u32, found: Run, clean: u32) -> Self {
        // SAFETY: as the caller promises.
        let (start, rest) = (unsafe { area.address(found.start) }, found.size - size);
        Self { start, rest, granule: found.start, clean }
    }

    #[inline(always)]
    pub(super) fn block(self, size: u32) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.start, bytes_of(size))
    }

    #[inline(always)]
    pub(super) fn tell<H: Hook>(self, log: &mut Log<H>, layout: Layout, size: u32) {
        log.push(|| event(EventKind::Allocate, self.start, layout));
        if self.rest > 0 {
            log.push(|| {
                let rest = self.start.addr().get() + bytes_of(size);
                Event::internal(EventKind::Split, rest, bytes_of(self.rest))
            });
        }
    }
}
