//! Best fit: variable sizes, without headers.
//!
//! ```text
//! BestFit ── first area ── region │ edges │ used │ free │ used │ free        │
//!    │                                              ▲─────────────▲ bins' lists
//!    └────── further areas, newest first: the same, with the area at the region's start
//! ```
//!
//! | file | is about |
//! |---|---|
//! | `space.rs` | the algorithm: find, cut, coalesce, by granule numbers |
//! | `space/` | cutting; the tail; growing in place; what is free |
//! | `lists.rs` | the free blocks by size, and which fits best |
//! | `parked.rs` | freed blocks that wait for the next request of their size |
//! | `table.rs` | where a free block keeps its size and links |
//! | `edges.rs` | the bitmap of where free memory begins and ends |
//! | `area.rs` | one region, how much of it is committed and how much is known to be zero |
//! | `areas.rs` | all regions of a strategy |
//! | `take.rs` | from which region a block is taken |
//! | `taken.rs` | what is known of a block that was just taken |
//! | `span.rs` | what users see of the memory |
//! | `check.rs` | the invariants, checked |
//!
//! The layout arithmetic beneath is in [`layout`](crate::layout).

mod area;
mod areas;
mod check;
mod edges;
mod lists;
#[cfg(all(test, feature = "os-pages"))]
mod pages;
mod parked;
mod space;
mod span;
mod table;
mod take;
mod taken;

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use area::{Area, known_zero};
use areas::Areas;
pub use edges::Edges;
pub use space::{Run, Space};
pub use span::Span;
pub use table::{NONE, Table};

use super::{Broken, Strategy, carry_over, dangling};
use crate::AllocError;
use crate::hook::{Delivery, Event, EventKind, Hook, Log, NoHook};
use crate::layout::granule::{
    BlockSize, GRANULE_SIZE, bytes_of, extent, granules_for, granules_of,
};
use crate::policy::{DefaultPolicy, Policy, ValidPolicy};
use crate::source::provenance::ours;
use crate::source::{Firm, Source, release_clean};

/// Variable sizes from one region or a few, packed tightly: the smallest free block that is large
/// enough serves a request, and blocks have no headers.
///
/// | | |
/// |---|---|
/// | block | the request rounded up to 16 bytes; no other overhead |
/// | bookkeeping in the region | one bit for every 16 bytes (1/128) and at most 40 bytes; in all regions but the first, its bins as well |
/// | bookkeeping in the handle | the first region's bins: `size_of::<BestFit<Buffer>>()` is about 2.4 KiB |
/// | smallest buffer | 40 bytes serve a block of 16; a 256-byte buffer holds 240 if it is aligned to 8 |
/// | region | at most 32 GiB; what comes after is a further region |
/// | allocate | O(1) in a bin of one size (below 1 KiB); above, and at alignments above 16, looks at up to 4 free blocks of similar size and 2 longer ones (at 1 of each, if aligned), at all of them before it fails; one more try for each further region |
/// | free | O(1): joins with free neighbours at once, unless the block is parked |
/// | parked | up to one block of each size below 512 bytes waits unjoined for the next request of its size, while the free block at the region's end is 64 KiB long and a quarter of the region; all are joined before a request fails or asks the source for more |
/// | grow, shrink | in place where the next block is free; a block that moves is copied |
///
/// Blocks never move by themselves; moving the `BestFit` moves none of them. Dropping it releases
/// every region, and with them all blocks.
///
/// The source's first region is taken by the first allocation, so making a `BestFit` never fails
/// and is `const`. Where a region is too small for its bookkeeping, allocations fail.
///
/// The boundary tags are Knuth's (*The Art of Computer Programming* 1, 2.5), moved out of the
/// blocks into a bitmap; segregated bins with a bitmap go back to Lea's dlmalloc and to TLSF
/// (Masmano et al. 2004), the way to cut a doubling into bins to the latter.
///
/// ```
/// use std::alloc::Layout;
/// use std::mem::MaybeUninit;
/// use allotrope_core::{BestFit, Buffer, Strategy};
///
/// let mut bytes = [const { MaybeUninit::uninit() }; 256];
/// let mut heap = BestFit::new(Buffer::new(&mut bytes));
/// let layout = Layout::new::<[u8; 100]>();
/// let block = heap.allocate(layout)?;
/// assert_eq!(block.len(), 112);
/// assert_eq!(heap.bytes_used(), 112);
/// // SAFETY: allocated above with this layout, and not used any more.
/// unsafe { heap.deallocate(block.cast(), layout) };
/// assert!(heap.largest_free_block() >= 224);
/// # Ok::<(), allotrope_core::AllocError>(())
/// ```
#[repr(C)] // As `Area` is.
pub struct BestFit<S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    areas: Areas,
    source: Firm<S>,
    log: Log<H>,
    policy: PhantomData<P>,
}

