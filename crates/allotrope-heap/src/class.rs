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
//! class's patience allows is the list looked at: what is in it beyond a number of blocks that are kept
//! goes back to the slabs; then it is known which slabs are empty, and their pages serve whatever
//! comes.
//!
//! How many are kept is learned: twice as many each time that the list is filled with what was given
//! to the slabs before, or with as many others, and a quarter less each time that a look finds that nearly all
//! was freed and little allocated since the last. So a program that fills and empties the same
//! structure again and again keeps its blocks in the list, and one that frees everything is left with
//! next to nothing. The patience grows with the number of blocks in use, and where a look finds little.
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
    countdown: u16,
    /// From how many frees on it was looked at last.
    patience: u16,
    /// How many blocks stay in the list when it is looked at.
    kept: u16,
    /// How many blocks left the list and were not asked for since.
    returned: u16,
    pub(crate) total: u32,
    pub(crate) available: u32,
}

/// After how many frees a list is looked at first, and at most.
const FIRST_PATIENCE: u32 = 128;
const MOST_PATIENCE: u32 = 16 * 1024;

/// After how many frees a list is looked at, at least; and after how many bytes of them, if those are
/// fewer: of a program that frees all that it has.
const LEAST_PATIENCE: u32 = 8;
const LISTED_AT_LAST: usize = 2048;

/// How many bytes of blocks are kept in a list, at most.
const MOST_KEPT: usize = 1024 * 1024;

/// How many blocks are kept at least once it was regretted that they were not.
const LEAST_KEPT: u32 = 32;

/// How many bytes of blocks are linked at once that were never handed out: they share a page.
const LINKED_AT_ONCE: usize = 4096;

// A power of two, so that a class is found by a shift.
const _: () = assert!(size_of::<Class>() == if usize::BITS == 64 { 32 } else { 24 });

impl Class {
    /// A class without blocks. All of it is zero, which is quickly made.
    pub(crate) const fn new() -> Self {
        Self {
            free: None,
            slabs: None,
            countdown: 0,
            patience: 0,
            kept: 0,
            returned: 0,
            total: 0,
            available: 0,
        }
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
            self.set_patience(FIRST_PATIENCE);
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
        if self.returned > 0 {
            // As many blocks need not have left the list.
            self.returned = self.returned.saturating_sub(count);
            let most = (MOST_KEPT / class.block_size()) as u32;
            let kept = (2 * u32::from(self.kept)).max(LEAST_KEPT).min(most);
            self.kept = kept.min(MOST_PATIENCE) as u16;
        }
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

    /// Looks at the list: what is more than is kept goes back to the slabs.
    pub(crate) fn relax<S: Source, P: Policy>(
        &mut self,
        class: SizeClass,
        store: &mut Store<S, P>,
    ) {
        let (kept, patience) = (u32::from(self.kept), u32::from(self.patience));
        let (stay, flushed) = self.flush(kept, store);
        if 2 * (stay + flushed) < patience {
            // The program allocates about as much as it frees.
            return self.set_patience(2 * patience);
        }
        self.kept = (kept / 4 * 3) as u16;
        let least = LEAST_PATIENCE.min((LISTED_AT_LAST / class.block_size()) as u32);
        let used = self.total - self.available - stay;
        self.set_patience((used / 8).max(4 * u32::from(self.kept)).max(least));
    }

    fn set_patience(&mut self, patience: u32) {
        self.patience = patience.clamp(1, MOST_PATIENCE) as u16;
        self.countdown = self.patience;
    }

    /// Gives blocks of the list back to their slabs, all but the first `kept`; says how many stay and
    /// how many went.
    pub(crate) fn flush<S: Source, P: Policy>(
        &mut self,
        kept: u32,
        store: &mut Store<S, P>,
    ) -> (u32, u32) {
        let (stay, mut next) = if kept == 0 { (0, self.free.take()) } else { self.cut_list(kept) };
        let mut count = 0;
        while let Some(block) = next {
            // SAFETY: blocks in the list are ours, and start with a link.
            next = unsafe { block.read() }.next;
            // SAFETY: the block is of one of this class's slabs, and in no list any more.
            unsafe { self.give_back(block, store) };
            count += 1;
        }
        self.returned = self.returned.saturating_add(count.min(MOST_PATIENCE) as u16);
        (stay, count)
    }

    /// Cuts the list behind its first `kept` blocks; says how many there are, and returns the rest.
    fn cut_list(&mut self, kept: u32) -> (u32, Option<NonNull<FreeBlock>>) {
        let (mut count, mut last) = (0, None);
        for block in self.list().take(kept as usize) {
            (count, last) = (count + 1, Some(block));
        }
        // SAFETY: blocks in the list are ours, and nobody borrows them.
        (count, last.and_then(|mut last| unsafe { last.as_mut() }.next.take()))
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
