//! The store of pages: one for the whole process, from which all of `OsPages`' regions come.
//!
//! ```text
//! segment  │ frame │ frame │ frame │ …            64 MiB in frames of 64 KiB; where addresses have
//!          ╰─ region ──────╯                      32 bits, 4 MiB in frames of 16 KiB
//!
//! mapping  │ region                            │  longer ones, and those of one block that grows
//! ```
//!
//! Regions side by side in a segment are one mapping to the system, and neighbouring segments are,
//! too: where memory need not be committed before it is used, nothing splits them. So a hundred
//! thousand small heaps take a few mappings, of which Linux allows a process 65,530.
//!
//! The size of a region is a number of pages: what is left of its last frame is addresses that cost
//! nothing, where the region may grow. A frame that is released is purged at once: free frames hold no memory and read as zero. A
//! segment all of whose frames are free is unmapped, save for one, so that a program that goes back
//! and forth over the border of a segment does not map it each time.
//!
//! # Invariants
//!
//! 1. A region in a segment is a run of frames that its borrower owns; any other is a mapping.
//! 2. Free frames read as zero, and are committed only where no commit is needed.
//! 3. The table has each segment while one of its frames is lent.

use core::ops::Range;
use core::ptr::NonNull;

use allotrope_sync::facade::atomic::{AtomicU32, Ordering};
use allotrope_sync::facade::{array_of, const_fn};
use allotrope_sync::{Run, Segments};

use super::kept_for_ever::KeptForEver;
use super::table::Table;
use super::{Platform, whole_pages_of};
use crate::poison::{self, reserve_size};
use crate::source::{Contents, Movement, Region};

/// The size in bytes of a frame: a multiple of every page size that such machines have.
pub(super) const FRAME_SIZE: usize = if usize::BITS == 64 { 64 * 1024 } else { 16 * 1024 };

/// The words of a segment's occupancy.
const WORDS: usize = if usize::BITS == 64 { 16 } else { 8 };

/// The size in bytes of a segment; each starts at a multiple of it.
pub(super) const SEGMENT_SIZE: usize = WORDS * usize::BITS as usize * FRAME_SIZE;

/// The size in bytes of the longest region that is a run of frames. Longer ones may have large
/// pages, which would fill small regions with memory that nobody uses.
const MAX_RUN: usize = if usize::BITS == 64 { 4 * 1024 * 1024 } else { 1024 * 1024 };

/// As many segments as a word has bits.
const GROUP: usize = usize::BITS as usize;

/// How many groups of segments there may be: 4 TiB of address space, or all of it.
const GROUPS: usize = if usize::BITS == 64 { 1024 } else { 32 };

type Group = Segments<GROUP, WORDS>;

/// All segments of the process.
#[derive(Debug)]
pub(super) struct Store<N> {
    first: Group,
    more: [KeptForEver<Group, N>; GROUPS - 1],
    table: Table<N>,
    /// The id plus one of a segment that was empty when somebody last looked, or zero.
    empty: AtomicU32,
}

impl<N: Platform> Store<N> {
    const_fn! {
        /// No segment yet.
        pub(super) fn new() -> Self {
            Self {
                first: Group::new(),
                more: array_of!(KeptForEver::new()),
                table: Table::new(),
                empty: AtomicU32::new(0),
            }
        }
    }

    /// Lends a region of `wanted` bytes, or of fewer, down to `least`: half as many, and so on,
    /// until the system has them.
    pub(super) fn reserve(&self, least: usize, wanted: usize) -> Option<Region> {
        // Nobody who keeps the contract asks for 0, but this is safe to call: no region is empty.
        let least = whole_units::<N>(least.max(1))?;
        let wanted = match reserve_size(wanted) {
            long if long > MAX_RUN => long.min(N::spare_address_space().max(MAX_RUN)),
            short => short,
        };
        let mut size = whole_units::<N>(wanted).unwrap_or(least).max(least);
        loop {
            if let Some(region) = self.reserve_exactly(size) {
                return Some(region);
            }
            if size == least {
                return None;
            }
            size = whole_units::<N>(size / 2)?.max(least);
        }
    }

