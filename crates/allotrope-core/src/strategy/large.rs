//! Large blocks: each has a region of its own, straight from the source.
//!
//! ```text
//! region  │ lost to alignment │ block: a whole number of 4 KiB │ tail: not used, perhaps not there │
//!                             ▲
//! side table:  address ───────┘  ──▶ record { region, extent, … }
//! ```
//!
//! The block itself holds nothing of ours, so what is known of its region lies in a lock-free side
//! table, and all calls take `&self`: strategies of one owner and of many threads use the same.
//!
//! # Invariants
//!
//! 1. Every block in use has one record, under its address; the record's region is on loan.
//! 2. A block's bytes are committed, aligned as its layout asks, and lie in its region.
//! 3. What lies in a region behind its block reads as `tail` says.
//! 4. An address is in the table only while its block's region is on loan: it is taken out before
//!    the region is released or may move, since somebody else may have the address from then on.
//! 5. `bytes_used` and `bytes_held` are the sums over all records, save for calls under way.
//!
//! # Orderings
//!
//! The sums are `Relaxed`: each is a number by itself. All else is the [`SideTable`]'s.

use core::alloc::Layout;
use core::iter;
use core::ptr::NonNull;

use allotrope_sync::SideTable;
use allotrope_sync::facade::atomic::{AtomicUsize, Ordering};
use allotrope_sync::facade::const_fn;
use allotrope_sync::fatal::promised;

use super::{Broken, carry_over};
use crate::AllocError;
use crate::source::provenance::{exposed, ours};
use crate::source::{Contents, Movement, Region, Source, release_clean};

/// The blocks that are too large for a strategy to cut.
///
/// It does not own its source, and so cannot give back anything when it is dropped: its owner
/// calls [`release_all`](Self::release_all) and [`trim`](Self::trim).
#[derive(Debug)]
pub struct Large {
    records: SideTable<Record>,
    bytes_used: AtomicUsize,
    bytes_held: AtomicUsize,
}

/// What is known of a block.
#[derive(Debug)]
struct Record {
    region: Region,
    /// The size of the block, in bytes.
    extent: usize,
    /// How many bytes of the region count as held.
    held: usize,
    /// What lies behind the block.
    tail: Contents,
}

/// Large blocks are multiples of this size: of pages, on most machines.
const UNIT: usize = 4096;

/// Every large block is aligned to this, so that none starts at address 1: the side table knows no
/// such address.
const LEAST_ALIGN: usize = 2;

/// From this size on a block that grows asks for large pages: then those that are only begun cost
/// little, and what is saved are hundreds of faults for each.
const HUGE: usize = 4 * 1024 * 1024;

impl Large {
    const_fn! {
        /// No blocks yet.
        pub fn new() -> Self {
            Self {
                records: SideTable::new(),
                bytes_used: AtomicUsize::new(0),
                bytes_held: AtomicUsize::new(0),
            }
        }
    }

    /// How many bytes a block for `layout`, whose size is not 0, takes; `None` if no region could
    /// hold it.
    pub const fn extent(layout: Layout) -> Option<usize> {
        let Some(extent) = layout.size().checked_next_multiple_of(UNIT) else { return None };
        match extent.checked_add(layout.align() - 1) {
            Some(size) if size <= isize::MAX as usize => Some(extent),
            _ => None,
        }
    }

