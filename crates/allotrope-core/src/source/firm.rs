//! A source that strategies hold: one whose calls end the program where they unwind.
//!
//! A source promises not to unwind, but a user's own may break that. A strategy calls it in the middle
//! of its work, often under a lock, and could not go on after that.

use core::ops::Range;

use allotrope_sync::fatal::no_unwinding;

use super::{Contents, Movement, Region, Source};
use crate::AllocError;

/// `S`, whose calls return or end the program.
#[derive(Debug)]
pub struct Firm<S> {
    source: S,
}

impl<S> Firm<S> {
    /// Holds `source`.
    pub const fn new(source: S) -> Self {
        Self { source }
    }

    /// The source itself.
    pub const fn get(&self) -> &S {
        &self.source
    }
}

// SAFETY: each call is the same call of `source`, with the same arguments, and returns what that
// returns.
unsafe impl<S: Source> Source for Firm<S> {
    const RESERVES_AHEAD: bool = S::RESERVES_AHEAD;
    const REGION_ALIGN: usize = S::REGION_ALIGN;
    const HIGHEST_ADDRESS: usize = S::HIGHEST_ADDRESS;
    const MAY_REENTER: bool = S::MAY_REENTER;

    #[inline]
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        no_unwinding(|| self.source.reserve(least, wanted))
    }

    #[inline]
    fn reserve_block(&self, size: usize) -> Result<Region, AllocError> {
        no_unwinding(|| self.source.reserve_block(size))
    }

    #[inline]
    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.commit(region, range) })
    }

    #[inline]
    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.decommit(region, range) })
    }

    #[inline]
    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.discard(region, range) })
    }

    #[inline]
    unsafe fn expect_use(&self, region: &Region, range: Range<usize>) {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.expect_use(region, range) });
    }

    #[inline]
    fn take_kept(&self, size: usize) -> Option<Region> {
        no_unwinding(|| self.source.take_kept(size))
    }

    #[inline]
    unsafe fn release_or_keep(&self, region: Region) {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.release_or_keep(region) });
    }

    #[inline]
    unsafe fn release(&self, region: Region) {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.release(region) });
    }

    #[inline]
    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.source.grow_region(region, size, movement) })
    }
}
