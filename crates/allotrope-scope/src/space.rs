//! The state of an arena: the frontier, in the handle itself, and what is behind it.
//!
//! ```text
//! Space
//!   cursor ─────────────────┐             ┌───────────── limit
//!                           ▼             ▼
//!   chunks ──▶ │ Head │ ▓▓▓▓│     room    │
//! ```
//!
//! # Invariants
//!
//! 1. Cursor and limit are in the current chunk and keep the invariants of
//!    [`frontier`](crate::frontier); without a chunk both are at an address where no chunk is.
//! 2. Bytes below the cursor, in chunks that the frontier has left, and in chunks of one block
//!    belong to blocks; bytes from the cursor to the limit to nobody.
//! 3. A block that was handed out is not handed out again before it is freed, or the frontier is
//!    set back to a [`Position`] from before.

use core::alloc::Layout;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::num::NonZero;
use core::ptr::NonNull;

use allotrope_core::poison::unpoison;
use allotrope_core::{AllocError, Broken, Source};
use allotrope_sync::fatal::promised;

use crate::blocks::{block, clear, is_aligned};
use crate::chunk::ChunkRef;
use crate::chunks::{Chunks, Found, poison_between};
use crate::drop_list::{self, Node, Owner};
use crate::frontier::{self, Place, STEP, extent};

pub(crate) struct Space<S: Source> {
    cursor: Cell<NonNull<u8>>,
    limit: Cell<NonNull<u8>>,
    /// The newest value that waits to be dropped.
    pub(crate) drops: Cell<Option<NonNull<Node>>>,
    /// How many guards there were.
    pub(crate) guards: Cell<u64>,
    pub(crate) chunks: Chunks<S>,
}

/// A frontier that is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    chunk: Option<ChunkRef>,
    cursor: NonNull<u8>,
    number: u64,
    pub(crate) drops: Option<NonNull<Node>>,
}

/// Where the frontier is without a chunk: at a multiple of [`STEP`], as everywhere. What types are
/// aligned to would not do: a `u64` is to 4 on some targets.
const NOWHERE: NonNull<u8> = NonNull::without_provenance(NonZero::new(STEP).unwrap());

/// A block that was just cut from a chunk.
pub(crate) struct Cut {
    pub(crate) start: NonNull<u8>,
    /// How many bytes from its start may not be zero; all behind those are.
    pub(crate) dirty: usize,
}

impl Position {
    /// Before everything.
    pub(crate) const START: Self = Self { chunk: None, cursor: NOWHERE, number: 0, drops: None };
}

impl<S: Source> Space<S> {
    const IS_LOW: bool = frontier::is_low(S::HIGHEST_ADDRESS);

    pub(crate) const fn new(source: S) -> Self {
        Self {
            cursor: Cell::new(NOWHERE),
            limit: Cell::new(NOWHERE),
            drops: Cell::new(None),
            guards: Cell::new(0),
            chunks: Chunks::new(source),
        }
    }

    /// A block for a value of type `T`, not initialized, in the current chunk if there is room.
    #[inline(always)]
    pub(crate) fn place_here<T>(&self) -> Option<NonNull<T>> {
        if size_of::<T>() == 0 {
            return Some(NonNull::dangling());
        }
        let (cursor, limit) = self.bounds();
        let place = if const { frontier::is_small(size_of::<T>(), align_of::<T>()) } {
            frontier::place_small(cursor, limit, size_of::<T>(), align_of::<T>())
        } else {
            frontier::place(Self::IS_LOW, cursor, limit, size_of::<T>(), align_of::<T>())
        };
        // SAFETY: the place is between cursor and limit.
        place.map(|place| unsafe { self.take(place, size_of::<T>()) }.cast())
    }

    /// A block for a value of type `T`, not initialized.
    #[inline(always)]
    pub(crate) fn place_for<T>(&self) -> Result<NonNull<T>, AllocError> {
        match self.place_here() {
            Some(place) => Ok(place),
            None => self.allocate_elsewhere(Layout::new::<T>()).map(NonNull::cast),
        }
    }