    /// Allocates a block in a region of its own.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when the source lends no such region, or none for the table.
    ///
    /// # Safety
    ///
    /// All methods of this value are called with the same `source`, which lends the memory of the
    /// table, too.
    pub unsafe fn allocate<S: Source>(
        &self,
        source: &S,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.place(source, layout) }.map(|(block, _)| block)
    }

    /// Like [`allocate`](Self::allocate), and all bytes are zero.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Self::allocate).
    pub unsafe fn allocate_zeroed<S: Source>(
        &self,
        source: &S,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let (block, contents) = unsafe { self.place(source, layout) }?;
        if contents != Contents::Zero {
            // SAFETY: the block is new, and valid for writes of its whole length.
            unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        }
        Ok(block)
    }

    /// A new block, and what it reads as.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Self::allocate).
    unsafe fn place<S: Source>(
        &self,
        source: &S,
        layout: Layout,
    ) -> Result<(NonNull<[u8]>, Contents), AllocError> {
        let extent = Self::extent(layout).ok_or(AllocError)?;
        let align = layout.align().max(LEAST_ALIGN);
        let padding = if align <= S::REGION_ALIGN { 0 } else { align - 1 };
        let region = exposed(source.reserve_block(extent + padding)?);
        let offset = region.start().addr().get().wrapping_neg() & (align - 1);
        // SAFETY: the offset is at most the padding, so the block lies in the region, which is on
        // loan.
        let committed = unsafe { source.commit(&region, offset..offset + extent) };
        // SAFETY: as above.
        let start = unsafe { region.start().add(offset) };
        let tail = region.contents();
        // What lies before the block may never be committed.
        let before = offset.min(region.committed());
        let held = region.committed().max(before + extent);
        let record = Record { region, extent, held, tail };
        let refused = match committed {
            // SAFETY: as the caller promises.
            Ok(()) => unsafe { self.remember(source, start, record) }.err(),
            Err(AllocError) => Some(record),
        };
        if let Some(record) = refused {
            // SAFETY: the region is on loan, and nobody has the block.
            unsafe { release_clean(source, record.region) };
            return Err(AllocError);
        }
        self.bytes_used.fetch_add(extent, Ordering::Relaxed);
        self.bytes_held.fetch_add(held, Ordering::Relaxed);
        Ok((NonNull::slice_from_raw_parts(start, extent), tail))
    }

    /// Frees a block, and gives its region back.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](super::Strategy::deallocate), with a block of this value,
    /// and `source` is always the same.
    pub unsafe fn deallocate<S: Source>(&self, source: &S, start: NonNull<u8>, layout: Layout) {
        let Some((record, entry)) = self.records.take(start.addr().get()) else {
            promised!(
                false,
                "a block that is not from here, or is freed twice",
                start.addr().get()
            );
            return;
        };
        let fits = Self::extent(layout) == Some(record.extent);
        promised!(fits, "a layout that does not fit", start.addr().get());
        entry.vacate();
        self.bytes_used.fetch_sub(record.extent, Ordering::Relaxed);
        self.bytes_held.fetch_sub(record.held, Ordering::Relaxed);
        // SAFETY: the block was the only one in the region, and nobody needs it (caller).
        unsafe { release_clean(source, record.region) };
    }

    /// Makes a block that `old` fits into one for `new`: in place where the region has room or can
    /// be made longer, elsewhere by its source if that moves whole pages, or by copying.
    ///
    /// Returns the block, and how many bytes from its start on are not known to be zero.
    ///
    /// # Errors
    ///
    /// As for [`Strategy::grow`](super::Strategy::grow).
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`](super::Strategy::grow) and [`deallocate`](Self::deallocate);
    /// neither size is 0.
    pub unsafe fn grow<S: Source>(
        &self,
        source: &S,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        let extent = Self::extent(new).ok_or(AllocError)?;
        if start.addr().get().is_multiple_of(new.align()) {
            let Some((record, entry)) = self.records.take(start.addr().get()) else {
                promised!(false, "a block that is not from here", start.addr().get());
                return Err(AllocError);
            };
            let (before, held) = (record.extent, record.held);
            let offset = start.addr().get() - record.region.start().addr().get();
            // SAFETY: the record is that of the block, which the caller gives up for the new one.
            let grown = unsafe { record.grow(source, offset, extent, new.align()) };
            let (is_grown, record) = match grown {
                Ok(record) => (true, record),
                Err(record) => (false, record),
            };
            // SAFETY: the block lies as far behind the region's start as before.
            let start = unsafe { record.region.start().add(offset) };
            let (is_zero, now) = (record.tail == Contents::Zero, record.held);
            if is_grown && before < HUGE && extent >= HUGE {
                // It will grow further; what it has now stays when the system extends it.
                // SAFETY: the block lies in the region.
                unsafe { source.expect_use(&record.region, offset..offset + extent) };
            }
            entry.put_back(start.addr().get(), record);
            if is_grown {
                self.bytes_used.fetch_add(extent - before, Ordering::Relaxed);
                self.bytes_held.fetch_add(now - held, Ordering::Relaxed);
                let block = NonNull::slice_from_raw_parts(start, extent);
                return Ok((block, if is_zero { before } else { extent }));
            }
        }
        // SAFETY: as the caller promises; the old block is no longer than the new one.
        let (block, contents) = unsafe { self.relocate(source, start, old, new, old.size()) }?;
        Ok((block, if contents == Contents::Zero { old.size() } else { extent }))
    }

    /// Makes a block that `old` fits into one for `new`: in place where the source takes the rest
    /// back; else in a smaller region, or, if there is none, in place with the rest unused until
    /// the block is freed or grows again.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when `new` asks for a stricter alignment than the block happens to have, and
    /// there is no region for it; nothing has changed then.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::shrink`](super::Strategy::shrink) and [`deallocate`](Self::deallocate);
    /// neither size is 0.
    pub unsafe fn shrink<S: Source>(
        &self,
        source: &S,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (Some(before), Some(extent)) = (Self::extent(old), Self::extent(new)) else {
            return Err(AllocError);
        };
        let in_place = NonNull::slice_from_raw_parts(ours(start), extent);
        if !start.addr().get().is_multiple_of(new.align()) {
            // SAFETY: as the caller promises; the new block is the smaller one.
            return unsafe { self.relocate(source, start, old, new, new.size()) }
                .map(|(block, _)| block);
        }
        if extent == before {
            return Ok(in_place);
        }
        let Some((mut record, entry)) = self.records.take(start.addr().get()) else {
            promised!(false, "a block that is not from here", start.addr().get());
            return Err(AllocError);
        };
        let offset = start.addr().get() - record.region.start().addr().get();
        let rest = offset + extent..offset + before;
        // SAFETY: the region is on loan, and nobody needs the rest of the block (caller).
        let contents = unsafe { source.decommit(&record.region, rest) };
        let given_back = if contents == Contents::Zero { before - extent } else { 0 };
        if contents != Contents::Zero {
            record.tail = Contents::Unknown;
        }
        record.extent = extent;
        record.held -= given_back;
        entry.put_back(start.addr().get(), record);
        self.bytes_used.fetch_sub(before - extent, Ordering::Relaxed);
        self.bytes_held.fetch_sub(given_back, Ordering::Relaxed);
        if given_back == 0
            // A smaller region, which lets the source have this one back.
            // SAFETY: as above; the old block has shrunk to the new one's extent.
            && let Ok((block, _)) = unsafe { self.relocate(source, start, new, new, new.size()) }
        {
            return Ok(block);
        }
        Ok(in_place)
    }

    /// Allocates a block for `new`, copies `kept` bytes into it, and frees the old one. Returns what
    /// the rest of the block reads as, too.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no block for `new`; nothing has changed then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) with `old`, unless an error is returned; and `kept`
    /// is at most either size.
    unsafe fn relocate<S: Source>(
        &self,
        source: &S,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        kept: usize,
    ) -> Result<(NonNull<[u8]>, Contents), AllocError> {
        // SAFETY: as the caller promises.
        let (block, contents) = unsafe { self.place(source, new) }?;
        // SAFETY: both blocks are in use, so they do not overlap, and have `kept` bytes (caller).
        unsafe { carry_over(start, block, kept) };
        // SAFETY: as the caller promises.
        unsafe { self.deallocate(source, start, old) };
        Ok((block, contents))
    }

    /// Puts a record into the table, with more memory for the table if there is no room.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Self::allocate).
    unsafe fn remember<S: Source>(
        &self,
        source: &S,
        start: NonNull<u8>,
        record: Record,
    ) -> Result<(), Record> {
        let mut record = record;
        loop {
            record = match self.records.insert(start.addr().get(), record) {
                Ok(()) => return Ok(()),
                Err(record) => record,
            };
            // SAFETY: as the caller promises.
            if unsafe { self.add_level(source) }.is_err() {
                return Err(record);
            }
        }
    }

    /// Gets more memory for the table.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Self::allocate).
    #[cold]
    unsafe fn add_level<S: Source>(&self, source: &S) -> Result<(), AllocError> {
        const LEAST: usize = SideTable::<Record>::least_level_size();
        let size = self.records.next_level_size();
        let region = source.reserve(LEAST, size)?;
        let size = size.min(region.size());
        // SAFETY: the region is on loan, and has so many bytes.
        if unsafe { source.commit(&region, 0..size) }.is_err() {
            // SAFETY: as above, and nobody uses it.
            unsafe { release_clean(source, region) };
            return Err(AllocError);
        }
        let memory = NonNull::slice_from_raw_parts(region.start(), size);
        let held = region.committed().max(size);
        let origin = Record { region, extent: 0, held, tail: Contents::Unknown };
        // SAFETY: the memory is the table's alone until `trim` takes the level away, and gives it back
        // to the same source (caller).
        let added = unsafe { self.records.add_level(memory, origin) };
        promised!(
            added.is_ok(),
            "a region that is shorter than was asked for",
            memory.addr().get()
        );
        self.bytes_held.fetch_add(held, Ordering::Relaxed);
        added.map_err(|_| AllocError)
    }

    /// Gives back every block, and `note`s it by its address and extent. The table is kept for those
    /// that come.
    ///
    /// # Safety
    ///
    /// Nobody accesses a block afterwards, and `source` is always the same.
    pub unsafe fn release_all<S: Source>(
        &mut self,
        source: &S,
        mut note: impl FnMut(usize, usize),
    ) {
        let (mut used, mut held) = (0, 0);
        self.records.drain(|address, record| {
            note(address, record.extent);
            used += record.extent;
            held += record.held;
            // SAFETY: the region is on loan, and nobody needs its block (caller).
            unsafe { release_clean(source, record.region) };
        });
        self.bytes_used.fetch_sub(used, Ordering::Relaxed);
        self.bytes_held.fetch_sub(held, Ordering::Relaxed);
    }

    /// Gives back the memory of the table that holds nothing.
    ///
    /// # Safety
    ///
    /// `source` is always the same.
    pub unsafe fn trim<S: Source>(&mut self, source: &S) {
        for origin in iter::from_fn(|| self.records.take_empty_level()) {
            self.bytes_held.fetch_sub(origin.held, Ordering::Relaxed);
            // SAFETY: the region is on loan, and the table does not use it any more.
            unsafe { release_clean(source, origin.region) };
        }
    }

    /// Visits all blocks, each by its address and extent.
    ///
    /// # Safety
    ///
    /// No other thread uses this meanwhile.
    pub unsafe fn for_each_block(&self, mut visit: impl FnMut(usize, usize)) {
        // SAFETY: as the caller promises.
        unsafe {
            self.records.for_each(&mut |address, record: &Record| visit(address, record.extent))
        };
    }

    /// How many bytes are in blocks.
    pub fn bytes_used(&self) -> usize {
        self.bytes_used.load(Ordering::Relaxed)
    }

    /// How many bytes of the source's memory are held, the table included.
    pub fn bytes_held(&self) -> usize {
        self.bytes_held.load(Ordering::Relaxed)
    }

    /// Checks the invariants. O(room of the table).
    ///
    /// # Errors
    ///
    /// The first invariant found broken.
    ///
    /// # Safety
    ///
    /// No other thread uses this meanwhile.
    pub unsafe fn check_invariants(&self) -> Result<(), Broken> {
        let (mut used, mut held, mut result) = (0, 0, Ok(()));
        let mut check = |address: usize, record: &Record| {
            used += record.extent;
            held += record.held;
            let start = record.region.start().addr().get();
            let room = record.region.size().checked_sub(address.wrapping_sub(start));
            if result.is_ok() && room.is_none_or(|room| room < record.extent) {
                result = Err(Broken { invariant: "a large block lies in its region", address });
            }
        };
        // SAFETY: as the caller promises.
        unsafe { self.records.for_each(&mut check) };
        let broken = |invariant| Err(Broken { invariant, address: 0 });
        if used != self.bytes_used() {
            return broken("the bytes used are those of all large blocks");
        }
        if held > self.bytes_held() {
            return broken("the bytes held are at least those of all large blocks");
        }
        result
    }
}

