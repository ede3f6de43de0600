//! One chunk: a region of a source, with its bookkeeping at its start.
//!
//! ```text
//! region │ Head │ blocks, from `start` up … │ room │ `end`
//!                        `fresh` │ zeros           │
//! ```
//!
//! # Invariants
//!
//! 1. A `ChunkRef` points to a head that [`reserve`] wrote, in a region on loan from the
//!    source, until [`release`] gives that back.
//! 2. `start` and `end` keep the invariants of [`frontier`](crate::frontier).
//! 3. The region is exposed: who has no more than an address in it may derive a pointer from that.
//! 4. Poison covers what no block covers, between `start` and `end`.
//! 5. The bytes from `fresh` to `end` belong to no block and read as zero. Whoever lends bytes of a
//!    chunk raises `fresh` behind them: the frontier, which tells nobody how far it goes, to the end.

use core::cell::Cell;
use core::ptr::NonNull;

use allotrope_core::parts::exposed;
use allotrope_core::poison::{poison, unpoison};
use allotrope_core::{AllocError, Broken, Contents, Movement, Region, Source};

use crate::frontier;

/// What stands at the start of a chunk.
struct Head {
    region: Region,
    /// The chunk that the list goes on with.
    next: Cell<Option<ChunkRef>>,
    start: NonNull<u8>,
    end: NonNull<u8>,
    /// Where the frontier was when it left for another chunk; where the block is, if there is one.
    left: Cell<NonNull<u8>>,
    /// The address from which on all bytes are zero: nobody but the source has written there.
    fresh: Cell<usize>,
    /// Chunks of one block are numbered, in the order in which they were taken into use.
    number: Cell<u64>,
}

/// A chunk that is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ChunkRef(NonNull<Head>);

/// The size in bytes of a region that surely has room for `need` bytes of blocks.
pub(crate) fn region_size(need: usize) -> Result<usize, AllocError> {
    // What the region's start and end may lack of a multiple of `STEP`.
    const EDGES: usize = 2 * frontier::STEP;
    need.checked_add(size_of::<Head>() + EDGES).ok_or(AllocError)
}

/// Takes a chunk of at least `least` bytes, bookkeeping included, from `source`.
pub(crate) fn reserve(
    source: &impl Source,
    least: usize,
    wanted: usize,
) -> Result<ChunkRef, AllocError> {
    let region = exposed(match source.take_kept(wanted) {
        Some(region) => region,
        None if wanted <= least => source.reserve_block(least)?,
        None => source.reserve(least, wanted)?,
    });
    let size = region.size();
    // SAFETY: the region is on loan, and the range is all of it.
    let is_committed =
        region.committed() == size || unsafe { source.commit(&region, 0..size) }.is_ok();
    let reaches = region.start().addr().get().saturating_add(size);
    if is_committed
        && reaches <= highest_address(source)
        && let Some((head, start, end)) = cut(&region)
    {
        poison(start, end.addr().get() - start.addr().get());
        let fresh = if region.contents() == Contents::Zero { start } else { end };
        let (next, left, number) = (Cell::new(None), Cell::new(start), Cell::new(0));
        let fresh = Cell::new(fresh.addr().get());
        // SAFETY: `cut` found room and alignment for a head, the region is committed, and nobody
        // else has it.
        unsafe { head.write(Head { region, next, start, end, left, fresh, number }) };
        return Ok(ChunkRef(head));
    }
    // SAFETY: lent just above, and not used.
    unsafe { source.release(region) };
    Err(AllocError)
}

/// Beyond this no region of `source` reaches: it says so, and that is checked.
const fn highest_address<S: Source>(_: &S) -> usize {
    S::HIGHEST_ADDRESS
}

/// Where the head goes in a region, and where its blocks start and end.
fn cut(region: &Region) -> Option<(NonNull<Head>, NonNull<u8>, NonNull<u8>)> {
    const { assert!(align_of::<Head>() <= frontier::STEP) };
    let (first, end) = frontier::usable(region.start().addr().get(), region.size())?;
    let start = first + size_of::<Head>().next_multiple_of(frontier::STEP);
    if start > end {
        return None;
    }
    // SAFETY: all three lie in the region or at its end.
    unsafe {
        let head = region.start().add(first).cast();
        Some((head, region.start().add(start), region.start().add(end)))
    }
}

