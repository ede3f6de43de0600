//! The stock: what all lanes take their chunks from, behind a lock.
//!
//! ```text
//! source ──▶ stock: a Space behind a lock ──▶ regions, each the source of a lane's chunk
//!                                        ├──▶ lanes, and the table that finds them
//!                                        └──▶ blocks of threads without a slot
//! ```
//!
//! # Invariants
//!
//! 1. Everything in the stock is accessed under its lock, or by who has the arena to themselves.
//! 2. A region that is lent ends before the block that holds it: no block of a lane ends where the
//!    stock's frontier is, or it would be taken for the stock's last one.
//! 3. Lanes and tables are in blocks that are not freed before all of the arena is.

use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Contents, Region, Source, SpinLock};
use allotrope_sync::facade::const_fn;
use allotrope_sync::inside;
use lock_api::Mutex;

use super::lane::Lane;
use crate::frontier::STEP;
use crate::growth;
use crate::space::{Cut, Position, Space};

pub(crate) struct Stock<S: Source> {
    locked: Mutex<SpinLock, Shelves<S>>,
}

/// What is behind the lock.
pub(super) struct Shelves<S: Source> {
    pub(super) space: Space<S>,
    /// The lane that was made last.
    newest: Option<NonNull<Lane<S>>>,
    /// A lane that nobody has.
    vacant: Option<NonNull<Lane<S>>>,
    /// Up to what size the chunks of new lanes double.
    cap: usize,
}

impl<S: Source> Stock<S> {
    const_fn! {
        pub(super) fn new(source: S) -> Self {
            let space = Space::new(source);
            let shelves = Shelves { space, newest: None, vacant: None, cap: growth::CAP };
            Self { locked: Mutex::from_raw(SpinLock::new(), shelves) }
        }
    }

    /// Calls `work` with what is behind the lock; it must not come back here. Where a foreign source
    /// does, the program ends.
    pub(super) fn locked<R>(&self, work: impl FnOnce(&mut Shelves<S>) -> R) -> R {
        let locked = || work(&mut self.locked.lock());
        if S::MAY_REENTER { inside::once(self, locked) } else { locked() }
    }

    pub(super) fn get_mut(&mut self) -> &mut Shelves<S> {
        self.locked.get_mut()
    }

    /// Lends a region of `wanted` bytes, or fewer, but at least `least`; if there is none, in place of
    /// what lanes hold free that nobody has.
    fn lend(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.lend_at_once(least, wanted).or_else(|error| {
            if self.reclaim() { self.lend_at_once(least, least) } else { Err(error) }
        })
    }

    /// Takes back the chunks of vacant lanes that are not in use. Says whether there were any.
    #[cold]
    fn reclaim(&self) -> bool {
        let mut vacant = self.locked(|shelves| shelves.vacant.take());
        let mut has_any = false;
        while let Some(place) = vacant {
            // SAFETY: lanes stay (invariant 3).
            let lane = unsafe { place.as_ref() };
            vacant = lane.next_vacant.take();
            let release = |space: &Space<_>| {
                has_any |= space.chunks.unused().next().is_some();
                space.chunks.release_unused(0);
            };
            // SAFETY: the lane was vacant, and is out of the list, so that nobody else has it. It goes
            // back there, and is not used any more.
            unsafe {
                lane.with_stock(self, release);
                self.locked(|shelves| shelves.vacate(place));
            }
        }
        has_any
    }

    fn lend_at_once(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.locked(|shelves| {
            let mut size = wanted;
            loop {
                match block_of(size).and_then(|layout| shelves.space.cut(layout)) {
                    Ok(Cut { start, dirty }) => {
                        let bytes = NonNull::slice_from_raw_parts(start, size);
                        let contents = if dirty == 0 { Contents::Zero } else { Contents::Unknown };
                        return Ok(Region::new(bytes, size, contents));
                    }
                    Err(error) if size <= least => return Err(error),
                    Err(_) => size = (size / 2).max(least),
                }
            }
        })
    }