impl Record {
    /// The record with a block of `extent` bytes, the same one as far as it goes, in a region that
    /// is longer and, where that keeps the alignment, perhaps elsewhere; or itself, unchanged.
    ///
    /// # Safety
    ///
    /// The region is on loan from `source`; the block lies `offset` behind its start and, if `Ok`
    /// is returned, is not accessed at its old place.
    unsafe fn grow<S: Source>(
        mut self,
        source: &S,
        offset: usize,
        extent: usize,
        align: usize,
    ) -> Result<Self, Self> {
        let (block_end, end) = (offset + self.extent, offset + extent);
        let is_too_short = end > self.region.size();
        let usable = block_end..end.min(self.region.size());
        let mut held = if offset <= self.region.committed() {
            end
        } else {
            // What lies before the block is perhaps not committed, and does not count then.
            (self.held + usable.len()).min(end)
        };
        // All of a region is committed before it grows, so that all is afterwards.
        let needed = if is_too_short { 0..self.region.size() } else { usable };
        // SAFETY: the range lies in the region (`end` is no less than the block's end).
        if !needed.is_empty() && unsafe { source.commit(&self.region, needed) }.is_err() {
            return Err(self);
        }
        if is_too_short {
            let keeps_alignment = align.max(LEAST_ALIGN) <= S::REGION_ALIGN;
            let movement = if keeps_alignment { Movement::Allowed } else { Movement::Never };
            // SAFETY: as above, and the block's old place is given up (caller).
            self.region = match unsafe { source.grow_region(self.region, end, movement) } {
                Ok(region) => exposed(region),
                Err(region) => {
                    let mut unchanged = Self { region, ..self };
                    // SAFETY: as above; all of the region is committed.
                    unsafe { unchanged.decommit_around(source, offset) };
                    return Err(unchanged);
                }
            };
            held = end;
        }
        if self.region.contents() != Contents::Zero {
            self.tail = Contents::Unknown;
        }
        self.extent = extent;
        self.held = self.held.max(self.region.committed()).max(held);
        Ok(self)
    }

