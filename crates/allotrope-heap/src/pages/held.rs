//! What a region holds of its source's memory: how much it is, when pages become dirty, and when they
//! are clean again. `Account` keeps the sum.

use allotrope_core::parts::Run;
use allotrope_core::{Contents, Region, Source, poison};

use super::Pages;
use super::places::Places;
use crate::route::PAGE;

impl Pages {
    /// How many bytes of the source's memory are in tables and pages that may be dirty. Counts them.
    pub(crate) fn bytes_held(&self) -> usize {
        let pages = self.space.granules();
        let held = if self.is_zeroed {
            // SAFETY: these are all pages in range.
            unsafe { self.dirty.count(pages) }
        } else {
            pages as usize
        };
        self.table_bytes(pages) + held * PAGE
    }

    /// How many bytes a region holds that is [opened](Self::open), without any pages.
    pub(crate) fn least_held(region: &Region) -> usize {
        let start = region.start().addr().get();
        Places::new(start, region.size()).map_or(0, |places| places.table_bytes(start, 0))
    }

    /// How many bytes more are held once `by` pages are added; and once a run of `count` pages is
    /// taken of those.
    pub(crate) fn cost_of(&self, by: u32, count: u32) -> (usize, usize) {
        let old = self.space.granules();
        let tables = self.table_bytes(old.saturating_add(by)) - self.table_bytes(old);
        if self.is_zeroed {
            (tables, tables.saturating_add(count as usize * PAGE))
        } else {
            // Nobody knows what they read as: they count at once.
            let all = tables.saturating_add(by as usize * PAGE);
            (all, all)
        }
    }

    fn table_bytes(&self, pages: u32) -> usize {
        self.places.table_bytes(self.region.start().addr().get(), pages)
    }

    /// Makes the pages of a run dirty, `clean` of which are not; or gives the run back, if `charge`
    /// says that as many bytes more may not be held.
    ///
    /// # Safety
    ///
    /// The pages are in range, no part of a free run, and nobody has them.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn charge_run(
        &mut self,
        run: Run,
        clean: u32,
        charge: impl FnOnce(usize) -> bool,
    ) -> bool {
        let may_hold = charge(clean as usize * PAGE);
        // SAFETY: as the caller promises.
        unsafe {
            if may_hold {
                self.dirty.mark(run.start, run.size);
            } else {
                self.space.free(run.start, run);
            }
        }
        may_hold
    }

    /// Gives back what is behind pages that nobody uses; they stay committed. Says how many bytes
    /// are not held any more.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source.
    pub(crate) unsafe fn discard_free(&mut self, source: &impl Source) -> usize {
        self.space.settle();
        if !self.is_zeroed {
            return 0;
        }
        let (mut from, mut pages) = (0, 0);
        while let Some(run) = self.space.free_block_from(from) {
            from = run.end() + 1;
            // SAFETY: as the caller promises; nothing is parked any more, so the run is free.
            pages += unsafe { self.discard_run(source, run) };
        }
        pages as usize * PAGE
    }

    /// Discards a free run, and says how many of its pages were dirty and are clean now.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source, and the run is free.
    unsafe fn discard_run(&mut self, source: &impl Source, run: Run) -> u32 {
        // SAFETY: the run is one of pages in range (caller).
        let Some(first) = (unsafe { self.dirty.first(run.start, run.end()) }) else { return 0 };
        let start = self.places.pages + first as usize * PAGE;
        let end = self.places.pages + run.end() as usize * PAGE;
        // SAFETY: the pages are in range, so committed (invariant 4), and free (caller).
        unsafe {
            let place = self.address(first);
            poison::unpoison(place, end - start);
            let contents = source.discard(&self.region, start..end);
            poison::poison(place, end - start);
            if contents != Contents::Zero {
                return 0;
            }
            let count = run.end() - first;
            let dirty = count - self.dirty.clean(first, count);
            self.dirty.clear(first, count);
            dirty
        }
    }
}
