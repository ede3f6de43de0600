//! Chunks: regions cut into pieces for the strategies that want pieces.
//!
//! ```text
//! region  │ head │ chunk │ chunk (free) │ chunk │ … │ never cut        │ not committed │
//!            │                ▲                     ▲ frontier
//!            ├─ free ─────────┘
//!            └─ next region
//! ```
//!
//! The chunks of a region are of one size, so an address tells its chunk. That size is what the
//! strategy would like, or less in a small region, where `sharers` strategies or classes have to
//! get by; never less than what it needs at the least. The last chunk of a region may be shorter.
//!
//! # Invariants
//!
//! 1. Every chunk below the frontier is either lent or in the free list, never both.
//! 2. What is below the frontier is committed, save for what lies in free chunks behind the few
//!    bytes that link them.
//! 3. `lent` is how many chunks of the region are lent.
//! 4. A list of heads links those of regions on loan from this source, each once. A head lies in
//!    its region, where it is initialized and nobody else's.

use core::iter;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

use super::provenance::exposed;
use super::{Firm, Region, Source, release_clean, reserve_ahead};
use crate::layout::granule::GRANULE_SIZE;
use crate::{AllocError, Policy, poison};

/// A piece of a region, on loan from [`Chunks`]; it starts at a multiple of 16.
#[derive(Debug)]
#[must_use = "a chunk that is dropped is lost until its region is released"]
pub(crate) struct Chunk {
    pub(crate) start: NonNull<u8>,
    pub(crate) size: usize,
}

/// How large a chunk should be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// With less it is useless.
    pub(crate) least: usize,
    /// This would be best.
    pub(crate) best: usize,
    /// A small region is not cut into less, even if there is not enough for all sharers then.
    pub(crate) fair: usize,
}

/// All regions of a strategy, cut into chunks.
#[derive(Debug)]
pub(crate) struct Chunks<S: Source, P> {
    source: Firm<S>,
    /// Newest first.
    regions: Heads,
    policy: PhantomData<P>,
}

/// A list of regions' heads: see invariant 4.
#[derive(Debug)]
struct Heads(Option<NonNull<Head>>);

/// What stands at the start of a region.
#[derive(Debug)]
struct Head {
    region: Region,
    next: Heads,
    /// Where the first chunk lies, in bytes from the region's start.
    first: usize,
    /// The size of every chunk but the last.
    chunk_size: usize,
    /// Where the next chunk will be cut.
    frontier: usize,
    free: Option<NonNull<FreeChunk>>,
    lent: usize,
}

/// What stands at the start of a free chunk.
#[derive(Debug)]
struct FreeChunk {
    next: Option<NonNull<FreeChunk>>,
    size: usize,
}

/// How many bytes of a region its head takes at most.
pub(crate) const HEAD_SIZE: usize =
    size_of::<Head>().next_multiple_of(GRANULE_SIZE) + (GRANULE_SIZE - 1);

impl<S: Source, P: Policy> Chunks<S, P> {
    /// The regions of `source`, cut into chunks.
    pub(crate) const fn new(source: S) -> Self {
        Self { source: Firm::new(source), regions: Heads(None), policy: PhantomData }
    }

    /// Where the regions come from.
    pub(crate) const fn source(&self) -> &Firm<S> {
        &self.source
    }

    /// Lends a chunk. A new region is cut so that there is enough for as many as `sharers`.
    pub(crate) fn take(&mut self, wish: Wish, sharers: usize) -> Result<Chunk, AllocError> {
        let source = &self.source;
        // SAFETY: all regions are on loan from this source (invariant 4).
        let take = |head: &mut Head| unsafe { head.take(source, wish.least) };
        if let Some(chunk) = self.regions.iter_mut().find_map(take) {
            return Ok(chunk);
        }
        self.add_region(wish, sharers)?;
        // SAFETY: as above.
        let take = |head: &mut Head| unsafe { head.take(&self.source, wish.least) };
        let lent = self.regions.iter_mut().next().and_then(take);
        if lent.is_none()
            && let Some(unused) = self.regions.pop()
        {
            // Kept, it would be one more with every call that fails like this.
            self.release(unused);
        }
        lent.ok_or(AllocError)
    }

    /// Takes a chunk back. Its region is kept until [`release_unused`](Self::release_unused).
    ///
    /// # Safety
    ///
    /// The chunk is one of these, and nobody accesses it afterwards.
    pub(crate) unsafe fn give_back(&mut self, chunk: Chunk) {
        let mut heads = self.regions.iter_mut();
        let Some(head) = heads.find(|head| head.offset(chunk.start).is_some()) else {
            promised!(false, "a chunk that is not from here", chunk.start.addr().get());
            return;
        };
        // SAFETY: the chunk lies in this region, and nobody needs it (caller); invariant 4.
        unsafe { head.give_back(&self.source, chunk) };
    }

    /// Takes all chunks back at once. The regions are kept.
    ///
    /// # Safety
    ///
    /// Nobody accesses a chunk afterwards.
    pub(crate) unsafe fn reset(&mut self) {
        for head in self.regions.iter_mut() {
            (head.frontier, head.free, head.lent) = (head.first, None, 0);
        }
    }