    /// Gives back what is behind the bytes before and behind the block, which do not count as held.
    ///
    /// # Safety
    ///
    /// The region is on loan from `source`, and committed; the block lies `offset` behind its start.
    unsafe fn decommit_around<S: Source>(&mut self, source: &S, offset: usize) {
        let behind = offset + self.extent..self.region.size();
        if offset > 0 {
            // SAFETY: as the caller promises; nobody needs what lies before the block.
            let _ = unsafe { source.decommit(&self.region, 0..offset) };
        }
        // SAFETY: as above; nor what lies behind it.
        if !behind.is_empty() && unsafe { source.decommit(&self.region, behind) } != Contents::Zero
        {
            self.tail = Contents::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::layout::cover::sizes_and_alignments;
    use crate::{Buffer, OsPages, Upstream};
    use allocator_api2::alloc::{Allocator, Global};
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::mem::MaybeUninit;
    use std::vec::Vec;

    #[test]
    fn extents_are_monotone_and_their_own_extents() {
        let mut last = (0, 0, None);
        sizes_and_alignments(|size, align| {
            let Ok(layout) = Layout::from_size_align(size, align) else { return };
            let extent = Large::extent(layout);
            if let Some(extent) = extent {
                assert!(extent >= size && extent - size < UNIT, "{layout:?}");
                let own = Layout::from_size_align(extent, align).map(Large::extent);
                assert_eq!(own, Ok(Some(extent)), "{layout:?}");
            }
            if last.0 == align && last.1 <= size {
                let none_is_most = |extent: Option<usize>| extent.unwrap_or(usize::MAX);
                assert!(none_is_most(last.2) <= none_is_most(extent), "{layout:?}");
            }
            last = (align, size, extent);
        });
    }

    /// `Global`, that fails when it has no patience left, and counts what is out.
    #[derive(Default)]
    struct Counting {
        out: Cell<usize>,
        patience: Cell<Option<usize>>,
    }

    // SAFETY: the blocks are `Global`'s.
    unsafe impl Allocator for Counting {
        fn allocate(
            &self,
            layout: Layout,
        ) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
            if let Some(left) = self.patience.get() {
                self.patience.set(Some(left.checked_sub(1).ok_or(AllocError)?));
            }
            self.out.set(self.out.get() + 1);
            Global.allocate(layout)
        }

        unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            self.out.set(self.out.get() - 1);
            // SAFETY: `allocate` got the block there.
            unsafe { Global.deallocate(start, layout) };
        }
    }

