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
//! The fast path is a pop or a push, and a count of frees. Only when so many blocks were freed as the
//! class's patience allows are those that wait in the list given back to their slabs, but for a few;
//! then it is known which slabs are empty, and their pages serve whatever comes. The patience grows
//! where that finds little to do, and shrinks where it does, and with the number of blocks in use: so a
//! program that frees everything is left with next to nothing, and one that frees and allocates in
//! turns hardly ever gets here.
//!
//! # Invariants
//!
//! 1. Every block of the class's slabs is in use, in the free list, or available in its slab.
//! 2. `total` is how many blocks the slabs have, `available` how many of them are in the slabs.
//! 3. `slabs` links those slabs that have any available, and no others.

use core::ptr::NonNull;

use allotrope_core::parts::SizeClass;
use allotrope_core::{AllocError, Policy, Source, poison};

use crate::slab::{FreeBlock, Slab, list, unlist};
use crate::store::Store;

/// The free blocks of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) free: Option<NonNull<FreeBlock>>,
    pub(crate) slabs: Option<NonNull<Slab>>,
    /// After how many frees more the list is looked at.
    countdown: u32,
    /// From how many frees on it was looked at last.
    patience: u32,
    pub(crate) total: u32,
    pub(crate) available: u32,
}

/// After how many frees a list is looked at, at least and at most.
const LEAST_PATIENCE: u32 = 8;
const MOST_PATIENCE: u32 = 16 * 1024;

/// How many blocks stay in the list, at most.
const KEPT: u32 = 32;

/// How many bytes of blocks are linked at once that were never handed out: they share a page.
const LINKED_AT_ONCE: usize = 4096;

impl Class {
    /// A class without blocks. All of it is zero, which is quickly made.
    pub(crate) const fn new() -> Self {
        Self { free: None, slabs: None, countdown: 0, patience: 0, total: 0, available: 0 }
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
        let free = block.cast::<FreeBlock>();
        debug_assert!(free.addr().get().is_multiple_of(class.block_align()), "not a block");
        debug_assert!(self.free != Some(free), "a block is freed twice");
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
    pub(crate) fn refill<S: Source, P: Policy>(
        &mut self,
        class: SizeClass,
        store: &mut Store<S, P>,
    ) -> Result<NonNull<u8>, AllocError> {
        if self.countdown == 0 {
            self.set_patience(4 * KEPT);
        }
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
        // SAFETY: slabs in the list are valid, and borrowed by nobody else.
        let in_place = unsafe { slab.as_mut() };
        let (first, count) = match in_place.free.take() {
            Some(first) => (Some(first), core::mem::take(&mut in_place.free_count)),
            None => {
                let size = class.block_size();
                in_place.link_untouched(size, (LINKED_AT_ONCE / size).max(1) as u16)
            }
        };
        self.available -= u32::from(count);
        if in_place.available() == 0 {
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
    pub(crate) fn list(&self) -> impl Iterator<Item = NonNull<FreeBlock>> + use<> {
        // SAFETY: blocks in the list are ours, and start with a link.
        core::iter::successors(self.free, |block| unsafe { block.read() }.next)
    }

    /// Gives blocks that wait in the list back to their slabs, all but a few, and slabs that are
    /// empty back to the store; says how patient to be now.
    pub(crate) fn relax<S: Source, P: Policy>(&mut self, store: &mut Store<S, P>) {
        let flushed = self.flush(KEPT, store);
        let out = self.total - self.available;
        let patience = if flushed <= KEPT {
            // The list was short: the program allocates as much as it frees.
            self.patience.saturating_mul(2)
        } else {
            out / 8
        };
        self.set_patience(patience);
    }

    fn set_patience(&mut self, patience: u32) {
        self.patience = patience.clamp(LEAST_PATIENCE, MOST_PATIENCE);
        self.countdown = self.patience;
    }

    /// Gives blocks of the list back to their slabs, all but the first, which are as many as `kept`
    /// and no more than an eighth of those in use; says how many.
    pub(crate) fn flush<S: Source, P: Policy>(
        &mut self,
        kept: u32,
        store: &mut Store<S, P>,
    ) -> u32 {
        let kept = kept.min((self.total - self.available) / 8);
        let mut next = if kept == 0 { self.free.take() } else { self.cut_list(kept) };
        let mut count = 0;
        while let Some(block) = next {
            // SAFETY: blocks in the list are ours, and start with a link.
            next = unsafe { block.read() }.next;
            // SAFETY: the block is of one of this class's slabs, and in no list any more.
            unsafe { self.give_back(block, store) };
            count += 1;
        }
        count
    }

    /// Cuts the list behind its first blocks, and returns the rest.
    fn cut_list(&mut self, kept: u32) -> Option<NonNull<FreeBlock>> {
        let mut last = self.list().take(kept as usize).last()?;
        // SAFETY: blocks in the list are ours, and nobody borrows them.
        unsafe { last.as_mut() }.next.take()
    }

    /// Gives a block back to its slab, and the slab to the store if it is empty now and not the only
    /// one that has any.
    ///
    /// # Safety
    ///
    /// It is a block of one of this class's slabs, is not in use, and in no list.
    #[inline(always)]
    unsafe fn give_back<S: Source, P: Policy>(
        &mut self,
        block: NonNull<FreeBlock>,
        store: &mut Store<S, P>,
    ) {
        // SAFETY: as the caller promises.
        let Some(mut slab) = (unsafe { store.slab_of(block.cast()) }) else {
            debug_assert!(false, "a block that is not from here");
            return;
        };
        // SAFETY: slabs are valid, and borrowed by nobody else.
        let in_place = unsafe { slab.as_mut() };
        let was_full = in_place.available() == 0;
        // SAFETY: as the caller promises.
        unsafe { in_place.put(block) };
        self.available += 1;
        if was_full {
            // SAFETY: a slab without available blocks is in no list.
            unsafe { list(&mut self.slabs, slab) };
        }
        if in_place.is_empty() {
            self.total -= u32::from(in_place.blocks);
            self.available -= u32::from(in_place.blocks);
            // SAFETY: it is in the list; all its blocks are here, so nobody uses any.
            unsafe {
                unlist(&mut self.slabs, slab);
                store.give_slab(slab);
            }
        }
    }

    /// Are the numbers right, and all links?
    pub(crate) fn check<S: Source, P: Policy>(
        &self,
        index: usize,
        store: &Store<S, P>,
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
            if slab.available() == 0 || usize::from(slab.class) != index {
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
