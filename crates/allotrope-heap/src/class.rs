//! Classes: the free blocks of one size that are handed out next, and the slabs behind them.
//!
//! ```text
//! allocate ◀─ pop ── free list ◀─ push ─ free
//!                     │    ▲
//!      flush: the     │    │  refill: all free blocks of one slab at once,
//!      oldest blocks  ▼    │          or some that were never handed out
//!                    slabs of the class ◀──▶ pages of the heap
//! ```
//!
//! The fast path is a pop or a push, and a count of frees. After every so many frees, a sixteenth of
//! the class's blocks, the list is looked at: were hardly any of those asked for again, it is
//! *falling*. When the lists of the heap were found to fall many times, and hardly any was
//! found empty meanwhile, all of them go back to the slabs, and are *drained* from then on until one is
//! found empty (`engine.rs`); one that is very long goes back alone. Then it is known which slabs are
//! empty, and their pages serve whatever comes.
//!
//! # Invariants
//!
//! 1. Every block of the class's slabs is in use, in the free list, or available in its slab.
//! 2. `total` is how many blocks the slabs have, `available` how many of them are in the slabs.
//! 3. `slabs` links those slabs that have any available, and no others. All are of this class, and
//!    of the store that each method is called with.

use core::ptr::NonNull;

use allotrope_core::parts::{SizeClass, ours};
use allotrope_core::{AllocError, Hook, Policy, Source, poison};
use allotrope_sync::fatal::promised;

use crate::route::PAGE;
use crate::slab::{FreeBlock, Slab, list, unlist};
use crate::store::Store;

/// The free blocks of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) free: Option<NonNull<FreeBlock>>,
    pub(crate) slabs: Option<NonNull<Slab>>,
    /// How many blocks were freed, and hardly any asked for again, since the list was empty.
    fallen: u32,
    /// After how many frees more the list is looked at.
    countdown: u16,
    /// From how many on it was looked at last.
    patience: u16,
    pub(crate) total: u32,
    pub(crate) available: u32,
}

/// What a look at a list finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// As much is allocated as is freed, or the list was empty meanwhile. So many falls before do not
    /// count any more.
    Anew(u16),
    /// Nearly all was freed, once more.
    Falling,
}

/// After how many frees a list is looked at, at least and at most.
const LEAST_PATIENCE: u32 = 64;
const MOST_PATIENCE: u32 = 16 * 1024;

/// How many bytes of blocks may wait in a list that falls.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// How many blocks of each class are linked at once that were never handed out, at most: they share a
/// page. A heap that has just begun with a class may never need as many.
const AT_ONCE: [u16; SizeClass::COUNT] = linked_at_once(PAGE);
const AT_FIRST: [u16; SizeClass::COUNT] = linked_at_once(512);

/// As many as lie in so many bytes, but eight of a page if they are larger. Eights are linked quickly.
const fn linked_at_once(bytes: usize) -> [u16; SizeClass::COUNT] {
    let mut counts = [1; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        let size = SizeClass::at(index).block_size();
        counts[index] = match (bytes / size / 8 * 8, PAGE / size) {
            (eights @ 8.., _) => eights as u16,
            (_, 0) => 1,
            (_, in_page) if in_page < 8 => in_page as u16,
            _ => 8,
        };
        index += 1;
    }
    counts
}

// A power of two, so that a class is found by a shift.
const _: () = assert!(size_of::<Class>() == if usize::BITS == 64 { 32 } else { 24 });

impl Class {
    /// A class without blocks. All of it is zero, which is quickly made.
    pub(crate) const fn new() -> Self {
        let (free, slabs) = (None, None);
        Self { free, slabs, fallen: 0, countdown: 0, patience: 0, total: 0, available: 0 }
    }

    /// Takes a block out of the list.
    #[inline(always)]
    pub(crate) fn pop(&mut self, class: SizeClass) -> Option<NonNull<u8>> {
        let block = self.free?;
        // SAFETY: blocks in the list are ours, and start with a link.
        self.free = unsafe { block.read() }.next;
        poison::unpoison(block.cast(), class.block_size());
        Some(block.cast())
    }