    /// xorshift (Marsaglia 2003).
    fn random(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as usize
    }

    fn random_layout(state: &mut u64) -> Layout {
        let align = 1 << [0, 3, 4, 5, 12, 12, 14, 16][random(state) % 8];
        let most = [5000, 20_000, 300_000][random(state) % 3];
        Layout::from_size_align(1 + random(state) % most, align).unwrap()
    }

    /// Writes or checks the marks in the first, the last and a middle byte.
    fn marks(block: NonNull<u8>, size: usize, mark: u8, write: bool) {
        for place in [0, size / 2, size - 1] {
            // SAFETY: the block is in use, and of at least this size.
            unsafe {
                let byte = block.add(place);
                if write { byte.write(mark) } else { assert_eq!(byte.read(), mark, "{place}") }
            }
        }
    }

    fn are_zero(block: NonNull<[u8]>, from: usize) -> bool {
        // SAFETY: the block is in use; who asks promises that it is initialized from there.
        (from..block.len()).all(|place| unsafe { block.cast::<u8>().add(place).read() } == 0)
    }

    /// Random calls over a source, against a shadow of all blocks.
    fn churn<S: Source>(source: &S, seed: u64, steps: usize, fail: impl Fn(Option<usize>)) {
        let (mut large, mut state) = (Large::new(), seed);
        let mut shadow: BTreeMap<usize, (NonNull<u8>, Layout, u8)> = BTreeMap::new();
        for step in 0..steps {
            fail(random(&mut state).is_multiple_of(4).then(|| random(&mut state) % 3));
            let (key, layout) = (random(&mut state) % 24, random_layout(&mut state));
            let mark = 1 + (step % 255) as u8;
            // SAFETY: blocks are in use while they are in the shadow, with the layouts there; it is
            // always this source.
            let block = unsafe {
                match (shadow.remove(&key), random(&mut state) % 3) {
                    (None, 0) => large.allocate_zeroed(source, layout).inspect(|&block| {
                        assert!(are_zero(block, 0), "seed {seed}, step {step}");
                    }),
                    (None, _) => large.allocate(source, layout),
                    (Some((start, old, mark)), 0) => {
                        marks(start, old.size(), mark, false);
                        large.deallocate(source, start, old);
                        continue;
                    }
                    (Some(before @ (start, old, mark)), _) => {
                        let resized = if layout.size() >= old.size() {
                            large.grow(source, start, old, layout).map(|(block, known)| {
                                assert!(are_zero(block, known), "seed {seed}, step {step}");
                                block
                            })
                        } else {
                            large.shrink(source, start, old, layout)
                        };
                        let kept = if resized.is_ok() { layout.size() } else { old.size() };
                        if let Ok(block) = resized {
                            // SAFETY: as above.
                            assert_eq!(block.cast::<u8>().read(), mark, "seed {seed}, step {step}");
                        } else {
                            marks(start, kept, mark, false);
                            shadow.insert(key, before);
                        }
                        resized
                    }
                }
            };
            if let Ok(block) = block {
                assert_eq!(block.addr().get() % layout.align(), 0, "seed {seed}, step {step}");
                assert_eq!(Some(block.len()), Large::extent(layout), "seed {seed}, step {step}");
                // All of it, so that nothing is zero by luck.
                // SAFETY: the block is new, or has grown.
                unsafe { block.cast::<u8>().write_bytes(mark, block.len()) };
                shadow.insert(key, (block.cast(), layout, mark));
            }
            let used = shadow.values().filter_map(|block| Large::extent(block.1)).sum::<usize>();
            assert_eq!(large.bytes_used(), used, "seed {seed}, step {step}");
            assert!(large.bytes_held() >= used, "seed {seed}, step {step}");
            // SAFETY: no other thread.
            assert_eq!(unsafe { large.check_invariants() }, Ok(()), "seed {seed}, step {step}");
        }
        fail(None);
        // SAFETY: the blocks are not used any more; the source is the same.
        unsafe {
            large.release_all(source, |_, _| ());
            large.trim(source);
        }
        assert_eq!((large.bytes_used(), large.bytes_held()), (0, 0), "seed {seed}");
    }