    /// Lends a region of `size` bytes for a single block: if it is long, with a mapping of its own,
    /// whose pages move when it grows.
    pub(super) fn reserve_block(&self, size: usize) -> Option<Region> {
        let size = whole_units::<N>(size.max(1))?;
        if size > FRAME_SIZE { map::<N>(size) } else { self.reserve_exactly(size) }
    }

    fn reserve_exactly(&self, size: usize) -> Option<Region> {
        if !N::LENDS_FRAMES || size > MAX_RUN {
            return map::<N>(size);
        }
        match self.claim(frames_in(size)) {
            Some(start) => Some(region(start, size, Contents::Zero)),
            // Where address space is short, a segment may be too much, and a region not.
            None => map::<N>(size),
        }
    }

    /// Makes the pages that `range` touches usable.
    ///
    /// # Safety
    ///
    /// As for [`Source::commit`](crate::Source::commit).
    pub(super) unsafe fn commit(&self, region: &Region, range: Range<usize>) -> bool {
        if !N::needs_commit() {
            return true;
        }
        // SAFETY: the region is on loan (caller), and the pages lie in it.
        unsafe {
            let (start, size) = whole_pages_of::<N>(region, range);
            size == 0 || N::commit(start, size)
        }
    }

    /// Makes a region longer.
    ///
    /// # Errors
    ///
    /// The region, unchanged, if that is refused.
    ///
    /// # Safety
    ///
    /// As for [`Source::grow_region`](crate::Source::grow_region), and all of the region is
    /// committed or none of it.
    pub(super) unsafe fn grow(
        &self,
        old: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        let Some(size) = whole_units::<N>(size).filter(|size| *size >= old.size()) else {
            return Err(old);
        };
        let grown = match self.table.find(old.start()) {
            Some(id) => self.grow_run(id, &old, size),
            // SAFETY: the region is a mapping (invariant 1), and the rest as the caller promises.
            None => unsafe { N::grow(old.start(), old.size(), size, movement) },
        };
        let Some(start) = grown else { return Err(old) };
        let bytes = NonNull::slice_from_raw_parts(start, size);
        Ok(Region::new(bytes, old.committed(), old.contents()))
    }

    /// Makes a region of frames longer, in place: into what is left of its last frame, and into
    /// free frames behind that.
    fn grow_run(&self, id: u32, old: &Region, size: usize) -> Option<NonNull<u8>> {
        // Where memory is committed step by step, the new part would have to be as the old one is.
        if N::needs_commit() {
            return None;
        }
        let start = old.start();
        let (had, has) = (frames_in(old.size()), frames_in(size));
        let (group, number) = self.place_of(id)?;
        if has > had && !group.claim_at(number, frame_of(start) + had, has - had) {
            return None;
        }
        // SAFETY: the frames of the new size are the region's, so they lie in the segment.
        poison::unpoison(unsafe { start.add(old.size()) }, size - old.size());
        Some(start)
    }

    /// Takes a region back.
    ///
    /// # Safety
    ///
    /// As for [`Source::release`](crate::Source::release).
    pub(super) unsafe fn release(&self, region: &Region) {
        let (start, size) = (region.start(), region.size());
        let Some(id) = self.table.find(start) else {
            // SAFETY: the region is a mapping (invariant 1) that nobody uses (caller).
            if !unsafe { N::release(start, size) } {
                // It would split a mapping, and there are too many: its memory goes all the same.
                // SAFETY: as above; it is committed, or commits are no matter.
                unsafe { N::purge(start, size) };
            }
            return;
        };
        // SAFETY: the frames are the region's, and nobody needs what is in them (caller).
        if !unsafe { N::purge(start, size) } {
            // Nobody knows what the frames read as: they stay in use.
            return;
        }
        poison::poison(start, size);
        let Some((group, number)) = self.place_of(id) else { return };
        // SAFETY: they are the region's (invariant 1), which nobody uses any more (caller).
        if unsafe { group.release(number, frame_of(start), frames_in(size)) } {
            self.note_empty(id);
        }
    }

