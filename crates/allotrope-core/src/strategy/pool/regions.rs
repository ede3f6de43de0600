//! The regions of a pool, cut into chunks by any thread.
//!
//! ```text
//! table │ 0 │ 1 │ – │ …
//!         └──▶ │ head │ gap │ chunk 0 │ chunk 1 │ chunk 2 │      never cut      │ rest │
//!                           └ multiple of the chunk size  ▲ cut
//!
//! number of a chunk │ region: 6 bits │ place in the region: 26 bits │
//! ```
//!
//! All chunks of a pool have one size, chosen by its first region; so an address tells its chunk.
//! A chunk is committed before it is cut, so that a source that refuses loses nothing; that two
//! threads commit the same one does no harm.
//!
//! # Invariants
//!
//! 1. A region that is in the table is on loan, and stays there until the pool is borrowed mutably
//!    or dropped.
//! 2. Chunks below `cut` are committed. Each has a class and is in the list of it, is in the stack
//!    of spare chunks, or is in the hands of a call, which [`Growth`] counts.
//! 3. Who has popped a spare chunk, or moved `cut` over a chunk, has it to itself.
//!
//! # Orderings
//!
//! - A region is stored in the table with `Release` and loaded with `Acquire`: its head is there.
//!   Who knows the number of a chunk loads it `Relaxed`: the number came, by `Release` and
//!   `Acquire`, from somebody who has seen the region.
//! - `cut` is `Relaxed`: who moves it has the chunk to itself, and says so to those who find that
//!   nothing is left ([`Growth`]).
//! - Whether a place in the table is vacant is read `Relaxed`: it decides only whether to ask the
//!   source, and who reads the place once more with `Acquire` sees as much.
//! - `adopted` grows with `Release` and is read with `Acquire`: who counts a region sees it in the
//!   table, and the size of its chunks.
//! - The chunk size is `Relaxed`: it is set once, before there is a chunk.

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::{self, NonNull};

use allotrope_sync::facade::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use allotrope_sync::facade::{array_of, const_fn};
use allotrope_sync::{Growth, Links, PushList, TaggedStack, Word};

use super::chunk::{Chunk, Classed};
use crate::layout::powers::{MAX_CHUNK, chunk_size_in};
use crate::source::provenance::exposed;
use crate::source::{Firm, Region, Source, release_clean, reserve_ahead};
use crate::{AllocError, Policy, poison};

/// How many regions a pool has at most.
pub(super) const MAX_REGIONS: usize = 64;
const PLACE_BITS: u32 = 26;
const MAX_CHUNKS: usize = (1 << PLACE_BITS) - 1;

/// All regions of a pool.
#[derive(Debug)]
pub(super) struct Regions<S: Source, P> {
    pub(super) source: Firm<S>,
    pub(super) table: [AtomicPtr<RegionHead>; MAX_REGIONS],
    /// Zero until there is a region; what the source says, unless it reserves ahead.
    pub(super) chunk_size: AtomicUsize,
    growth: Growth,
    /// How many regions were ever put into the table, or given back since there was another.
    adopted: AtomicU32,
    pub(super) spare: TaggedStack,
    policy: PhantomData<fn() -> P>,
}

/// What stands at the start of a region.
#[derive(Debug)]
pub(super) struct RegionHead {
    pub(super) region: Region,
    /// Where its first chunk lies.
    first: NonNull<u8>,
    /// How many it has room for.
    chunks: usize,
    /// How many have been cut.
    cut: AtomicU32,
}

/// A region's head takes as many bytes at most, wherever the region starts.
const HEAD_SIZE: usize = size_of::<RegionHead>() + align_of::<RegionHead>();

/// Links of chunks that wait, or are spare.
pub(super) struct Waiting<'p, S: Source, P>(pub(super) &'p Regions<S, P>);

// SAFETY: a link lies in the head of its chunk, and is the stacks' and lists' alone.
unsafe impl<S: Source, P: Policy> Links for Waiting<'_, S, P> {
    fn link(&self, id: u32) -> &AtomicU32 {
        // SAFETY: these links are for the stacks of this pool alone, which ask for numbers that
        // they have or had: of chunks that were cut (the pool's invariant 4).
        unsafe { self.0.chunk(id) }.links().0
    }
}