    #[test]
    fn blocks_keep_their_contents_over_any_source() {
        let steps = if cfg!(miri) { 60 } else { 1500 };
        for seed in 1..=4 {
            churn(&OsPages::new(), seed, steps, |_| ());
            let counting = Counting::default();
            churn(&Upstream::new(&counting), seed, steps, |patience| {
                counting.patience.set(patience)
            });
            assert_eq!(counting.out.get(), 0, "seed {seed}");
        }
    }

    #[test]
    fn shrinking_in_place_gives_the_rest_back() {
        let (source, mut large) = (OsPages::new(), Large::new());
        let layout = |size| Layout::from_size_align(size, 64).unwrap();
        // SAFETY: it is always this source.
        let block = unsafe { large.allocate(&source, layout(1 << 20)) };
        let start = block.unwrap().cast::<u8>();
        let held = large.bytes_held();
        // SAFETY: the block is in use with these layouts, and all of it is written.
        unsafe {
            start.write_bytes(7, 1 << 20);
            let shrunk = large.shrink(&source, start, layout(1 << 20), layout(5000)).unwrap();
            assert_eq!((shrunk.cast(), shrunk.len()), (start, 8192));
            assert_eq!(held - large.bytes_held(), (1 << 20) - 8192);
            let (grown, known) = large.grow(&source, start, layout(5000), layout(1 << 19)).unwrap();
            assert_eq!((grown.cast(), known), (start, 8192));
            assert!(are_zero(grown, known));
            large.deallocate(&source, start, layout(1 << 19));
            large.trim(&source);
        }
        assert_eq!(large.bytes_held(), 0);
    }