    /// A block for any layout, in the current chunk if there is room.
    #[inline(always)]
    pub(crate) fn allocate_here(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.size() == 0 && layout.align() > STEP {
            return Some(layout.dangling_ptr());
        }
        let (cursor, limit) = self.bounds();
        let place = frontier::place(Self::IS_LOW, cursor, limit, layout.size(), layout.align())?;
        // SAFETY: the place is between cursor and limit.
        Some(unsafe { self.take(place, layout.size()) })
    }

    /// A block for any layout.
    #[inline(always)]
    pub(crate) fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.allocate_here(layout) {
            Some(start) => Ok(block(start, layout)),
            None => self.allocate_elsewhere(layout),
        }
    }

    /// A block for any layout, all bytes of which are zero.
    #[inline(always)]
    pub(crate) fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let cut = self.cut(layout)?;
        // SAFETY: the block is new, and at least so many bytes long.
        unsafe { clear(NonNull::slice_from_raw_parts(cut.start, cut.dirty), 0) };
        Ok(block(cut.start, layout))
    }

    /// A block for any layout, and what of it is zero.
    #[inline(always)]
    pub(crate) fn cut(&self, layout: Layout) -> Result<Cut, AllocError> {
        match self.allocate_here(layout) {
            Some(start) => Ok(Cut { start, dirty: layout.size() }),
            None => self.cut_elsewhere(layout),
        }
    }

    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.cursor.get().addr().get(), self.limit.get().addr().get())
    }

    /// Moves the frontier behind a block of `size` bytes.
    ///
    /// # Safety
    ///
    /// The place is one for so many bytes, from the cursor, below the limit.
    #[inline(always)]
    unsafe fn take(&self, place: Place, size: usize) -> NonNull<u8> {
        // SAFETY: cursor and limit are in the current chunk (invariant 1), and the place between
        // them (caller); without a chunk, it is empty.
        let start = unsafe { self.cursor.get().add(place.padding) };
        // SAFETY: as above.
        self.cursor.set(unsafe { start.add(place.extent) });
        unpoison(start, size);
        start
    }

    /// A block in another chunk than the current one, which has no room for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Ok(block(self.cut_elsewhere(layout)?.start, layout))
    }

    /// As [`allocate_elsewhere`](Self::allocate_elsewhere), and tells what of the block is zero.
    fn cut_elsewhere(&self, layout: Layout) -> Result<Cut, AllocError> {
        let need = frontier::need(layout.size(), layout.align()).ok_or(AllocError)?;
        let (cursor, limit) = self.bounds();
        match self.chunks.find(need, limit - cursor)? {
            Found::Next(chunk) => {
                // SAFETY: what is found lies behind the current chunk, and the cursor is in that.
                unsafe { self.chunks.advance(chunk, self.cursor.get()) };
                self.cursor.set(chunk.start());
                self.limit.set(chunk.end());
                let (cursor, limit) = self.bounds();
                let place =
                    frontier::place(Self::IS_LOW, cursor, limit, layout.size(), layout.align());
                // SAFETY: the place is between cursor and limit.
                let start = place.map(|place| unsafe { self.take(place, layout.size()) });
                let start = start.ok_or(AllocError)?;
                let dirty = chunk.lend(start, limit).min(layout.size());
                Ok(Cut { start, dirty })
            }
            Found::Own(chunk) => {
                let cursor = chunk.start().addr().get();
                let limit = chunk.end().addr().get();
                let place =
                    frontier::place(Self::IS_LOW, cursor, limit, layout.size(), layout.align());
                // SAFETY: the place lies in the chunk.
                let start = place.map(|place| unsafe { chunk.start().add(place.padding) });
                let start = start.ok_or(AllocError)?;
                chunk.set_left(start);
                unpoison(start, layout.size());
                let dirty = chunk.lend(start, start.addr().get() + layout.size());
                Ok(Cut { start, dirty: dirty.min(layout.size()) })
            }
        }
    }

    /// Frees a block, where it is the last one or has a chunk of its own; leaves any other to the
    /// end of its scope.
    ///
    /// # Safety
    ///
    /// `start` is the start of a block of this space with this layout, not freed since, that nobody
    /// uses any more; or that of its rest, which is as long as the layout says and starts at a multiple
    /// of [`STEP`].
    #[inline(always)]
    pub(crate) unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.free(start, layout.size()) };
    }

    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), of a block of `size` bytes.
    #[inline(always)]
    unsafe fn free(&self, start: NonNull<u8>, size: usize) {
        // SAFETY: as the caller promises.
        if let Some(start) = unsafe { self.last(start, size) } {
            poison_between(start, self.cursor.get());
            self.cursor.set(start);
        } else if size >= LEAST_SOUGHT && self.chunks.has_own() {
            // SAFETY: as the caller promises.
            unsafe { self.chunks.retire_block(start) };
        }
    }

    /// The block of `size` bytes at `start`, by a pointer that reaches all of its chunk, if it is
    /// the last block before the frontier.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), save that the block may go on to be used.
    #[inline(always)]
    unsafe fn last(&self, start: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        let cursor = self.cursor.get();
        if start.addr().get().wrapping_add(extent(size)) != cursor.addr().get() {
            return None;
        }
        // SAFETY: a block ends at the cursor (caller). Each chunk has a head at its start, so that the
        // end of another chunk's blocks is no place of this chunk's: the block starts in this one.
        Some(unsafe { cursor.sub(extent(size)) })
    }

    /// Makes a block larger.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) of a block with layout `old`, unless it fails; `new` is
    /// no smaller.
    //
    // The new place comes in memory: a loop that pushes has the old one in a register, could not
    // have a result in the same register, and would copy one to the other with every push.
    #[inline(always)]
    pub(crate) unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let mut place = MaybeUninit::uninit();
        let fits = new.align() <= old.align() || is_aligned(start, new);
        // SAFETY: as the caller promises; `start` is aligned for `old`, as every block is.
        let has_grown = unsafe {
            if fits {
                self.grow_here(start, old.size(), new, &mut place)
            } else {
                self.grow_elsewhere(start, old.size(), new, &mut place)
            }
        };
        if !has_grown {
            return Err(AllocError);
        }
        // SAFETY: who returns true has written the place.
        Ok(block(unsafe { place.assume_init() }, new))
    }

    /// Makes a block of `old_size` bytes larger, where it is if it is the last one. True says that
    /// there was room, and that `place` has where the block is then.
    ///
    /// Called cold, it lets a loop that pushes keep its state in registers. The ABI of C says that it
    /// does not unwind, as sources must not: the loop has no landing pad for it.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow), and `start` is aligned for `new`.
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "called from here alone")]
    unsafe extern "C" fn grow_here(
        &self,
        start: NonNull<u8>,
        old_size: usize,
        new: Layout,
        place: &mut MaybeUninit<NonNull<u8>>,
    ) -> bool {
        let (cursor, limit) = self.bounds();
        let at = start.addr().get();
        promised!(at.is_multiple_of(STEP), "a block that is not from here", at);
        if extent(at + old_size) == cursor
            && let Some(grown) = frontier::place(Self::IS_LOW, at, limit, new.size(), 1)
        {
            // The cursor's pointer reaches all of the chunk, the block's need not.
            let start = self.cursor.get().with_addr(start.addr());
            // SAFETY: the block is in the current chunk, and its extent ends at most at the limit.
            self.cursor.set(unsafe { start.add(grown.extent) });
            unpoison(start, new.size());
            place.write(start);
            return true;
        }
        // SAFETY: as the caller promises.
        unsafe { self.grow_elsewhere(start, old_size, new, place) }
    }

    /// As [`grow_here`](Self::grow_here), for a block that cannot stay where it is, or has a chunk of
    /// its own.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "called from here alone")]
    unsafe extern "C" fn grow_elsewhere(
        &self,
        start: NonNull<u8>,
        old_size: usize,
        new: Layout,
        place: &mut MaybeUninit<NonNull<u8>>,
    ) -> bool {
        // SAFETY: as the caller promises.
        let grown = unsafe { self.regrow(start, old_size, new) };
        grown.inspect(|cut| _ = place.write(cut.start)).is_ok()
    }

    /// As [`grow_elsewhere`](Self::grow_elsewhere), and tells what of the block is zero behind what it
    /// has kept.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    unsafe fn regrow(
        &self,
        start: NonNull<u8>,
        old_size: usize,
        new: Layout,
    ) -> Result<Cut, AllocError> {
        if old_size >= LEAST_SOUGHT && new.align().max(STEP) <= S::REGION_ALIGN {
            let larger = Some(extent(new.size())).filter(|_| is_aligned(start, new));
            // SAFETY: the block's old place is not used any more (caller).
            let grown = larger.and_then(|larger| unsafe { self.chunks.grow_block(start, larger) });
            if let Some(chunk) = grown {
                let start = chunk.left();
                poison_between(start, chunk.end());
                unpoison(start, new.size());
                let dirty = chunk.lend(start, start.addr().get() + new.size());
                return Ok(Cut { start, dirty: dirty.min(new.size()) });
            }
        }
        let cut = self.cut(new)?;
        // SAFETY: both blocks are at least as long as the old one, and do not overlap; the old one is
        // done with (caller).
        unsafe {
            cut.start.copy_from_nonoverlapping(start, old_size);
            self.free(start, old_size);
        }
        Ok(cut)
    }

    /// Makes a block larger; all bytes beyond the old ones are zero.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    pub(crate) unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (cursor, limit) = self.bounds();
        let at = start.addr().get();
        let is_last = extent(at + old.size()) == cursor && is_aligned(start, new);
        let (start, dirty) =
            if is_last && frontier::place(Self::IS_LOW, at, limit, new.size(), 1).is_some() {
                // SAFETY: as the caller promises. It grows in its place, where anything may be.
                (unsafe { self.grow(start, old, new) }?.cast(), new.size())
            } else {
                // SAFETY: as the caller promises.
                let cut = unsafe { self.regrow(start, old.size(), new) }?;
                (cut.start, cut.dirty)
            };
        let dirty = NonNull::slice_from_raw_parts(start, dirty.max(old.size()));
        // SAFETY: the block is as long, and nobody has the bytes behind the old ones yet.
        unsafe { clear(dirty, old.size()) };
        Ok(block(start, new))
    }

    /// Makes a block smaller.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow), save that `new` is no larger.
    #[inline(always)]
    pub(crate) unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !is_aligned(start, new) {
            let block = self.allocate(new)?;
            // SAFETY: the new block is shorter, and does not overlap the old one, which is done
            // with (caller).
            unsafe {
                block.cast::<u8>().copy_from_nonoverlapping(start, new.size());
                self.deallocate(start, old);
            }
            return Ok(block);
        }
        // SAFETY: as the caller promises.
        if let Some(last) = unsafe { self.last(start, old.size()) } {
            // SAFETY: within the old block.
            let end = unsafe { last.add(extent(new.size())) };
            poison_between(end, self.cursor.get());
            self.cursor.set(end);
        }
        Ok(block(start, new))
    }

    /// Where the frontier is.
    #[inline(always)]
    pub(crate) fn position(&self) -> Position {
        Position {
            chunk: self.chunks.current(),
            cursor: self.cursor.get(),
            number: self.chunks.numbers(),
            drops: self.drops.get(),
        }
    }

    /// Frees every block since `position`; keeps the memory.
    ///
    /// # Safety
    ///
    /// `position` is one of this space, which was not set back to an earlier one since; nobody uses
    /// a block that came after it any more.
    #[inline(always)]
    pub(crate) unsafe fn rewind(&self, position: Position) {
        if self.chunks.numbers() != position.number {
            // SAFETY: these blocks came after the position, and nobody uses them (caller).
            unsafe { self.chunks.retire_after(position.number) };
        }
        let [current, before] = [self.chunks.current(), position.chunk];
        if address(current.map(ChunkRef::place)) != address(before.map(ChunkRef::place)) {
            // SAFETY: as the caller promises.
            return unsafe { self.rewind_to_chunk(position) };
        }
        poison_between(position.cursor, self.cursor.get());
        self.cursor.set(position.cursor);
    }

    /// Drops the values of `owner` that came after `position`, and frees every block since then.
    ///
    /// # Safety
    ///
    /// As for [`rewind`](Self::rewind).
    #[inline(always)]
    pub(crate) unsafe fn end(&self, owner: Owner, position: Position) {
        if address(self.drops.get()) != address(position.drops) {
            // SAFETY: as the caller promises.
            return unsafe { self.end_with_drops(owner, position) };
        }
        // SAFETY: as the caller promises.
        unsafe { self.rewind(position) };
    }

    /// As [`end`](Self::end).
    ///
    /// # Safety
    ///
    /// As for [`rewind`](Self::rewind).
    #[cold]
    #[inline(never)]
    unsafe fn end_with_drops(&self, owner: Owner, position: Position) {
        /// Frees the blocks, whether or not a drop unwinds.
        struct Rewind<'a, S: Source>(&'a Space<S>, Position);

        impl<S: Source> Drop for Rewind<'_, S> {
            fn drop(&mut self) {
                // SAFETY: as the caller of `end_with_drops` promises.
                unsafe { self.0.rewind(self.1) };
            }
        }

        let _rewind = Rewind(self, position);
        // SAFETY: the list as it was at `position` is in blocks from before.
        unsafe { drop_list::run(self, owner, position.drops) };
    }

    /// As [`rewind`](Self::rewind), where the position is in another chunk than the current one.
    ///
    /// # Safety
    ///
    /// As for [`rewind`](Self::rewind).
    #[cold]
    #[inline(never)]
    unsafe fn rewind_to_chunk(&self, position: Position) {
        // SAFETY: the chunk was current at that position, and nobody uses what came after (caller).
        let chunk = unsafe { self.chunks.retreat(position.chunk, self.cursor.get()) };
        let Some(chunk) = chunk else { return };
        let cursor = if position.chunk.is_some() { position.cursor } else { chunk.start() };
        poison_between(cursor, chunk.left());
        self.cursor.set(cursor);
        self.limit.set(chunk.end());
    }

    /// Makes room for `bytes` bytes of blocks.
    pub(crate) fn make_room(&self, bytes: usize) -> Result<(), AllocError> {
        let layout = Layout::from_size_align(bytes, STEP).map_err(|_| AllocError)?;
        let start = self.allocate(layout)?.cast();
        // SAFETY: allocated just now, and not used.
        unsafe { self.deallocate(start, layout) };
        Ok(())
    }

    /// Releases what is not in use, until no more than `bytes` are held. The current chunk stays if a
    /// position `is_remembered`: that may be its start, though no block is there.
    ///
    /// # Safety
    ///
    /// Unless `is_remembered`, the space is not set back to any position but
    /// [`Position::START`] from before.
    pub(crate) unsafe fn shrink_to(&self, bytes: usize, is_remembered: bool) {
        let is_unused = match self.chunks.current() {
            Some(current) => current.start() == self.cursor.get(),
            None => true,
        };
        // SAFETY: no block is in the current chunk then, and no position (caller).
        unsafe { self.chunks.shrink_to(bytes, is_unused && !is_remembered) };
        if self.chunks.current().is_none() {
            self.cursor.set(NOWHERE);
            self.limit.set(NOWHERE);
        }
    }

    /// Checks its own invariants, and those of what it has.
    pub(crate) fn check_invariants(&self) -> Result<(), Broken> {
        self.chunks.check_invariants()?;
        let (cursor, limit) = self.bounds();
        let bounds = match self.chunks.current() {
            Some(chunk) => chunk.start().addr().get()..=chunk.end().addr().get(),
            None => NOWHERE.addr().get()..=NOWHERE.addr().get(),
        };
        if *bounds.end() != limit || !bounds.contains(&cursor) || !cursor.is_multiple_of(STEP) {
            let invariant = "cursor and limit are in the current chunk";
            return Err(Broken { invariant, address: cursor });
        }
        drop_list::check_invariants(self)
    }

    /// Is `start` in memory that is in use?
    pub(crate) fn has_block_at(&self, start: NonNull<u8>) -> bool {
        self.used().any(|(chunk, end)| (chunk.start()..end).contains(&start))
    }

    /// The chunks in use, with where the blocks in them end.
    pub(crate) fn used(&self) -> impl Iterator<Item = (ChunkRef, NonNull<u8>)> {
        self.chunks.used(self.cursor.get())
    }
}

/// Where a pointer points to: compared so, two that may be absent take one comparison.
#[inline(always)]
fn address<T>(pointer: Option<NonNull<T>>) -> usize {
    pointer.map_or(0, |pointer| pointer.addr().get())
}

/// Smaller blocks, in bytes, are not sought among those with a chunk of their own when they are freed or
/// grow. Few are there: where chunks are smaller than the first one, by a low cap or in a small
/// buffer. They go with their scope.
const LEAST_SOUGHT: usize = crate::growth::FIRST / 8;