/// Links of the chunks of a class.
pub(super) struct Older<'p, S: Source, P>(pub(super) &'p Regions<S, P>);

// SAFETY: as for `Waiting`; it is the other link.
unsafe impl<S: Source, P: Policy> Links for Older<'_, S, P> {
    fn link(&self, id: u32) -> &AtomicU32 {
        // SAFETY: as for `Waiting`, with the lists of this pool (the pool's invariant 1).
        unsafe { self.0.chunk(id) }.links().1
    }
}

impl<S: Source, P: Policy> Regions<S, P> {
    /// The size of chunks where there is room enough.
    pub(super) const BEST: usize =
        if P::CHUNK_SIZE < MAX_CHUNK { P::CHUNK_SIZE } else { MAX_CHUNK };

    /// Chunks smaller than this are of no use.
    const LEAST: usize = {
        let least = (2 * (Chunk::HEAD_SIZE + 4 * size_of::<Word>())).next_power_of_two();
        let least = if least < 256 { 256 } else { least };
        if least < Self::BEST { least } else { Self::BEST }
    };

    const_fn! {
        pub(super) fn new(source: S) -> Self {
            Self {
                source: Firm::new(source),
                table: array_of!(AtomicPtr::new(ptr::null_mut())),
                chunk_size: AtomicUsize::new(0),
                growth: Growth::new(),
                adopted: AtomicU32::new(0),
                spare: TaggedStack::new(),
                policy: PhantomData,
            }
        }
    }

    /// Where the regions come from.
    pub(super) const fn source(&self) -> &Firm<S> {
        &self.source
    }

    /// The size of all chunks; zero if there is none yet.
    ///
    /// A source that reserves ahead lends regions that are always large enough for the best size,
    /// which is a constant then.
    #[inline(always)]
    pub(super) fn chunk_size(&self) -> usize {
        if S::RESERVES_AHEAD { Self::BEST } else { self.chunk_size.load(Ordering::Relaxed) }
    }

    /// Is any thread just adding memory?
    pub(super) fn grows(&self) -> bool {
        self.growth.is_under_way()
    }

    /// How many regions there have been, those that were one too many included. Where memory was
    /// exhausted before and this has changed since, somebody has got a region, and there may be a
    /// chunk for every class in it, or the source lends what it had lent to one who came too late.
    pub(super) fn adopted(&self) -> u32 {
        self.adopted.load(Ordering::Acquire)
    }