    /// Releases every region of which no chunk is lent.
    pub(crate) fn release_unused(&mut self) {
        let mut kept = Heads(None);
        while let Some(head) = self.regions.pop() {
            if head.lent > 0 {
                kept.push(head);
            } else {
                self.release(head);
            }
        }
        while let Some(head) = kept.pop() {
            self.regions.push(head);
        }
    }

    /// The start of the chunk that `address` lies in.
    pub(crate) fn start_of_chunk(&self, address: NonNull<u8>) -> Option<NonNull<u8>> {
        self.regions.iter().find_map(|head| {
            let offset = head.offset(address)?;
            let within = (offset - head.first) % head.chunk_size;
            // SAFETY: the chunk starts in the region, before the address.
            Some(unsafe { head.region.start().add(offset - within) })
        })
    }

    /// How many bytes of the regions have been cut, heads included.
    pub(crate) fn bytes_held(&self) -> usize {
        self.regions.iter().map(|head| head.frontier).sum()
    }

    fn add_region(&mut self, wish: Wish, sharers: usize) -> Result<(), AllocError> {
        let least = wish.least.checked_add(HEAD_SIZE).ok_or(AllocError)?;
        let wanted = if S::RESERVES_AHEAD {
            // Enough for a whole chunk for every class.
            reserve_ahead::<P>(self.bytes_held(), P::GROWTH_SIZE.saturating_mul(4))
        } else {
            let roomy = wish.best.saturating_mul(sharers).saturating_add(HEAD_SIZE);
            // One chunk for each sharer at first, then twice as much, then by a quarter.
            let held = self.bytes_held();
            roomy.max(held.min(P::GROWTH_SIZE)).max(held / 4)
        };
        // A region that starts well needs less than `least`: a small buffer is not refused here.
        let enough = wish.least.saturating_add(size_of::<Head>());
        let region = match self.source.reserve(least, wanted.max(least)) {
            Ok(region) => exposed(region),
            Err(AllocError) => exposed(self.source.reserve(enough, enough)?),
        };
        // SAFETY: the region was lent just above.
        match unsafe { Head::place(&self.source, region, wish, sharers) } {
            Ok(head) => {
                self.regions.push(head);
                Ok(())
            }
            Err(region) => {
                // SAFETY: the region is on loan, and nobody uses it.
                unsafe { release_clean(&self.source, region) };
                Err(AllocError)
            }
        }
    }

    /// Releases a region of which no chunk is lent.
    fn release(&self, head: OwnHead) {
        // SAFETY: the region is on loan (invariant 4), and nobody needs what is in it.
        unsafe { release_clean(&self.source, head.into_region()) };
    }
}

impl<S: Source, P> Drop for Chunks<S, P> {
    fn drop(&mut self) {
        while let Some(head) = self.regions.pop() {
            // SAFETY: the region is on loan (invariant 4), and its chunks go with the strategy that
            // owns this, and that has no block any more.
            unsafe { release_clean(&self.source, head.into_region()) };
        }
    }
}

/// The head of a region, in its place, that is in no list: ours alone.
struct OwnHead(NonNull<Head>);

impl OwnHead {
    /// The region, whose head is no longer needed.
    fn into_region(self) -> Region {
        // SAFETY: it is initialized, and in no list, so what is read out is the only one in use.
        unsafe { self.0.read() }.region
    }
}

impl Deref for OwnHead {
    type Target = Head;

    fn deref(&self) -> &Head {
        // SAFETY: it is initialized, and ours alone.
        unsafe { self.0.as_ref() }
    }
}

impl Heads {
    fn push(&mut self, mut head: OwnHead) {
        // SAFETY: it is initialized, and ours alone.
        unsafe { head.0.as_mut() }.next = Self(self.0);
        self.0 = Some(head.0);
    }

    fn pop(&mut self) -> Option<OwnHead> {
        let head = OwnHead(self.0?);
        self.0 = head.next.0;
        Some(head)
    }

    fn iter(&self) -> impl Iterator<Item = &Head> {
        // SAFETY: invariant 4; the list is borrowed for as long as its heads.
        let deref = |list: &Self| list.0.map(|head| unsafe { head.as_ref() });
        iter::successors(deref(self), move |head| deref(&head.next))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Head> {
        let mut next = self.0;
        iter::from_fn(move || {
            // SAFETY: as in `iter`; each head is in the list once, so it is lent once, and the next
            // is found before that.
            let head = unsafe { next?.as_mut() };
            next = head.next.0;
            Some(head)
        })
    }
}

const fn head_size() -> usize {
    size_of::<Head>().next_multiple_of(GRANULE_SIZE)
}

impl Head {
    /// Makes a head in a region that has room for it and a chunk, or returns the region.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source, and nobody uses it.
    unsafe fn place(
        source: &impl Source,
        region: Region,
        wish: Wish,
        sharers: usize,
    ) -> Result<OwnHead, Region> {
        let start = region.start();
        let gap = start.addr().get().wrapping_neg() % GRANULE_SIZE;
        let first = gap + head_size();
        let room = region.size().saturating_sub(first) & !(GRANULE_SIZE - 1);
        // SAFETY: where there is room, the head lies in the region, which is on loan (caller).
        if room < wish.least || unsafe { source.commit(&region, gap..first) }.is_err() {
            return Err(region);
        }
        let share = (room / sharers) & !(GRANULE_SIZE - 1);
        let chunk_size = wish.best.min(share.max(wish.fair)).max(wish.least);
        // SAFETY: the gap ends in the region, as the head behind it does.
        let head = unsafe { start.add(gap) }.cast::<Self>();
        poison::unpoison(head.cast(), head_size());
        let (next, frontier, free, lent) = (Heads(None), first, None, 0);
        // SAFETY: the place was just committed; it is aligned to a granule, and nobody else's
        // (caller).
        unsafe { head.write(Self { region, next, first, chunk_size, frontier, free, lent }) };
        Ok(OwnHead(head))
    }