    /// A segment seems to be empty: it stays, and the one that was before goes.
    fn note_empty(&self, id: u32) {
        // Relaxed: an id is all there is, and to take the segment away is tried, not known.
        let before = self.empty.swap(id + 1, Ordering::Relaxed);
        if let Some(before) = before.checked_sub(1)
            && before != id
            && let Some((group, number)) = self.place_of(before)
        {
            group.remove(number, |base| {
                self.table.remove(base);
                poison::unpoison(base, SEGMENT_SIZE);
                // SAFETY: the segment is a mapping of ours, all frames of which are ours.
                let is_gone = unsafe { N::release(base, SEGMENT_SIZE) };
                if !is_gone {
                    self.table.insert(base, before);
                }
                is_gone
            });
        }
    }

    /// Claims frames side by side, of a segment that there is or of a new one.
    fn claim(&self, frames: usize) -> Option<NonNull<u8>> {
        let run = self.groups().find_map(|group| group.claim(frames));
        let run = run.or_else(|| self.add_segment(frames))?;
        // SAFETY: the frame lies in the segment.
        let start = unsafe { run.base.add(run.frame * FRAME_SIZE) };
        poison::unpoison(start, frames * FRAME_SIZE);
        Some(start)
    }

    #[cold]
    fn add_segment(&self, frames: usize) -> Option<Run> {
        for number in 0..GROUPS {
            let group = self.group_or_new(number)?;
            let mut is_refused = false;
            let run = group.add(frames, |place| {
                let base = self.map_segment((number * GROUP + place) as u32);
                is_refused = base.is_none();
                base
            });
            if run.is_some() || is_refused {
                return run;
            }
        }
        None
    }

    fn map_segment(&self, id: u32) -> Option<NonNull<u8>> {
        let base = N::reserve_aligned(SEGMENT_SIZE)?;
        if !self.table.insert(base, id) {
            // SAFETY: the segment was just mapped, and nobody knows of it.
            unsafe { N::release(base, SEGMENT_SIZE) };
            return None;
        }
        Some(base)
    }

    /// The groups that there are.
    fn groups(&self) -> impl Iterator<Item = &Group> {
        let more = self.more.iter().map_while(KeptForEver::get);
        core::iter::once(&self.first).chain(more)
    }

    fn group_or_new(&self, number: usize) -> Option<&Group> {
        match number.checked_sub(1) {
            None => Some(&self.first),
            Some(number) => self.more[number].get_or_make(Group::new),
        }
    }

    /// The group that a segment is in, and its number there.
    fn place_of(&self, id: u32) -> Option<(&Group, usize)> {
        let (group, number) = (id as usize / GROUP, id as usize % GROUP);
        let group = match group.checked_sub(1) {
            None => &self.first,
            Some(group) => self.more.get(group)?.get()?,
        };
        Some((group, number))
    }

    /// How many segments there are.
    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.groups().map(Segments::made).sum()
    }
}

/// A mapping of its own.
fn map<N: Platform>(size: usize) -> Option<Region> {
    let (start, contents) = N::reserve(size)?;
    Some(region(start, size, contents))
}

fn region(start: NonNull<u8>, size: usize, contents: Contents) -> Region {
    Region::new(NonNull::slice_from_raw_parts(start, size), 0, contents)
}

/// How many frames a region of `size` bytes takes.
const fn frames_in(size: usize) -> usize {
    size.div_ceil(FRAME_SIZE)
}

/// Which frame of its segment an address lies in.
fn frame_of(address: NonNull<u8>) -> usize {
    address.addr().get() % SEGMENT_SIZE / FRAME_SIZE
}

/// `size` rounded up to what a region is made of: what is left of the last unit nobody else could
/// have.
fn whole_units<N: Platform>(size: usize) -> Option<usize> {
    let unit = N::page_size().max(N::REGION_ALIGN);
    size.checked_next_multiple_of(unit).filter(|size| *size <= isize::MAX as usize)
}

#[cfg(all(test, not(loom)))]
mod tests;
