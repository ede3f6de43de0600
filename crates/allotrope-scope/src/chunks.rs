//! All chunks of an arena: a chain that the frontier walks along, and chunks of one block.
//!
//! ```text
//! first ──▶ chunk ──▶ chunk ──▶ chunk ──▶ chunk ──▶ nothing
//!           left      current   to be used again
//!
//! own ────▶ chunk ──▶ chunk     one block each, newest first
//! spare ──▶ chunk               were own; their blocks are gone
//! ```
//!
//! # Invariants
//!
//! 1. Every chunk is in exactly one of the three lists; `current` is in the first.
//! 2. There is a current chunk if there is a first one.
//! 3. Numbers in `own` fall from its start to its end.
//! 4. `held` is the size of all chunks.
//! 5. Nothing is half done while the source is called: it may call back.
//! 6. With what is `charged`, no more is held than the limit allows: what the source is asked for is
//!    charged before, so that calls back leave it room. Whole pages may round it up.

use core::cell::Cell;
use core::iter;
use core::ptr::NonNull;

use allotrope_core::parts::Firm;
use allotrope_core::poison::poison;
use allotrope_core::{AllocError, Broken, Source};

use crate::chunk::{self, ChunkRef};
use crate::growth::{self, Growth};

/// No page is smaller.
const SMALLEST_PAGE: usize = 4 * 1024;

/// No page is larger, save those that a system chooses by itself.
const LARGEST_PAGE: usize = 64 * 1024;

pub(crate) struct Chunks<S: Source> {
    source: Firm<S>,
    first: Cell<Option<ChunkRef>>,
    current: Cell<Option<ChunkRef>>,
    own: Cell<Option<ChunkRef>>,
    spare: Cell<Option<ChunkRef>>,
    held: Cell<usize>,
    /// What the source is being asked for, and a chunk that it makes larger.
    charged: Cell<usize>,
    limit: Cell<usize>,
    growth: Cell<Growth>,
    /// How many times a chunk was taken into use for one block.
    numbers: Cell<u64>,
    /// How many times a chunk went: into another list, elsewhere as it grew, or back to the source.
    moves: Cell<u64>,
}

/// A chunk with room for a block.
pub(crate) enum Found {
    /// The frontier should go on there.
    Next(ChunkRef),
    /// It is for this block alone, and among the own chunks already.
    Own(ChunkRef),
}

impl<S: Source> Chunks<S> {
    /// Whether regions are pages, and their sizes rounded up to such.
    const LENDS_PAGES: bool = S::REGION_ALIGN >= SMALLEST_PAGE;

    /// The size in bytes of the first chunk.
    const FIRST: usize = if S::RESERVES_AHEAD { growth::FIRST_OF_PAGES } else { growth::FIRST };

    pub(crate) const fn new(source: S) -> Self {
        Self {
            source: Firm::new(source),
            first: Cell::new(None),
            current: Cell::new(None),
            own: Cell::new(None),
            spare: Cell::new(None),
            held: Cell::new(0),
            charged: Cell::new(0),
            limit: Cell::new(usize::MAX),
            growth: Cell::new(Growth::from(Self::FIRST)),
            numbers: Cell::new(0),
            moves: Cell::new(0),
        }
    }