// SAFETY: the areas and all they point to belong to this strategy alone, and to no thread.
unsafe impl<S: Source + Send, P: Policy, H: Hook<Record: Send> + Send> Send for BestFit<S, P, H> {}

impl<S: Source> BestFit<S> {
    /// Best fit over the regions of `source`.
    pub const fn new(source: S) -> Self {
        Self::with_policy(source)
    }
}

impl<S: Source, P: Policy> BestFit<S, P> {
    /// Best fit over the regions of `source`, by the figures of a policy that the type names.
    pub const fn with_policy(source: S) -> Self {
        const { ValidPolicy::<P>::CHECKED };
        Self {
            areas: Areas::new(),
            source: Firm::new(source),
            log: Log::silent(),
            policy: PhantomData,
        }
    }
}

impl<S: Source, P: Policy, H: Hook> BestFit<S, P, H> {
    /// Best fit over the regions of `source`, that tells `hook` what happens.
    pub fn with_hook(source: S, hook: H) -> Self {
        const { ValidPolicy::<P>::CHECKED };
        Self {
            areas: Areas::new(),
            source: Firm::new(source),
            log: Log::new(hook),
            policy: PhantomData,
        }
    }

    /// Where its bytes come from.
    pub const fn source(&self) -> &S {
        self.source.get()
    }

