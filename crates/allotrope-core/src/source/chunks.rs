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

use core::iter;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::{Region, Source, release_clean, reserve_ahead};
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
    source: S,
    /// Newest first.
    regions: Option<NonNull<Head>>,
    policy: PhantomData<P>,
}

/// What stands at the start of a region.
#[derive(Debug)]
struct Head {
    region: Region,
    next: Option<NonNull<Head>>,
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
        Self { source, regions: None, policy: PhantomData }
    }

    /// Where the regions come from.
    pub(crate) const fn source(&self) -> &S {
        &self.source
    }

    /// Lends a chunk. A new region is cut so that there is enough for as many as `sharers`.
    pub(crate) fn take(&mut self, wish: Wish, sharers: usize) -> Result<Chunk, AllocError> {
        let source = &self.source;
        let lent = heads(self.regions).find_map(|head| head.take(source, wish.least));
        if let Some(chunk) = lent {
            return Ok(chunk);
        }
        self.add_region(wish, sharers)?;
        let newest = heads(self.regions).next();
        let lent = newest.and_then(|head| head.take(&self.source, wish.least));
        if lent.is_none()
            && let Some(unused) = self.pop_region()
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
        let Some(head) = heads(self.regions).find(|head| head.offset(chunk.start).is_some()) else {
            debug_assert!(false, "a chunk that is not from here");
            return;
        };
        // SAFETY: the chunk lies in this region, and nobody needs it (caller).
        unsafe { head.give_back(&self.source, chunk) };
    }

    /// Takes all chunks back at once. The regions are kept.
    pub(crate) fn reset(&mut self) {
        for head in heads(self.regions) {
            (head.frontier, head.free, head.lent) = (head.first, None, 0);
        }
    }

    /// Releases every region of which no chunk is lent.
    pub(crate) fn release_unused(&mut self) {
        let mut kept = None;
        while let Some(head) = self.pop_region() {
            // SAFETY: heads are ours and initialized, and lie in their regions.
            let in_place = unsafe { &mut *head.as_ptr() };
            if in_place.lent > 0 {
                in_place.next = kept;
                kept = Some(head);
            } else {
                self.release(head);
            }
        }
        while let Some(head) = kept {
            // SAFETY: as above.
            let in_place = unsafe { &mut *head.as_ptr() };
            kept = in_place.next;
            in_place.next = self.regions;
            self.regions = Some(head);
        }
    }

    /// The start of the chunk that `address` lies in.
    pub(crate) fn start_of_chunk(&self, address: NonNull<u8>) -> Option<NonNull<u8>> {
        heads(self.regions).find_map(|head| {
            let offset = head.offset(address)?;
            let within = (offset - head.first) % head.chunk_size;
            // SAFETY: the chunk lies in the region.
            Some(unsafe { head.region.start().add(offset - within) })
        })
    }

    /// How many bytes of the regions have been cut, heads included.
    pub(crate) fn bytes_held(&self) -> usize {
        heads(self.regions).map(|head| head.frontier).sum()
    }

    fn add_region(&mut self, wish: Wish, sharers: usize) -> Result<(), AllocError> {
        let least = wish.least.checked_add(HEAD_SIZE).ok_or(AllocError)?;
        let wanted = if S::RESERVES_AHEAD {
            reserve_ahead::<P>(self.bytes_held())
        } else {
            let roomy = wish.best.saturating_mul(sharers).saturating_add(HEAD_SIZE);
            // One chunk for each sharer at first, then twice as much, then by a quarter.
            let held = self.bytes_held();
            roomy.max(held.min(P::GROWTH_SIZE)).max(held / 4)
        };
        // A region that starts well needs less than `least`: a small buffer is not refused here.
        let enough = wish.least.saturating_add(size_of::<Head>());
        let region = match self.source.reserve(least, wanted.max(least)) {
            Ok(region) => region,
            Err(AllocError) => self.source.reserve(enough, enough)?,
        };
        match Head::new(&self.source, &region, wish, sharers) {
            Some(mut head) => {
                // SAFETY: `Head::new` found room for the head there, and committed it.
                let place = unsafe { region.start().add(head.first - head_size()) }.cast::<Head>();
                poison::unpoison(place.cast(), head_size());
                (head.region, head.next) = (region, self.regions);
                // SAFETY: as above; it is aligned, and nobody else's.
                unsafe { place.write(head) };
                self.regions = Some(place);
                Ok(())
            }
            None => {
                // SAFETY: the region is on loan, and nobody uses it.
                unsafe { release_clean(&self.source, region) };
                Err(AllocError)
            }
        }
    }

    fn pop_region(&mut self) -> Option<NonNull<Head>> {
        let head = self.regions?;
        // SAFETY: heads are ours and initialized.
        self.regions = unsafe { head.as_ref() }.next;
        Some(head)
    }

    fn release(&self, head: NonNull<Head>) {
        // SAFETY: it is in no list any more, so what is read out is the only one in use.
        let region = unsafe { head.read() }.region;
        // SAFETY: the region is on loan, and nobody needs what is in it.
        unsafe { release_clean(&self.source, region) };
    }
}

