//! Slabs: runs of pages that are cut into blocks of one class, and know which of their blocks are
//! free.
//!
//! ```text
//! class ── slabs with free blocks ─▶ slab ◀─▶ slab
//!                                     │
//! run of pages   │ used │ free │ used │ free │  untouched …  │
//!                            ▲           │
//!                            └── free ───┘
//! ```
//!
//! A block that is freed first joins its class's own list (`class.rs`), where the next request finds
//! it; from there it comes back to its slab, many at a time. A slab all of whose blocks are back is
//! empty, and its pages serve whatever comes.
//!
//! # Invariants
//!
//! 1. The first `blocks - untouched` blocks were handed out before; the others never were.
//! 2. `free` links those of the former that came back; they are in no other list. The rest are `used`.
//! 3. A slab is in its class's list of slabs if and only if it has free or untouched blocks.
//! 4. `blocks` blocks of the class's size, aligned to 16, lie from `start` on, in pages that are
//!    the slab's alone.

use core::ptr::NonNull;

use allotrope_core::poison;
use allotrope_sync::fatal::promised;

/// What is known of a slab.
#[derive(Debug)]
pub(crate) struct Slab {
    /// Blocks that were handed out and came back.
    pub(crate) free: Option<NonNull<FreeBlock>>,
    pub(crate) next: Option<NonNull<Slab>>,
    pub(crate) prev: Option<NonNull<Slab>>,
    /// The first block.
    pub(crate) start: NonNull<u8>,
    /// How many blocks there are.
    pub(crate) blocks: u16,
    /// How many were never handed out.
    pub(crate) untouched: u16,
    /// How many were handed out and did not come back.
    pub(crate) used: u16,
    /// The index of its class.
    pub(crate) class: u8,
}

/// What stands at the start of a free block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreeBlock {
    pub(crate) next: Option<NonNull<FreeBlock>>,
}

impl Slab {
    /// A slab of `blocks` untouched blocks from `start` on.
    pub(crate) const fn new(start: NonNull<u8>, blocks: u16, class: u8) -> Self {
        let (free, next, prev) = (None, None, None);
        Self { free, next, prev, start, blocks, untouched: blocks, used: 0, class }
    }

    /// How many blocks could be handed out.
    pub(crate) const fn available(&self) -> u32 {
        (self.blocks - self.used) as u32
    }

    /// Could none be handed out?
    #[inline(always)]
    pub(crate) const fn is_full(&self) -> bool {
        self.used == self.blocks
    }

    /// Takes a block back; true if all are back.
    ///
    /// # Safety
    ///
    /// It is one of this slab's, was handed out, and is in no list.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, mut block: NonNull<FreeBlock>) -> bool {
        // SAFETY: the block is free (caller), so it is ours, and it starts with a link.
        unsafe { block.as_mut() }.next = self.free;
        self.free = Some(block);
        promised!(self.used > 0, "a block is freed twice", block.addr().get());
        self.used -= 1;
        self.used == 0
    }

    /// Hands out all blocks that came back, or else the next `most` untouched ones of `size` bytes,
    /// linked; returns the first and how many there are.
    ///
    /// # Safety
    ///
    /// `size` is that of this slab's class.
    #[inline(always)]
    pub(crate) unsafe fn hand_out(
        &mut self,
        size: usize,
        most: u16,
    ) -> (Option<NonNull<FreeBlock>>, u16) {
        let (first, count) = match self.free.take() {
            Some(first) => (Some(first), self.blocks - self.untouched - self.used),
            // SAFETY: as the caller promises.
            None => unsafe { self.link_untouched(size, most) },
        };
        self.used += count;
        (first, count)
    }

    /// Links untouched blocks, in their order.
    ///
    /// # Safety
    ///
    /// As for `hand_out`.
    #[inline(always)]
    unsafe fn link_untouched(
        &mut self,
        size: usize,
        most: u16,
    ) -> (Option<NonNull<FreeBlock>>, u16) {
        let count = most.min(self.untouched);
        let touched = usize::from(self.blocks - self.untouched);
        self.untouched -= count;
        let mut left = usize::from(count);
        // SAFETY: so many whole blocks of this size (caller) lie in the slab behind those that were
        // touched (invariant 1).
        let block = unsafe { self.start.add((touched + left) * size) };
        let mut chain = Chain { block, first: None };
        // Eight without a branch.
        while left >= 8 {
            // SAFETY: as above; blocks are aligned to 16, ours, and used by nobody.
            (0..8).for_each(|_| unsafe { chain.prepend(size) });
            left -= 8;
        }
        // SAFETY: as above.
        (0..left).for_each(|_| unsafe { chain.prepend(size) });
        (chain.first, count)
    }
}

/// Untouched blocks that are linked, the last first.
struct Chain {
    /// Where the first of them starts, or the next would end.
    block: NonNull<u8>,
    first: Option<NonNull<FreeBlock>>,
}

impl Chain {
    /// Links one more.
    ///
    /// # Safety
    ///
    /// A block of `size` bytes lies in front of the first, free and aligned to 16.
    #[inline(always)]
    unsafe fn prepend(&mut self, size: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            self.block = self.block.sub(size);
            poison::unpoison(self.block, size_of::<FreeBlock>());
            let free = self.block.cast::<FreeBlock>();
            free.write(FreeBlock { next: self.first });
            self.first = Some(free);
        }
    }
}

/// Puts a slab in front of a list.
///
/// # Safety
///
/// It is in no list; slabs of the list are valid, and borrowed by nobody.
pub(crate) unsafe fn list(head: &mut Option<NonNull<Slab>>, mut slab: NonNull<Slab>) {
    // SAFETY: as the caller promises.
    unsafe {
        slab.as_mut().next = *head;
        slab.as_mut().prev = None;
        if let Some(mut next) = *head {
            next.as_mut().prev = Some(slab);
        }
    }
    *head = Some(slab);
}

/// Takes a slab out of a list.
///
/// # Safety
///
/// It is in this list; slabs of the list are valid, and borrowed by nobody.
pub(crate) unsafe fn unlist(head: &mut Option<NonNull<Slab>>, slab: NonNull<Slab>) {
    // SAFETY: as the caller promises.
    unsafe {
        let (next, prev) = (slab.as_ref().next, slab.as_ref().prev);
        match prev {
            Some(mut prev) => prev.as_mut().next = next,
            None => *head = next,
        }
        if let Some(mut next) = next {
            next.as_mut().prev = prev;
        }
    }
}