    /// The chunk with this number.
    ///
    /// # Safety
    ///
    /// It was cut: this thread has the number from [`Chunk::id`], or from one that had it from
    /// there.
    #[inline]
    pub(super) unsafe fn chunk(&self, id: u32) -> Chunk<'_> {
        // SAFETY: as the caller promises.
        unsafe { self.chunk_at((id >> PLACE_BITS) as usize, id as usize % (1 << PLACE_BITS)) }
    }

    /// The chunk with this number.
    ///
    /// # Safety
    ///
    /// As for `chunk`, and the chunk has a class, which it keeps while `self` is borrowed.
    #[inline]
    pub(super) unsafe fn classed(&self, id: u32) -> Classed<'_> {
        // SAFETY: as the caller promises.
        unsafe { Classed::new(self.chunk(id)) }
    }

    /// The chunk at `place` in region `region`.
    ///
    /// # Safety
    ///
    /// It was cut.
    #[inline]
    pub(super) unsafe fn chunk_at(&self, region: usize, place: usize) -> Chunk<'_> {
        let head = self.table[region].load(Ordering::Relaxed);
        // SAFETY: the chunk was cut (caller), so its region is in the table (invariant 1), and the
        // chunk in it.
        let start = unsafe { (*head).first.add(place * self.chunk_size()) };
        // SAFETY: it was cut; the region stays for as long as `self` is borrowed.
        unsafe { Chunk::from_head(start.cast()) }
    }

    /// A chunk of free blocks of `class`, in `list` already, that the caller holds.
    ///
    /// # Safety
    ///
    /// The list is that of all chunks of this class, in the pool of these regions.
    pub(super) unsafe fn add(&self, class: usize, list: &PushList) -> Option<Classed<'_>> {
        loop {
            let vacancy = self.vacancy();
            let size = self.chunk_size();
            if size > 0 {
                let blocks = Chunk::blocks_of(class, size)?;
                let publish = |chunk: Chunk<'_>| {
                    // SAFETY: `take_spare` and `cut_one` name chunks that this thread has to itself
                    // (invariant 3); all chunks have this size.
                    unsafe { chunk.fill(class, blocks, size) };
                    list.push(chunk.id(), &Older(self));
                };
                if let Some(chunk) = self.take_spare(publish).or_else(|| self.cut_one(publish)) {
                    // SAFETY: filled just now.
                    return Some(unsafe { Classed::new(chunk) });
                }
            }
            self.add_region(vacancy?).ok()?;
        }
    }

    /// Gets the first region before anything else asks the source: one that lends all it has once
    /// would else lend it for a single large block.
    pub(super) fn come_first(&self) {
        if let Some(vacancy) = self.vacancy()
            && self.heads().next().is_none()
        {
            // Where there is none to be had, there may be one for the block.
            let _ = self.add_region(vacancy);
        }
    }

    /// The first place in the table that has no region.
    fn vacancy(&self) -> Option<usize> {
        self.table.iter().position(|place| place.load(Ordering::Relaxed).is_null())
    }

    fn take_spare(&self, publish: impl Fn(Chunk<'_>)) -> Option<Chunk<'_>> {
        let _adding = self.growth.begin();
        // SAFETY: what is in the stack of spare chunks was cut (the pool's invariant 4).
        let chunk = unsafe { self.chunk(self.spare.pop(&Waiting(self))?) };
        publish(chunk);
        Some(chunk)
    }

    /// Cuts a chunk from a region that has one left.
    fn cut_one(&self, publish: impl Fn(Chunk<'_>)) -> Option<Chunk<'_>> {
        self.heads().find_map(|(number, head)| {
            loop {
                let place = head.cut.load(Ordering::Relaxed);
                if place as usize == head.chunks {
                    return None;
                }
                // SAFETY: the region has room for the chunk.
                let start = unsafe { self.commit(head, place as usize) }.ok()?;
                let _adding = self.growth.begin();
                let relaxed = Ordering::Relaxed;
                let mine = head.cut.compare_exchange(place, place + 1, relaxed, relaxed);
                if mine.is_ok() {
                    let id = (number as u32) << PLACE_BITS | place;
                    // SAFETY: the chunk is committed, and this thread's alone (invariant 3).
                    let chunk = unsafe { Chunk::cut(start, id) };
                    publish(chunk);
                    return Some(chunk);
                }
            }
        })
    }

    /// Makes the chunk at `place` usable, and returns where it is.
    ///
    /// # Safety
    ///
    /// The region is in the table, and has room for the chunk.
    unsafe fn commit(&self, head: &RegionHead, place: usize) -> Result<NonNull<u8>, AllocError> {
        let size = self.chunk_size();
        // SAFETY: the region is on loan (invariant 1), and the chunk lies in it (caller).
        unsafe { self.source.commit(&head.region, head.range_of(place, size)) }?;
        // SAFETY: as above.
        Ok(unsafe { head.first.add(place * size) })
    }

    /// The regions in the table, with their numbers.
    pub(super) fn heads(&self) -> impl Iterator<Item = (usize, &RegionHead)> {
        self.table.iter().enumerate().filter_map(|(number, place)| {
            // SAFETY: a head in the table is initialized, and invariant 1.
            Some((number, unsafe { place.load(Ordering::Acquire).as_ref() }?))
        })
    }

    /// Gets a region for this place in the table, unless another thread does so meanwhile: many
    /// that find at once that no chunk is left would else fill the table with a region each.
    #[cold]
    fn add_region(&self, vacancy: usize) -> Result<(), AllocError> {
        // A source that might call this pool would wait for itself. Over one, a call may be refused
        // while another is getting the last region.
        let _adding = (!S::MAY_REENTER).then(|| self.growth.begin());
        let known = self.chunk_size();
        let least = if known > 0 { known } else { Self::LEAST };
        let wanted = if S::RESERVES_AHEAD {
            reserve_ahead::<P>(self.bytes_held(), P::GROWTH_SIZE.saturating_mul(2))
        } else {
            let held = self.bytes_held();
            (16 * Self::BEST).max(held.min(P::GROWTH_SIZE)).max(held / 4)
        };
        // Its start may lie anywhere, and the first chunk's may not.
        let least = least * 2 + HEAD_SIZE;
        let wanted = wanted.saturating_add(Self::BEST).max(least);
        let region = exposed(self.source.reserve(least, wanted)?);
        // SAFETY: the region was lent just above.
        if let Err(region) = unsafe { self.adopt(region, vacancy) } {
            // SAFETY: the region is on loan, and nobody knows of it.
            unsafe { release_clean(&self.source, region) };
            if self.table[vacancy].load(Ordering::Relaxed).is_null() {
                return Err(AllocError);
            }
        }
        self.adopted.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Puts a region into its place in the table, or gives it back.
    ///
    /// # Safety
    ///
    /// The region is on loan from our source, and nobody uses it.
    unsafe fn adopt(&self, region: Region, vacancy: usize) -> Result<(), Region> {
        let start = region.start();
        let gap = start.addr().get().wrapping_neg() % align_of::<RegionHead>();
        let head_end = gap + size_of::<RegionHead>();
        let Some(room) = region.size().checked_sub(head_end) else { return Err(region) };
        // SAFETY: the head lies in the region, which is on loan (caller).
        if unsafe { self.source.commit(&region, gap..head_end) }.is_err() {
            return Err(region);
        }
        // Not before: whoever sets the size for all must have a region that is of use.
        let Some(size) = self.agree_on_size(region.size()) else { return Err(region) };
        let until_first = (start.addr().get() + head_end).wrapping_neg() & (size - 1);
        let chunks = (room.saturating_sub(until_first) / size).min(MAX_CHUNKS);
        if chunks == 0 {
            return Err(region);
        }
        // SAFETY: as above.
        let place = unsafe { start.add(gap) }.cast::<RegionHead>();
        // SAFETY: the first chunk lies in the region.
        let first = unsafe { start.add(head_end + until_first) };
        poison::unpoison(place.cast(), size_of::<RegionHead>());
        // SAFETY: the head's place is committed, aligned, and nobody else's.
        unsafe { place.write(RegionHead { region, first, chunks, cut: AtomicU32::new(0) }) };
        let (empty, order) = (ptr::null_mut(), (Ordering::Release, Ordering::Relaxed));
        // SAFETY: if it is not in the table, nobody else knows of the head just written.
        let give_back = |_| unsafe { place.read() }.region;
        let stored = self.table[vacancy].compare_exchange(empty, place.as_ptr(), order.0, order.1);
        stored.map(|_| ()).map_err(give_back)
    }

    /// The size of all chunks: what suits the first region, which has so many bytes.
    fn agree_on_size(&self, region_size: usize) -> Option<usize> {
        if S::RESERVES_AHEAD {
            return Some(Self::BEST);
        }
        let size = chunk_size_in(region_size, Self::BEST, Self::LEAST)?;
        let relaxed = Ordering::Relaxed;
        Some(self.chunk_size.compare_exchange(0, size, relaxed, relaxed).err().unwrap_or(size))
    }

    /// How many chunks have been cut.
    pub(super) fn cut(&self) -> usize {
        self.heads().map(|(_, head)| head.cut()).sum()
    }

    /// How many bytes have been cut, heads included.
    pub(super) fn bytes_held(&self) -> usize {
        self.heads().map(|(_, head)| size_of::<RegionHead>() + head.cut() * self.chunk_size()).sum()
    }
}

impl RegionHead {
    /// How many chunks have been cut.
    pub(super) fn cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed) as usize
    }

    /// Says how many chunks have been cut, while the pool is borrowed mutably.
    pub(super) fn set_cut(&self, chunks: usize) {
        self.cut.store(chunks as u32, Ordering::Relaxed);
    }

    /// Where the chunk at `place` lies in the region, if chunks have `size` bytes.
    pub(super) fn range_of(&self, place: usize, size: usize) -> Range<usize> {
        let first = self.first.addr().get() - self.region.start().addr().get();
        first + place * size..first + (place + 1) * size
    }
}