    /// Takes a region back.
    ///
    /// # Safety
    ///
    /// It was lent from here, and nobody uses it any more.
    unsafe fn take_back(&self, region: Region) {
        let Ok(layout) = block_of(region.size()) else { return };
        // SAFETY: the block was allocated with this layout, and is not used any more (caller).
        self.locked(|shelves| unsafe { shelves.space.deallocate(region.start(), layout) });
    }
}

/// The layout of a block that holds a region of `size` bytes (invariant 2).
fn block_of(size: usize) -> Result<Layout, AllocError> {
    let size = size.checked_add(STEP).ok_or(AllocError)?;
    Layout::from_size_align(size, STEP).map_err(|_| AllocError)
}

impl<S: Source> Shelves<S> {
    /// A lane for the caller alone, until it is [vacant](Self::vacate) again.
    pub(super) fn take_lane(&mut self) -> Result<NonNull<Lane<S>>, AllocError> {
        if let Some(lane) = self.vacant {
            // SAFETY: lanes stay (invariant 3).
            self.vacant = unsafe { lane.as_ref() }.next_vacant.take();
            return Ok(lane);
        }
        let place = self.space.place_for::<Lane<S>>()?;
        let lane = Lane::new(self.cap);
        lane.older.set(self.newest);
        // SAFETY: the block is new, and fits.
        unsafe { place.write(lane) };
        self.newest = Some(place);
        Ok(place)
    }

    /// Makes a lane vacant.
    ///
    /// # Safety
    ///
    /// The lane is one that the caller took from here, and uses no more.
    pub(super) unsafe fn vacate(&mut self, place: NonNull<Lane<S>>) {
        // SAFETY: lanes stay (invariant 3).
        unsafe { place.as_ref() }.next_vacant.set(self.vacant);
        self.vacant = Some(place);
    }

    /// Calls `look` with the space of every lane; it takes and releases no chunks.
    ///
    /// # Safety
    ///
    /// Nobody has a lane meanwhile.
    pub(super) unsafe fn each_lane(&self, mut look: impl FnMut(&Space<Lent<S>>)) {
        let mut next = self.newest;
        while let Some(place) = next {
            // SAFETY: lanes stay (invariant 3).
            let lane = unsafe { place.as_ref() };
            // SAFETY: nobody has it (caller).
            unsafe { lane.with(&mut look) };
            next = lane.older.get();
        }
    }

    /// Sets up to what size the chunks of new lanes double.
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
    }

    /// Forgets all lanes, and frees everything.
    ///
    /// # Safety
    ///
    /// Nobody uses a block or a lane any more.
    pub(super) unsafe fn reset(&mut self) {
        (self.newest, self.vacant) = (None, None);
        // SAFETY: everything comes after the start, and nobody uses it (caller).
        unsafe { self.space.rewind(Position::START) };
    }
}

/// The source of a lane: the stock.
pub(crate) struct Lent<S: Source> {
    stock: Cell<Option<NonNull<Stock<S>>>>,
    owns: PhantomData<S>,
}

impl<S: Source> Lent<S> {
    pub(super) const fn nowhere() -> Self {
        Self { stock: Cell::new(None), owns: PhantomData }
    }

    /// From now on takes chunks from `stock`.
    ///
    /// # Safety
    ///
    /// While this reserves or releases, the stock is in its place.
    #[inline(always)]
    pub(super) unsafe fn lend_from(&self, stock: &Stock<S>) {
        self.stock.set(Some(NonNull::from_ref(stock)));
    }

    fn stock(&self) -> Option<&Stock<S>> {
        // SAFETY: as who called `lend_from` promised.
        self.stock.get().map(|stock| unsafe { stock.as_ref() })
    }
}

// SAFETY: a region is a block of the stock, which is handed out once until it is freed, and does not
// move before all of the arena is reset.
unsafe impl<S: Source> Source for Lent<S> {
    const REGION_ALIGN: usize = STEP;
    const HIGHEST_ADDRESS: usize = S::HIGHEST_ADDRESS;
    const MAY_REENTER: bool = S::MAY_REENTER;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.stock().ok_or(AllocError)?.lend(least, wanted)
    }

    unsafe fn release(&self, region: Region) {
        if let Some(stock) = self.stock() {
            // SAFETY: as the caller promises.
            unsafe { stock.take_back(region) };
        }
    }
}