    /// Where `address` lies, in bytes from the start of the region, if some chunk has it.
    fn offset(&self, address: NonNull<u8>) -> Option<usize> {
        let offset = address.addr().get().wrapping_sub(self.region.start().addr().get());
        (self.first..self.frontier).contains(&offset).then_some(offset)
    }

    /// Lends a chunk of at least so many bytes.
    ///
    /// # Safety
    ///
    /// The region is on loan from this source.
    unsafe fn take(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        // SAFETY: as the caller promises.
        let chunk = unsafe {
            match self.take_free(source, least) {
                Some(chunk) => chunk,
                None => self.cut(source, least)?,
            }
        };
        self.lent += 1;
        poison::unpoison(chunk.start, chunk.size);
        Some(chunk)
    }

    /// A free chunk of at least so many bytes. Only one can be shorter than the others, so it is
    /// the first or the second, or there is none.
    ///
    /// # Safety
    ///
    /// As for `take`.
    unsafe fn take_free(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        let mut first = self.free?;
        // SAFETY: what is in the free list is ours, and `give_back` wrote it.
        let FreeChunk { next, size } = unsafe { first.read() };
        if size >= least {
            // SAFETY: the chunk is free; the rest as the caller promises.
            let chunk = unsafe { self.commit(source, first, size) }?;
            self.free = next;
            return Some(chunk);
        }
        let second = next?;
        // SAFETY: as above.
        let FreeChunk { next, size } = unsafe { second.read() };
        if size < least {
            return None;
        }
        // SAFETY: as above.
        let chunk = unsafe { self.commit(source, second, size) }?;
        // SAFETY: as above; nobody else borrows it.
        unsafe { first.as_mut() }.next = next;
        Some(chunk)
    }

    /// The free chunk at `place`, all of it committed again.
    ///
    /// # Safety
    ///
    /// As for `take`, and there is a free chunk of `size` bytes.
    unsafe fn commit(
        &self,
        source: &impl Source,
        place: NonNull<FreeChunk>,
        size: usize,
    ) -> Option<Chunk> {
        let offset = place.addr().get() - self.region.start().addr().get();
        // SAFETY: the chunk lies in the region, which is on loan (caller).
        unsafe { source.commit(&self.region, offset..offset + size) }.ok()?;
        Some(Chunk { start: place.cast(), size })
    }

    /// Cuts a chunk at the frontier.
    ///
    /// # Safety
    ///
    /// As for `take`.
    unsafe fn cut(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        let room = (self.region.size() - self.frontier) & !(GRANULE_SIZE - 1);
        let size = self.chunk_size.min(room);
        if size < least {
            return None;
        }
        let range = self.frontier..self.frontier + size;
        // SAFETY: the range lies in the region, which is on loan (caller).
        unsafe { source.commit(&self.region, range.clone()) }.ok()?;
        self.frontier = range.end;
        // SAFETY: as above.
        Some(Chunk { start: unsafe { self.region.start().add(range.start) }, size })
    }

    /// # Safety
    ///
    /// As for [`Chunks::give_back`], and the chunk lies in this region, which is on loan from
    /// `source`.
    unsafe fn give_back(&mut self, source: &impl Source, chunk: Chunk) {
        let offset = chunk.start.addr().get() - self.region.start().addr().get();
        // SAFETY: it starts in the region.
        let place = unsafe { self.region.start().add(offset) }.cast::<FreeChunk>();
        poison::unpoison(chunk.start, chunk.size);
        // SAFETY: the range lies in the chunk, which nobody needs (caller), behind our own data; it is
        // committed again before the chunk is lent.
        let _ = unsafe {
            let behind = offset + size_of::<FreeChunk>()..offset + chunk.size;
            source.decommit(&self.region, behind)
        };
        // SAFETY: a chunk has room for it: it is at least as long as a block of some strategy
        // with its own head; and it is aligned to a granule.
        unsafe { place.write(FreeChunk { next: self.free, size: chunk.size }) };
        self.free = Some(place);
        promised!(self.lent > 0, "a chunk is given back twice", chunk.start.addr().get());
        self.lent -= 1;
    }
}

const _: () =
    assert!(align_of::<Head>() <= GRANULE_SIZE && align_of::<FreeChunk>() <= GRANULE_SIZE);