/// Gives a chunk back to its source; the size in bytes that this frees.
///
/// # Safety
///
/// The chunk came from this source; nobody uses it, its blocks or this reference any more.
pub(crate) unsafe fn release(source: &impl Source, chunk: ChunkRef) -> usize {
    // SAFETY: invariant 1; what is read is not used again in its old place.
    let region = unsafe { chunk.0.read() }.region;
    let size = region.size();
    unpoison(region.start(), size);
    // SAFETY: the region is the source's, all of it committed, and nobody uses it (caller).
    unsafe { source.release_or_keep(region) };
    size
}

/// Makes a chunk at least `least` bytes longer, or larger by moving it: what is in it keeps its
/// place from the start. On failure the chunk is as it was.
///
/// # Safety
///
/// As for [`release`], save that the block in it goes on to be used, at the new place. Regions of
/// this source are aligned as the block, and the head, have to be.
pub(crate) unsafe fn grow(
    source: &impl Source,
    chunk: ChunkRef,
    size: usize,
) -> Result<ChunkRef, ChunkRef> {
    // SAFETY: invariant 1; what is read is written again, here or where the chunk is then.
    let Head { region, next, start, end, left, fresh, number } = unsafe { chunk.0.read() };
    let (old, old_size) = (region.start().addr().get(), region.size());
    let [head, start, left, old_end] =
        [chunk.0.cast(), start, left.get(), end].map(|place| place.addr().get() - old);
    let fresh = fresh.get() - old;
    unpoison(region.start(), region.size());
    // SAFETY: the region is on loan, and its old place is not used after it has moved.
    let (region, has_grown) = match unsafe { source.grow_region(region, size, Movement::Allowed) } {
        Ok(region) => (exposed(region), true),
        Err(region) => (region, false),
    };
    let usable = frontier::usable(region.start().addr().get(), region.size());
    let end = usable.map_or(start, |(_, end)| end);
    let fresh = match region.contents() {
        _ if !has_grown => fresh,
        // Between the old end and the new bytes nobody has written.
        Contents::Zero if fresh < old_end => fresh,
        Contents::Zero => old_size.min(end),
        Contents::Unknown => end,
    };
    // SAFETY: these places lie as far from the region's start as they did, and the end, too, is in
    // the region.
    let [head, start, left, end] =
        [head, start, left, end].map(|offset| unsafe { region.start().add(offset) });
    let fresh = Cell::new(region.start().addr().get() + fresh);
    let head = head.cast::<Head>();
    // SAFETY: where there was a head there is room for one; regions stay aligned (caller).
    unsafe { head.write(Head { region, next, start, end, left: Cell::new(left), fresh, number }) };
    if has_grown { Ok(ChunkRef(head)) } else { Err(ChunkRef(head)) }
}

impl ChunkRef {
    fn head(&self) -> &Head {
        // SAFETY: invariant 1.
        unsafe { self.0.as_ref() }
    }

    /// Where its bookkeeping is.
    pub(crate) fn place(self) -> NonNull<u8> {
        self.0.cast()
    }

    pub(crate) fn next(self) -> Option<ChunkRef> {
        self.head().next.get()
    }

    pub(crate) fn set_next(self, next: Option<ChunkRef>) {
        self.head().next.set(next);
    }

    /// Where its first block goes.
    pub(crate) fn start(self) -> NonNull<u8> {
        self.head().start
    }

    /// Where its last block ends at the latest.
    pub(crate) fn end(self) -> NonNull<u8> {
        self.head().end
    }

    /// How many bytes of blocks there is room for.
    pub(crate) fn room(self) -> usize {
        self.end().addr().get() - self.start().addr().get()
    }

    /// How many bytes it takes, bookkeeping included.
    pub(crate) fn size(self) -> usize {
        self.head().region.size()
    }

    pub(crate) fn left(self) -> NonNull<u8> {
        self.head().left.get()
    }

    pub(crate) fn set_left(self, left: NonNull<u8>) {
        self.head().left.set(left);
    }

    /// Notes that the bytes from `start` up to the address `end` are lent. Says how many of them
    /// may not be zero; all behind those are.
    pub(crate) fn lend(self, start: NonNull<u8>, end: usize) -> usize {
        let (start, fresh) = (start.addr().get(), self.head().fresh.get());
        self.head().fresh.set(fresh.max(end));
        fresh.saturating_sub(start)
    }

    pub(crate) fn number(self) -> u64 {
        self.head().number.get()
    }

    pub(crate) fn set_number(self, number: u64) {
        self.head().number.set(number);
    }

    /// What is wrong about it.
    pub(crate) fn broken(self, invariant: &'static str) -> Broken {
        Broken { invariant, address: self.start().addr().get() }
    }
}