    /// Puts a block into the list; true if it is time to look at the list.
    ///
    /// # Safety
    ///
    /// The block is of a slab of this class, was handed out, and nobody needs it.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, block: NonNull<u8>, class: SizeClass) -> bool {
        let block = ours(block);
        let free = block.cast::<FreeBlock>();
        let is_aligned = free.addr().get().is_multiple_of(class.block_align());
        promised!(is_aligned, "a block that is not from here", block.addr().get());
        promised!(self.free != Some(free), "a block is freed twice", block.addr().get());
        // SAFETY: the block is ours again (caller), and aligned and long enough for a link.
        unsafe { free.write(FreeBlock { next: self.free }) };
        self.free = Some(free);
        // SAFETY: the link lies in the block, so its end does.
        let rest = unsafe { block.add(size_of::<FreeBlock>()) };
        poison::poison(rest, class.block_size() - size_of::<FreeBlock>());
        self.countdown = self.countdown.wrapping_sub(1);
        self.countdown == 0
    }

    /// Hands out a block when the list is empty, and fills the list.
    ///
    /// # Safety
    ///
    /// `class` is always the same, and so is `store`.
    #[inline(always)]
    pub(crate) unsafe fn refill<S: Source, P: Policy, H: Hook>(
        &mut self,
        class: SizeClass,
        store: &mut Store<S, P, H>,
    ) -> Result<NonNull<u8>, AllocError> {
        let at_once = if self.total == 0 {
            self.set_patience(LEAST_PATIENCE);
            &AT_FIRST
        } else {
            if self.countdown == 0 {
                self.renew_patience();
            }
            &AT_ONCE
        };
        let mut slab = match self.slabs {
            Some(slab) => slab,
            None => {
                let slab = store.take_slab(class)?;
                // SAFETY: it is new, and in no list.
                unsafe {
                    self.total += u32::from(slab.as_ref().blocks);
                    self.available += slab.as_ref().available();
                    list(&mut self.slabs, slab);
                }
                slab
            }
        };
        // SAFETY: slabs in the list are valid, and borrowed by nobody else; they are of this class
        // (invariant 3).
        let (in_place, (first, count)) = unsafe {
            let in_place = slab.as_mut();
            let handed_out = in_place.hand_out(class.block_size(), at_once[class.index()]);
            (in_place, handed_out)
        };
        self.available -= u32::from(count);
        self.fallen = 0;
        if in_place.is_full() {
            // SAFETY: it is in the list, and valid.
            unsafe { unlist(&mut self.slabs, slab) };
        }
        self.free = first;
        self.pop(class).ok_or(AllocError)
    }

    /// How many blocks are in the list.
    pub(crate) fn listed(&self) -> u32 {
        self.list().count() as u32
    }

    /// How many blocks are in use. Walks the list.
    pub(crate) fn used(&self) -> u32 {
        self.total - self.available - self.listed()
    }

    /// The blocks of the list.
    pub(crate) fn list(&self) -> impl Iterator<Item = NonNull<FreeBlock>> {
        // SAFETY: blocks in the list are ours, and start with a link.
        core::iter::successors(self.free, |block| unsafe { block.read() }.next)
    }

    /// Looks at the list.
    ///
    /// # Safety
    ///
    /// As for [`refill`](Self::refill).
    pub(crate) unsafe fn relax<S: Source, P: Policy, H: Hook>(
        &mut self,
        class: SizeClass,
        store: &mut Store<S, P, H>,
    ) -> Look {
        let (frees, size) = (u32::from(self.patience), class.block_size());
        let count = self.list().take(frees as usize + 1).count() as u32;
        self.renew_patience();
        if count <= frees {
            // The list was empty, or nearly so, not long ago.
            let before = core::mem::replace(&mut self.fallen, 0) / frees;
            return Look::Anew(before.min(u32::from(u16::MAX)) as u16);
        }
        self.fallen = self.fallen.saturating_add(frees);
        if self.fallen as usize >= MOST_WAITING / size {
            // SAFETY: as the caller promises.
            unsafe { self.flush(store) };
        }
        Look::Falling
    }

    /// Gives the list back, and has it looked at again when an eighth of what is in use was freed: so
    /// that of a program that frees all that it has, next to nothing is left.
    ///
    /// # Safety
    ///
    /// As for [`refill`](Self::refill).
    pub(crate) unsafe fn drain<S: Source, P: Policy, H: Hook>(
        &mut self,
        store: &mut Store<S, P, H>,
    ) {
        // SAFETY: as the caller promises.
        unsafe { self.flush(store) };
        let used = self.total - self.available;
        self.set_patience((used / 8).clamp(1, MOST_PATIENCE));
    }

    #[inline(always)]
    fn renew_patience(&mut self) {
        self.set_patience((self.total / 16).clamp(LEAST_PATIENCE, MOST_PATIENCE));
    }

    fn set_patience(&mut self, patience: u32) {
        self.patience = patience as u16;
        self.countdown = self.patience;
    }

    /// Gives all blocks of the list back to their slabs, and slabs that are empty then to the store.
    ///
    /// # Safety
    ///
    /// As for [`refill`](Self::refill).
    pub(crate) unsafe fn flush<S: Source, P: Policy, H: Hook>(
        &mut self,
        store: &mut Store<S, P, H>,
    ) {
        self.fallen = 0;
        let mut next = self.free.take();
        let mut finder = store.slab_finder();
        let mut count = 0;
        while let Some(block) = next {
            // SAFETY: blocks in the list are ours, and start with a link; each is one of a slab.
            let found = unsafe {
                next = block.read().next;
                match finder.slab_of(block.cast()) {
                    None => {
                        let (found, better) = store.slab_elsewhere(block.cast());
                        finder = better.unwrap_or(finder);
                        found
                    }
                    found => found,
                }
            };
            let Some(mut slab) = found else {
                promised!(false, "a block that is not from here", block.addr().get());
                continue;
            };
            // SAFETY: slabs are valid, and borrowed by nobody else; one without available blocks is in no
            // list.
            let in_place = unsafe {
                if slab.as_ref().is_full() {
                    list(&mut self.slabs, slab);
                }
                slab.as_mut()
            };
            count += 1;
            // SAFETY: the block is of this slab, was handed out, and is in no list any more.
            if unsafe { in_place.put(block) } {
                self.total -= u32::from(in_place.blocks);
                self.available =
                    self.available + core::mem::take(&mut count) - u32::from(in_place.blocks);
                // SAFETY: it is in the list; all its blocks are here, so nobody uses any.
                unsafe {
                    unlist(&mut self.slabs, slab);
                    store.give_slab(slab);
                }
                finder.forget();
            }
        }
        self.available += count;
    }

    /// Are the numbers right, and all links?
    pub(crate) fn check<S: Source, P: Policy, H: Hook>(
        &self,
        index: usize,
        store: &Store<S, P, H>,
    ) -> Result<(), (&'static str, usize)> {
        let mut left = self.total - self.available;
        for block in self.list() {
            let address = block.addr().get();
            // SAFETY: a block of the list is one of a slab's.
            let slab = unsafe { store.slab_of(block.cast()) };
            // SAFETY: slabs are valid.
            if slab.is_none_or(|slab| usize::from(unsafe { slab.as_ref() }.class) != index) {
                return Err(("the free list links blocks of this class only", address));
            }
            left = left.checked_sub(1).ok_or(("the free list ends", address))?;
        }
        let (mut available, mut next) = (0, self.slabs);
        while let Some(slab) = next {
            let address = slab.addr().get();
            // SAFETY: slabs in the list are valid.
            let slab = unsafe { slab.as_ref() };
            if slab.is_full() || usize::from(slab.class) != index {
                return Err(("slabs that are listed have blocks of this class", address));
            }
            available += slab.available();
            if available > self.available {
                return Err(("the blocks in the slabs are counted", address));
            }
            next = slab.next;
        }
        if available != self.available {
            return Err(("the blocks in the slabs are counted", 0));
        }
        Ok(())
    }
}