    /// Runs of used and of free memory in address order, from region to region. Blocks in use
    /// that lie side by side are one run: without headers, nobody knows where one ends.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        let mut done: Option<NonNull<u8>> = None;
        let areas = core::iter::from_fn(move || {
            let later = |area: &&Area| done.is_none_or(|done| area.start() > done);
            let area = self.areas.iter().filter(later).min_by_key(|area| area.start())?;
            done = Some(area.start());
            Some(area)
        });
        areas.flat_map(Span::all_of)
    }

    /// Joins all parked blocks with their neighbours; true if there were any.
    fn settle(&mut self) -> bool {
        self.areas.iter_mut().filter_map(|area| area.space.settle().then_some(())).count() > 0
    }

    /// Gives the region of an area back.
    ///
    /// # Safety
    ///
    /// The area is one of this strategy's, in its list no more, and nobody needs a block of it.
    unsafe fn release(&mut self, mut area: Area) {
        if let Some(region) = area.take_region() {
            let all = Run { start: 0, size: area.space.granules() };
            note(&mut self.log, EventKind::Release, &area, all);
            // SAFETY: the region is on loan from this source, and nobody needs what is in it
            // (caller).
            unsafe { release_clean(&self.source, region) };
        }
    }

    /// Frees a block that is not in the first area.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`]; the block has `size` granules.
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_further(&mut self, start: NonNull<u8>, layout: Layout, size: u32) {
        let Some((area, granule)) = self.areas.of(start) else { return };
        let place = area.own(start);
        // SAFETY: the block is in use, `size` granules long, and nobody needs it (caller).
        let run = unsafe { area.space.free(place, Run { start: granule, size }) };
        let free = area.start().addr().get() + bytes_of(run.start);
        self.tell_freed(start, layout, free, run.size - size);
    }

    /// Tells the hook that a block was freed, and joined with `more` granules to one at `free`.
    #[inline(always)]
    fn tell_freed(&mut self, start: NonNull<u8>, layout: Layout, free: usize, more: u32) {
        self.log.push(|| event(EventKind::Free, start, layout));
        if more > 0 {
            self.log.push(|| {
                let size = extent(layout.size(), layout.align()).unwrap_or(0) + bytes_of(more);
                Event::internal(EventKind::Coalesce, free, size)
            });
        }
    }

    /// Lengthens a block where it is, if it can, and zeroes what was added, if `zeroed`.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`], where `old.size()` is above zero.
    #[inline(always)]
    unsafe fn grow_in_place(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        zeroed: bool,
    ) -> Option<NonNull<[u8]>> {
        let (old_size, new_size) = (granules_for(old.size())?, granules_for(new.size())?);
        if !is_aligned(start, new.align()) {
            return None;
        }
        let (area, granule) = self.areas.of(start)?;
        let mut clean = area.clean();
        if new_size > old_size {
            let held = area.space.granules();
            // SAFETY: the block is in use, and `old_size` granules long (caller); all areas'
            // regions are on loan from this source.
            clean = unsafe { area.grow(&self.source, granule, old_size, new_size) }?;
            let added = area.space.granules() - held;
            if added > 0 {
                note(&mut self.log, EventKind::Refill, area, Run { start: held, size: added });
            }
        }
        let block = NonNull::slice_from_raw_parts(area.own(start), bytes_of(new_size));
        if zeroed {
            let known = known_zero(granule, new_size, clean).max(old.size());
            // SAFETY: the block is in use, and the caller's.
            unsafe { zero(block, old.size(), known) };
        }
        self.log
            .push(|| Event { extent: bytes_of(old_size), ..event(EventKind::Free, start, old) });
        self.log.push(|| event(EventKind::Allocate, start, new));
        Some(block)
    }

    /// A block whose extent is that of the new layout as well stays what it is.
    #[inline(always)]
    fn keep(&mut self, start: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<[u8]>> {
        let (old_size, new_size) = (granules_for(old.size())?, granules_for(new.size())?);
        if old_size != new_size || !is_aligned(start, new.align()) {
            return None;
        }
        self.log.push(|| event(EventKind::Free, start, old));
        self.log.push(|| event(EventKind::Allocate, start, new));
        Some(NonNull::slice_from_raw_parts(ours(start), bytes_of(new_size)))
    }

    /// [`Strategy::grow`], where the extent is another.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`].
    #[inline(never)]
    unsafe fn grow_slow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        // SAFETY: as the caller promises; the old size is not zero.
        if let Some(block) = unsafe { self.grow_in_place(start, old, new, false) } {
            return Ok(block);
        }
        // SAFETY: as the caller promises; the old size is the smaller.
        unsafe {
            self.relocate(start, old, new, old.size())
                .or_else(|_| self.grow_at_last(start, old, new, false))
        }
    }

    /// When there is no other block for what it holds: lengthens a block in place again, for what
    /// was parked around it is settled now, or into what is free on both its sides.
    ///
    /// # Safety
    ///
    /// As for `grow_in_place`.
    #[cold]
    unsafe fn grow_at_last(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        zeroed: bool,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        if let Some(block) = unsafe { self.grow_in_place(start, old, new, zeroed) } {
            return Ok(block);
        }
        // SAFETY: as above.
        let block = unsafe { self.grow_down(start, old, new) }?;
        if zeroed {
            // SAFETY: the block is in use, and the caller's.
            unsafe { zero(block, old.size(), block.len()) };
        }
        Ok(block)
    }

    /// Lengthens a block into what is free on both its sides, and moves what it holds.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`], where `old.size()` is above zero.
    unsafe fn grow_down(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let sizes = granules_for(old.size()).zip(granules_for(new.size()));
        let (old_size, new_size) = sizes.ok_or(AllocError)?;
        if new.align() > GRANULE_SIZE {
            return Err(AllocError);
        }
        let (area, granule) = self.areas.of(start).ok_or(AllocError)?;
        // SAFETY: the block is in use, and `old_size` granules long (caller); `run` lies in the
        // area.
        let start_now = unsafe {
            let run = area.grow_down(granule, old_size, new_size, old.size());
            area.address(run.ok_or(AllocError)?.start)
        };
        self.log.push(|| event(EventKind::Free, start, old));
        self.log.push(|| event(EventKind::Allocate, start_now, new));
        Ok(NonNull::slice_from_raw_parts(start_now, bytes_of(new_size)))
    }
}