    #[test]
    fn what_is_lost_to_alignment_is_held_where_it_is_committed() {
        let (source, mut large) = (OsPages::new(), Large::new());
        let layout = |size| Layout::from_size_align(size, 1 << 26).unwrap();
        // First the largest, so that the region has room for all of them.
        let sizes = [3 << 20, 4096, 1 << 20, 8192, 1 << 21, 1 << 21, 5000, 3 << 20];
        // SAFETY: it is always this source.
        let block = unsafe { large.allocate(&source, layout(sizes[0])) };
        let start = block.unwrap().cast::<u8>();
        let table = large.bytes_held() - sizes[0];
        assert!(table < 1 << 16, "{table}");
        for (old, new) in sizes.into_iter().zip(sizes.into_iter().skip(1)) {
            // SAFETY: the block is in use, with the former layout.
            let block = unsafe {
                if old <= new {
                    large.grow(&source, start, layout(old), layout(new)).unwrap().0
                } else {
                    large.shrink(&source, start, layout(old), layout(new)).unwrap()
                }
            };
            assert_eq!(block.cast(), start, "{old} to {new}");
            assert_eq!(large.bytes_held(), table + block.len(), "{old} to {new}");
        }
        // SAFETY: as above; always this source.
        unsafe {
            large.deallocate(&source, start, layout(sizes[0]));
            large.trim(&source);
        }
        assert_eq!(large.bytes_held(), 0);
    }

    #[test]
    fn many_blocks_grow_the_table_by_doubling() {
        let (source, mut large) = (Upstream::new(Global), Large::new());
        let layout = Layout::from_size_align(4096, 8).unwrap();
        let blocks: Vec<_> =
            // SAFETY: it is always this source.
            (0..1000).map(|_| unsafe { large.allocate(&source, layout) }.unwrap().cast::<u8>()).collect();
        assert!(large.bytes_held() < 1000 * 4096 * 5 / 4);
        for block in blocks {
            // SAFETY: allocated above.
            unsafe { large.deallocate(&source, block, layout) };
        }
        // SAFETY: always this source.
        unsafe { large.trim(&source) };
        assert_eq!(large.bytes_held(), 0);
    }

    #[test]
    fn a_buffer_has_no_room_for_a_block_and_the_table() {
        let mut bytes = std::vec![MaybeUninit::uninit(); 1 << 16];
        let (source, large) = (Buffer::new(&mut bytes), Large::new());
        let layout = Layout::new::<[u8; 9000]>();
        for _ in 0..2 {
            // SAFETY: it is always this source.
            assert_eq!(unsafe { large.allocate(&source, layout) }, Err(AllocError));
        }
        assert_eq!(large.bytes_held(), 0);
        let region = source.reserve(1, 1).unwrap();
        // SAFETY: lent just above: both calls gave it back.
        unsafe { source.release(region) };
    }
}