impl<S: Source, P> Drop for Chunks<S, P> {
    fn drop(&mut self) {
        while let Some(head) = self.regions {
            // SAFETY: heads are ours and initialized; this one leaves the list.
            let Head { region, next, .. } = unsafe { head.read() };
            self.regions = next;
            // SAFETY: the region is on loan, and nobody uses its chunks any more.
            unsafe { release_clean(&self.source, region) };
        }
    }
}

/// The heads of a list, each lent once.
fn heads<'a>(mut next: Option<NonNull<Head>>) -> impl Iterator<Item = &'a mut Head> {
    iter::from_fn(move || {
        // SAFETY: the lists that are walked here are a `Chunks`', which is borrowed as long.
        let head = unsafe { &mut *next?.as_ptr() };
        next = head.next;
        Some(head)
    })
}

const fn head_size() -> usize {
    size_of::<Head>().next_multiple_of(GRANULE_SIZE)
}

impl Head {
    /// A head for `region`, if it has room for a chunk; its place is committed then. Its own
    /// region is yet to be filled in.
    fn new(source: &impl Source, region: &Region, wish: Wish, sharers: usize) -> Option<Self> {
        let gap = region.start().addr().get().wrapping_neg() % GRANULE_SIZE;
        let first = gap + head_size();
        let room = region.size().checked_sub(first)? & !(GRANULE_SIZE - 1);
        if room < wish.least {
            return None;
        }
        // SAFETY: the head lies in the region, which is on loan.
        unsafe { source.commit(region, gap..first) }.ok()?;
        let share = (room / sharers) & !(GRANULE_SIZE - 1);
        let nobodys = Region::new(region.bytes(), region.committed(), region.contents());
        Some(Self {
            region: nobodys,
            next: None,
            first,
            chunk_size: wish.best.min(share.max(wish.fair)).max(wish.least),
            frontier: first,
            free: None,
            lent: 0,
        })
    }

    /// Where `address` lies, in bytes from the start of the region, if some chunk has it.
    fn offset(&self, address: NonNull<u8>) -> Option<usize> {
        let offset = address.addr().get().wrapping_sub(self.region.start().addr().get());
        (self.first..self.frontier).contains(&offset).then_some(offset)
    }

    fn take(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        let chunk = self.take_free(source, least).or_else(|| self.cut(source, least))?;
        self.lent += 1;
        poison::unpoison(chunk.start, chunk.size);
        Some(chunk)
    }

    /// A free chunk of at least so many bytes. Only one can be shorter than the others, so it is
    /// the first or the second, or there is none.
    fn take_free(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        let mut first = self.free?;
        // SAFETY: what is in the free list is ours, and `give_back` wrote it.
        let FreeChunk { next, size } = unsafe { first.read() };
        if size >= least {
            let chunk = self.commit(source, first, size)?;
            self.free = next;
            return Some(chunk);
        }
        let second = next?;
        // SAFETY: as above.
        let FreeChunk { next, size } = unsafe { second.read() };
        if size < least {
            return None;
        }
        let chunk = self.commit(source, second, size)?;
        // SAFETY: as above; nobody else borrows it.
        unsafe { first.as_mut() }.next = next;
        Some(chunk)
    }

    /// The free chunk at `place`, all of it committed again.
    fn commit(
        &self,
        source: &impl Source,
        place: NonNull<FreeChunk>,
        size: usize,
    ) -> Option<Chunk> {
        let offset = place.addr().get() - self.region.start().addr().get();
        // SAFETY: the chunk lies in the region, which is on loan.
        unsafe { source.commit(&self.region, offset..offset + size) }.ok()?;
        Some(Chunk { start: place.cast(), size })
    }

    fn cut(&mut self, source: &impl Source, least: usize) -> Option<Chunk> {
        let room = (self.region.size() - self.frontier) & !(GRANULE_SIZE - 1);
        let size = self.chunk_size.min(room);
        if size < least {
            return None;
        }
        let range = self.frontier..self.frontier + size;
        // SAFETY: the range lies in the region, which is on loan.
        unsafe { source.commit(&self.region, range.clone()) }.ok()?;
        self.frontier = range.end;
        // SAFETY: as above.
        Some(Chunk { start: unsafe { self.region.start().add(range.start) }, size })
    }

    /// # Safety
    ///
    /// As for [`Chunks::give_back`], and the chunk lies in this region.
    unsafe fn give_back(&mut self, source: &impl Source, chunk: Chunk) {
        let offset = chunk.start.addr().get() - self.region.start().addr().get();
        let place = chunk.start.cast::<FreeChunk>();
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
        self.lent -= 1;
    }
}

const _: () =
    assert!(align_of::<Head>() <= GRANULE_SIZE && align_of::<FreeChunk>() <= GRANULE_SIZE);