// SAFETY: a block is cut from free granules, which are nobody's, at an address that `padding` made
// a multiple of the alignment; so blocks do not overlap, and lie in regions that stay where they
// are until `drop`, `reset` or `trim` (which releases only what has no block in use). Every size
// that fits has the same number of granules. Nothing unwinds: a `Firm` source ends the
// program where it would, and so does what `promised!` finds.
unsafe impl<S: Source, P: Policy, H: Hook> Strategy for BestFit<S, P, H> {
    type Hook = H;

    const MAY_REENTER: bool = S::MAY_REENTER;

    fn extent(layout: Layout) -> Option<usize> {
        extent(layout.size(), layout.align())
    }

    #[inline(always)]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(size) = BlockSize::for_bytes(layout.size()) else {
            return if layout.size() == 0 { Ok(dangling(layout)) } else { Err(AllocError) };
        };
        match self.take_first(layout, size) {
            Some(taken) => {
                taken.tell(&mut self.log, layout, size.get());
                Ok(taken.block(size.get()))
            }
            // In a function of its own, which returns in registers.
            None => self.allocate_slow(layout, size),
        }
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(size) = BlockSize::for_bytes(layout.size()) else {
            return self.allocate(layout);
        };
        let (taken, size) = (self.take(layout, size)?, size.get());
        taken.tell(&mut self.log, layout, size);
        // SAFETY: the block is new, and nobody else has it.
        unsafe { zero(taken.block(size), 0, known_zero(taken.granule, size, taken.clean)) };
        Ok(taken.block(size))
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        let size = granules_of(layout.size());
        let area = self.areas.first_mut();
        let Some(granule) = area.granule_at(start) else {
            // SAFETY: as the caller promises.
            return unsafe { self.deallocate_further(start, layout, size) };
        };
        // Not `Area::own`: it would cost an instruction or two, for the region's pointer is not at hand.
        let place = ours(start);
        // SAFETY: the block is in use, `size` granules long, and nobody needs it (caller).
        let run = unsafe { area.space.free(place, Run { start: granule, size }) };
        let free = area.start().addr().get() + bytes_of(run.start);
        self.tell_freed(start, layout, free, run.size - size);
    }

    #[inline]
    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if let Some(block) = self.keep(start, old, new) {
            return Ok(block);
        }
        // SAFETY: as the caller promises.
        unsafe { self.grow_slow(start, old, new) }
    }

    unsafe fn grow_zeroed(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate_zeroed(new);
        }
        // SAFETY: as the caller promises; the old size is not zero.
        if let Some(block) = unsafe { self.grow_in_place(start, old, new, true) } {
            return Ok(block);
        }
        let Ok(block) = self.allocate_zeroed(new) else {
            // SAFETY: as the caller promises.
            return unsafe { self.grow_at_last(start, old, new, true) };
        };
        // SAFETY: both blocks are in use, so they do not overlap, and the old one is no longer.
        unsafe { carry_over(start, block, old.size()) };
        // SAFETY: as the caller promises.
        unsafe { self.deallocate(start, old) };
        Ok(block)
    }

    #[inline]
    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (Some(old_size), Some(new_size)) = (granules_for(old.size()), granules_for(new.size()))
        else {
            // SAFETY: as the caller promises; of size 0 there is nothing to keep.
            unsafe { self.deallocate(start, old) };
            return Ok(dangling(new));
        };
        if !is_aligned(start, new.align()) {
            // SAFETY: as the caller promises; the new size is the smaller.
            return unsafe { self.relocate(start, old, new, new.size()) };
        }
        let (area, granule) = self.areas.of(start).ok_or(AllocError)?;
        let block = NonNull::slice_from_raw_parts(area.own(start), bytes_of(new_size));
        if new_size < old_size {
            // SAFETY: the end of the block is in use, and nobody needs it any more (caller).
            let run = unsafe {
                let end = Run { start: granule + new_size, size: old_size - new_size };
                area.space.free(area.address(end.start), end)
            };
            note(&mut self.log, EventKind::Split, area, run);
        }
        self.log.push(|| event(EventKind::Free, start, old));
        self.log.push(|| event(EventKind::Allocate, start, new));
        Ok(block)
    }

    fn reset(&mut self) {
        for area in self.areas.iter_mut() {
            // SAFETY: to borrow a strategy mutably for this ends all blocks (`Strategy::reset`).
            unsafe { area.space.reset() };
        }
    }

    fn trim(&mut self) {
        self.settle();
        while let Some(area) = self.areas.take_unused() {
            // SAFETY: it was taken out of the list just now, for it has no block in use.
            unsafe { self.release(area) };
        }
        // SAFETY: all areas' regions are on loan from this source.
        self.areas.iter().for_each(|area| unsafe { area.discard_free(&self.source) });
    }

    fn bytes_used(&self) -> usize {
        let used = |area: &Area| area.space.granules() - area.space.free_granules();
        self.areas.iter().map(|area| bytes_of(used(area))).sum()
    }

    fn bytes_free(&self) -> usize {
        self.areas.iter().map(|area| bytes_of(area.space.free_granules())).sum()
    }

    fn bytes_held(&self) -> usize {
        self.areas.bytes_held()
    }

    fn largest_free_block(&self) -> usize {
        self.areas.iter().map(|area| bytes_of(area.space.largest())).max().unwrap_or(0)
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        self.areas.iter().try_for_each(|area| area.check())
    }

    #[inline(always)]
    fn take_events(&mut self) -> Delivery<H> {
        self.log.take()
    }
}