    pub(crate) const fn source(&self) -> &S {
        self.source.get()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.get()
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// How many bytes may be held: the limit, in whole pages where regions are such.
    fn bound(&self) -> usize {
        let unit = if Self::LENDS_PAGES { S::REGION_ALIGN } else { 1 };
        self.limit.get().checked_next_multiple_of(unit).unwrap_or(usize::MAX)
    }

    /// How many bytes more may be held now.
    fn allowed(&self) -> usize {
        self.bound().saturating_sub(self.held.get()).saturating_sub(self.charged.get())
    }

    /// Whether the limit is kept, or passed by no more than rounds a region of `size` bytes up to whole
    /// pages of this system.
    fn is_limit_kept(&self, size: usize) -> bool {
        let passed = self.held.get().saturating_sub(self.bound());
        let page = (1 << size.trailing_zeros().min(LARGEST_PAGE.trailing_zeros())) - 1;
        passed == 0 || (Self::LENDS_PAGES && passed <= page)
    }

    pub(crate) fn cap(&self) -> usize {
        self.growth.get().cap()
    }

    pub(crate) fn set_cap(&self, cap: usize) {
        self.growth.set(self.growth.get().with_cap(cap));
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> Option<ChunkRef> {
        self.current.get()
    }

    #[inline(always)]
    pub(crate) fn numbers(&self) -> u64 {
        self.numbers.get()
    }

    /// While this is the same, references to chunks are good, and lists go on as they are.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.get()
    }

    fn count_move(&self) {
        self.moves.set(self.moves.get() + 1);
    }

    pub(crate) fn has_own(&self) -> bool {
        self.own.get().is_some()
    }

    /// A chunk for a block that needs `need` bytes, for which the current one, with `room` bytes
    /// left, has no room.
    pub(crate) fn find(&self, need: usize, room: usize) -> Result<Found, AllocError> {
        self.find_next(need, room).or_else(|_| self.find_in_want(need, room))
    }

    fn find_next(&self, need: usize, room: usize) -> Result<Found, AllocError> {
        let next = self.current.get().and_then(ChunkRef::next);
        let next_size = next.map_or(self.growth.get().next(), ChunkRef::size);
        let is_own = self.current.get().is_some() && growth::is_own(need, room, next_size);
        match next {
            _ if is_own => self.take_own(need, room).map(Found::Own),
            Some(next) if need <= next.room() => Ok(Found::Next(next)),
            Some(_) => self.take_own(need, room).map(Found::Own),
            None => self.add(need, room).map(Found::Next),
        }
    }

    /// The same, where the source or the limit refuses more: a chunk that is not in use, though it
    /// fits badly, or else a new one in place of all that are not.
    #[cold]
    fn find_in_want(&self, need: usize, room: usize) -> Result<Found, AllocError> {
        // A later chunk of the chain, if the very next one has no room.
        let behind = self.current.get().and_then(ChunkRef::next);
        if let Some(chunk) = chain(behind).find(|chunk| need <= chunk.room()) {
            return Ok(Found::Next(chunk));
        }
        if let Some(chunk) = chain(self.spare.get()).find(|chunk| need <= chunk.room()) {
            unlink(&self.spare, chunk);
            let next_size = self.growth.get().next();
            if self.current.get().is_some() && growth::is_own(need, room, next_size) {
                self.push_own(chunk);
                return Ok(Found::Own(chunk));
            }
            self.count_move();
            self.link(chunk);
            return Ok(Found::Next(chunk));
        }
        let least = chunk::region_size(need)?;
        if self.unused().next().is_none() || self.others_beside(least).is_none() {
            return Err(AllocError);
        }
        self.release_unused(0);
        self.find_next(need, room)
    }

    /// Makes `chunk` the current one; the frontier was at `cursor`.
    ///
    /// # Safety
    ///
    /// `chunk` is the current one, or lies behind it in the chain; `cursor` is in the current one.
    pub(crate) unsafe fn advance(&self, chunk: ChunkRef, cursor: NonNull<u8>) {
        if let Some(current) = self.current.get() {
            current.set_left(cursor);
            let skipped = chain(current.next()).take_while(|skipped| *skipped != chunk);
            skipped.for_each(|skipped| skipped.set_left(skipped.start()));
        }
        self.current.set(Some(chunk));
    }

    /// Makes `chunk` the current one again, or the first if there was none then; poisons the
    /// blocks in the chunks behind it. The frontier was at `cursor`.
    ///
    /// # Safety
    ///
    /// `chunk` was the current one, and stayed in the chain; `cursor` is in the current one. Nobody
    /// uses the blocks in the chunks behind `chunk` any more.
    pub(crate) unsafe fn retreat(
        &self,
        chunk: Option<ChunkRef>,
        cursor: NonNull<u8>,
    ) -> Option<ChunkRef> {
        let current = self.current.get()?;
        current.set_left(cursor);
        let target = chunk.or(self.first.get())?;
        let mut behind = target;
        while behind != current
            && let Some(next) = behind.next()
        {
            poison_between(next.start(), next.left());
            behind = next;
        }
        self.current.set(Some(target));
        Some(target)
    }

    /// A new chunk behind the current one, with room for `need` bytes.
    fn add(&self, need: usize, room: usize) -> Result<ChunkRef, AllocError> {
        let chunk = self.reserve(need, self.growth.get().next(), room)?;
        self.growth.set(self.growth.get().after_chunk());
        self.link(chunk);
        Ok(chunk)
    }

    /// Puts a chunk of no list behind the current one.
    fn link(&self, chunk: ChunkRef) {
        match self.current.get() {
            Some(current) => {
                chunk.set_next(current.next());
                current.set_next(Some(chunk));
            }
            None => {
                self.first.set(Some(chunk));
                self.current.set(Some(chunk));
            }
        }
    }

    /// A chunk for one block: one that was used for another, or a new one.
    fn take_own(&self, need: usize, room: usize) -> Result<ChunkRef, AllocError> {
        let chunk = match self.unlink_spare(need) {
            Some(chunk) => chunk,
            None => {
                let chunk = self.reserve(need, 0, room)?;
                self.growth.set(self.growth.get().after_own_chunk());
                chunk
            }
        };
        self.push_own(chunk);
        Ok(chunk)
    }

    fn push_own(&self, chunk: ChunkRef) {
        self.count_move();
        self.numbers.set(self.numbers.get() + 1);
        chunk.set_number(self.numbers.get());
        chunk.set_next(self.own.get());
        self.own.set(Some(chunk));
    }

    fn unlink_spare(&self, need: usize) -> Option<ChunkRef> {
        let fits = |chunk: &ChunkRef| growth::is_fit(chunk.room(), need);
        let chunk = chain(self.spare.get()).find(fits)?;
        unlink(&self.spare, chunk);
        Some(chunk)
    }

    /// A chunk in no list yet, no larger than all that are in use. Before, chunks that are not in use
    /// are released until, with the new one, no more than twice of what is in use is held: they did
    /// not fit now, and kept they might never be used again. `room` is what the current chunk still has.
    fn reserve(&self, need: usize, wanted: usize, room: usize) -> Result<ChunkRef, AllocError> {
        let least = chunk::region_size(need)?;
        let in_use = self.in_use();
        let wanted = wanted.min(in_use.max(Self::FIRST));
        let bound = (in_use.saturating_sub(room)).saturating_add(need).saturating_mul(2);
        self.make_way(least)?;
        self.release_unused(bound.saturating_sub(wanted.max(least)));
        let allowed = self.allowed();
        if least > allowed {
            return Err(AllocError);
        }
        let wanted = wanted.min(allowed & !(S::REGION_ALIGN - 1)).max(least);
        self.charged.set(self.charged.get() + wanted);
        let chunk = chunk::reserve(&self.source, least, wanted);
        self.charged.set(self.charged.get() - wanted);
        let chunk = chunk?;
        self.held.set(self.held.get() + chunk.size());
        if need <= chunk.room() && self.is_limit_kept(chunk.size()) {
            return Ok(chunk);
        }
        // SAFETY: it is new, and in no list.
        unsafe { self.release(chunk) };
        Err(AllocError)
    }

    /// The size in bytes of the chunks that are in use.
    fn in_use(&self) -> usize {
        self.held.get() - self.unused().map(ChunkRef::size).sum::<usize>()
    }

    /// How many bytes may be held beside `bytes` more that keep the limit; `None` if more are in use.
    fn others_beside(&self, bytes: usize) -> Option<usize> {
        let others = self.bound().checked_sub(self.charged.get())?.checked_sub(bytes);
        others.filter(|others| self.in_use() <= *others)
    }

    /// Releases chunks that are not in use until `bytes` more keep the limit; none where that would
    /// not help.
    fn make_way(&self, bytes: usize) -> Result<(), AllocError> {
        if bytes > self.allowed() {
            self.release_unused(self.others_beside(bytes).ok_or(AllocError)?);
        }
        Ok(())
    }

    /// The chunk of the block at `start`, if it has one of its own; looks at the newest.
    fn own_chunk_of(&self, start: NonNull<u8>) -> Option<ChunkRef> {
        const NEWEST: usize = 16;
        chain(self.own.get()).take(NEWEST).find(|own| own.left() == start)
    }

    /// Takes the block at `start` out of use if it has a chunk of its own; looks at the newest.
    ///
    /// # Safety
    ///
    /// Nobody uses a block at `start` any more.
    pub(crate) unsafe fn retire_block(&self, start: NonNull<u8>) -> bool {
        let own = self.own_chunk_of(start);
        own.inspect(|own| {
            unlink(&self.own, *own);
            // SAFETY: its one block is done with (caller).
            unsafe { self.push_spare(*own) };
        })
        .is_some()
    }

    /// Takes all chunks of one block out of use that came after `number`.
    ///
    /// # Safety
    ///
    /// Nobody uses these blocks any more.
    #[cold]
    pub(crate) unsafe fn retire_after(&self, number: u64) {
        while let Some(chunk) = self.own.get().filter(|chunk| chunk.number() > number) {
            self.own.set(chunk.next());
            // SAFETY: its one block is done with (caller).
            unsafe { self.push_spare(chunk) };
        }
    }

    /// # Safety
    ///
    /// The chunk is in no list, and nobody uses its blocks.
    unsafe fn push_spare(&self, chunk: ChunkRef) {
        self.count_move();
        poison_between(chunk.start(), chunk.end());
        chunk.set_next(self.spare.get());
        self.spare.set(Some(chunk));
    }

    /// Makes the chunk of the block at `start` larger, so that it has room for `extent` bytes; looks at
    /// the newest that are for one block.
    ///
    /// # Safety
    ///
    /// Nobody uses the block's old place afterwards, if it has moved.
    pub(crate) unsafe fn grow_block(&self, start: NonNull<u8>, extent: usize) -> Option<ChunkRef> {
        let chunk = self.own_chunk_of(start)?;
        let padding = start.addr().get() - chunk.start().addr().get();
        let need = padding.checked_add(extent)?;
        if need <= chunk.room() {
            return Some(chunk);
        }
        let least = chunk::region_size(need).ok()?;
        // Not twice: only what is new.
        let added = least.saturating_sub(chunk.size());
        self.make_way(added).ok()?;
        unlink(&self.own, chunk);
        let charged = chunk.size() + added;
        self.held.set(self.held.get() - chunk.size());
        self.charged.set(self.charged.get() + charged);
        self.count_move();
        // SAFETY: the chunk is in no list, and its block moves with it (caller).
        let grown = unsafe { chunk::grow(&self.source, chunk, least) };
        let (Ok(chunk) | Err(chunk)) = grown;
        self.charged.set(self.charged.get() - charged);
        self.held.set(self.held.get() + chunk.size());
        match grown {
            Ok(chunk) => self.push_own(chunk),
            Err(chunk) => self.put_back(chunk),
        }
        grown.ok()
    }

    /// Puts a chunk that has a number already among the own ones: its block is as new as it was.
    fn put_back(&self, chunk: ChunkRef) {
        let newer = chain(self.own.get()).take_while(|own| own.number() > chunk.number());
        match newer.last() {
            Some(newer) => {
                chunk.set_next(newer.next());
                newer.set_next(Some(chunk));
            }
            None => {
                chunk.set_next(self.own.get());
                self.own.set(Some(chunk));
            }
        }
    }

    /// Releases chunks that are not in use, until no more than `bytes` are held; the current one, too,
    /// if it `is_unused` and the first.
    ///
    /// # Safety
    ///
    /// If it `is_unused`, the current chunk has no block in use, and the caller forgets it.
    pub(crate) unsafe fn shrink_to(&self, bytes: usize, is_unused: bool) {
        self.release_unused(bytes);
        if self.held.get() > bytes && is_unused && self.current.get() == self.first.get() {
            self.current.set(None);
            if let Some(first) = self.first.take() {
                // SAFETY: it was the chain, for what lay behind it is released; it is not in use
                // (caller).
                unsafe { self.release(first) };
            }
        }
    }

    /// Releases chunks that are not in use, until no more than `bytes` are held.
    pub(crate) fn release_unused(&self, bytes: usize) {
        while self.held.get() > bytes
            && let Some(chunk) = self.spare.get()
        {
            self.spare.set(chunk.next());
            // SAFETY: it is in no list, and spare chunks have no blocks.
            unsafe { self.release(chunk) };
        }
        while self.held.get() > bytes
            && let Some(current) = self.current.get()
            && let Some(last) = chain(current.next()).last()
        {
            unlink_after(current, last);
            // SAFETY: it is in no list, and no block lies beyond the frontier.
            unsafe { self.release(last) };
        }
    }

    /// Releases a chunk.
    ///
    /// # Safety
    ///
    /// The chunk is in no list, and nobody uses it or its blocks any more.
    unsafe fn release(&self, chunk: ChunkRef) {
        self.count_move();
        self.held.set(self.held.get() - chunk.size());
        // SAFETY: the chunk came from this source; else as the caller promises.
        unsafe { chunk::release(&self.source, chunk) };
    }

    /// The chunks in use, with where the blocks in them end; the frontier is at `cursor`.
    pub(crate) fn used(
        &self,
        cursor: NonNull<u8>,
    ) -> impl Iterator<Item = (ChunkRef, NonNull<u8>)> {
        let current = self.current.get();
        let is_left = move |chunk: &ChunkRef| Some(*chunk) != current;
        let left = chain(self.first.get()).take_while(is_left);
        left.map(|chunk| (chunk, chunk.left()))
            .chain(current.map(|chunk| (chunk, cursor)))
            .chain(chain(self.own.get()).map(|chunk| (chunk, chunk.end())))
    }

    /// Checks invariants 1 to 4.
    pub(crate) fn check_invariants(&self) -> Result<(), Broken> {
        let lists = [&self.first, &self.own, &self.spare].map(|list| chain(list.get()));
        let mut rest = self.held.get();
        for chunk in lists.into_iter().flatten() {
            // A circle ends here, too.
            let Some(others) = rest.checked_sub(chunk.size()) else {
                return Err(chunk.broken("every chunk is in exactly one list"));
            };
            rest = others;
        }
        if rest > 0 {
            return Err(Broken { invariant: "what is held is in the lists", address: 0 });
        }
        if let Some(first) = self.first.get()
            && !chain(Some(first)).any(|chunk| Some(chunk) == self.current.get())
        {
            return Err(first.broken("the current chunk is in the chain"));
        }
        let mut newest = self.numbers.get();
        for chunk in chain(self.own.get()) {
            if chunk.number() == 0 || chunk.number() > newest {
                return Err(chunk.broken("numbers fall along the chunks of one block"));
            }
            newest = chunk.number() - 1;
        }
        Ok(())
    }

    /// The chunks that are not in use.
    pub(crate) fn unused(&self) -> impl Iterator<Item = ChunkRef> {
        chain(self.current.get().and_then(ChunkRef::next)).chain(chain(self.spare.get()))
    }
}

impl<S: Source> Drop for Chunks<S> {
    fn drop(&mut self) {
        self.current.set(None);
        for list in [&self.first, &self.own, &self.spare] {
            while let Some(chunk) = list.get() {
                list.set(chunk.next());
                // SAFETY: it is in no list, and all blocks borrow what is being dropped.
                unsafe { self.release(chunk) };
            }
        }
    }
}

/// A list from `chunk` on. What follows a chunk is looked up before the chunk is handed out.
fn chain(chunk: Option<ChunkRef>) -> impl Iterator<Item = ChunkRef> {
    iter::successors(chunk, |chunk| chunk.next())
}

fn unlink(list: &Cell<Option<ChunkRef>>, chunk: ChunkRef) {
    if list.get() == Some(chunk) {
        list.set(chunk.next());
    } else if let Some(first) = list.get() {
        unlink_after(first, chunk);
    }
}

/// Takes `chunk` out of the list that begins with `first`, which is another one.
fn unlink_after(first: ChunkRef, chunk: ChunkRef) {
    if let Some(before) = chain(Some(first)).find(|before| before.next() == Some(chunk)) {
        before.set_next(chunk.next());
    }
}

pub(crate) fn poison_between(start: NonNull<u8>, end: NonNull<u8>) {
    poison(start, end.addr().get().saturating_sub(start.addr().get()));
}