impl<S: Source, P: Policy, H: Hook> Drop for BestFit<S, P, H> {
    fn drop(&mut self) {
        while let Some(area) = self.areas.take_any() {
            // SAFETY: all blocks go with the strategy, and it was taken out of the list just now.
            unsafe { self.release(area) };
        }
        self.log.take().deliver();
    }
}

impl<S: Source, P: Policy, H: Hook> fmt::Debug for BestFit<S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BestFit")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_free", &self.bytes_free())
            .field("largest_free_block", &self.largest_free_block())
            .finish_non_exhaustive()
    }
}

/// Zeroes a block from its byte `from` to `known`, and its last four bytes.
///
/// # Safety
///
/// The block is in use, at least one granule long, and the caller's.
unsafe fn zero(block: NonNull<[u8]>, from: usize, known: usize) {
    let start = block.cast::<u8>();
    let tail = block.len() - 4;
    // SAFETY: `from <= known <= len`, and `tail` is at least 12; all lie in the block (caller).
    unsafe {
        start.add(from).write_bytes(0, known.saturating_sub(from));
        start.add(tail.max(from)).write_bytes(0, block.len() - tail.max(from));
    }
}

/// Is the block aligned as a layout, whose alignments are powers of two, wants it?
#[inline(always)]
fn is_aligned(start: NonNull<u8>, align: usize) -> bool {
    start.addr().get() & (align - 1) == 0
}

fn event(kind: EventKind, start: NonNull<u8>, layout: Layout) -> Event {
    let extent = extent(layout.size(), layout.align()).unwrap_or(0);
    Event { kind, address: start.addr().get(), layout, extent }
}

#[inline(always)]
fn note<H: Hook>(log: &mut Log<H>, kind: EventKind, area: &Area, run: Run) {
    log.push(|| {
        Event::internal(kind, area.start().addr().get() + bytes_of(run.start), bytes_of(run.size))
    });
}
