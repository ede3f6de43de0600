//! Strategies: how bytes are cut into blocks.

mod best_fit;
mod fixed_size;
mod large;
#[cfg(target_has_atomic = "64")]
mod pool;
mod segregated;
#[cfg(target_has_atomic = "64")]
mod shared;

pub use best_fit::{BestFit, Edges, NONE, Run, Space, Span, Table};
pub use fixed_size::FixedSize;
pub(crate) use fixed_size::{Blocks, Shape};
pub use large::Large;
#[cfg(target_has_atomic = "64")]
pub use pool::Pool;
pub use segregated::Segregated;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedStrategy;

use core::alloc::Layout;
use core::fmt;
use core::ptr::{self, NonNull};

use allotrope_sync::fatal::promised;

use crate::AllocError;
use crate::hook::{Delivery, Hook};

/// A way of cutting memory into blocks.
///
/// A strategy takes `&mut self`: it is one algorithm over one state, and knows nothing of threads.
/// [`Local`](crate::Local) and [`Locked`](crate::Locked) share it out and make an `Allocator` of
/// it.
///
/// # Fits
///
/// A layout *fits* a block if its alignment is the one that was asked for and its size lies
/// between the size that was asked for and the length that was returned. Whoever frees or resizes
/// a block may name any layout that fits, so a strategy without headers must get the same
/// [`extent`](Self::extent) from each of them.
///
/// A request of size 0 is served by an aligned, dangling pointer of length 0, and no memory is
/// touched; freeing it does nothing.
///
/// # Safety
///
/// Implementors uphold the *Guarantees* of every method, and their methods do not unwind.
pub unsafe trait Strategy {
    /// Who is told what happens inside.
    type Hook: Hook;

    /// Might a call come back to this strategy before it is done? See
    /// [`Source::MAY_REENTER`](crate::Source::MAY_REENTER).
    const MAY_REENTER: bool;

    /// How many bytes a block for `layout` really takes, or `None` if no block is ever large
    /// enough. A pure function: monotone in the size, and the extent of an extent is itself.
    fn extent(layout: Layout) -> Option<usize>;

    /// Allocates a block that fits `layout`.
    ///
    /// # Guarantees
    ///
    /// The block is at least `layout.size()` bytes long, aligned to `layout.align()`, valid for
    /// reads and writes, and overlaps no other block, until it is freed or the strategy is
    /// dropped, reset, or accessed by other methods that say so. Moving the strategy does not
    /// move it.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no such block; the strategy is unchanged then.
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: the block is new, and valid for writes of its whole length.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// - `start` is the start of a block that this strategy returned and that was not freed since.
    /// - `layout` [fits](#fits) the block.
    /// - Nobody accesses the block afterwards.
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout);

    /// Makes a block that `old` fits into one for `new`, in place where possible.
    ///
    /// # Guarantees
    ///
    /// As for [`allocate`](Self::allocate); the first `old.size()` bytes are those of the old
    /// block, which is no longer the caller's.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block and the strategy are unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) with `old`, unless an error is returned; and
    /// `new.size()` is at least `old.size()`. The alignments may differ.
    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; `old` is the smaller of the two.
        unsafe { self.relocate(start, old, new, old.size()) }
    }

    /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Self::grow).
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    unsafe fn grow_zeroed(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let block = unsafe { self.grow(start, old, new) }?;
        let (kept, len) = (old.size(), block.len());
        // SAFETY: `kept <= new.size() <= len`, and the block is valid for writes of `len` bytes.
        unsafe { block.cast::<u8>().add(kept).write_bytes(0, len - kept) };
        Ok(block)
    }

    /// Shrinks a block from `old` to `new`, in place where the rest is really given back.
    ///
    /// # Guarantees
    ///
    /// As for [`allocate`](Self::allocate); the first `new.size()` bytes are those of the old
    /// block, which is no longer the caller's.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when the block has to move and there is no block for `new`; the block and
    /// the strategy are unchanged then. A stricter alignment moves a block, unless it happens to
    /// be aligned. Where the alignment stays the same or is relaxed, a shrink needs no memory, and
    /// so never fails, in these cases:
    ///
    /// | allocator | never fails |
    /// |---|---|
    /// | any | if the new size is 0 |
    /// | [`BestFit`](crate::BestFit), [`FixedSize`](crate::FixedSize) | always |
    /// | [`Segregated`](crate::Segregated), [`Pool`](crate::Pool) | if both layouts have the same size class, or both are above the largest |
    /// | `LocalHeap`, `HeapRc` | if both layouts have the same size class, both are medium, or both are large |
    /// | `Arena`, `SharedArena` and their scopes | always |
    /// | [`Local`](crate::Local), [`Locked`](crate::Locked), [`Limit`](crate::Limit), [`AlignTo`](crate::AlignTo) | as what is inside |
    /// | [`Affix`](crate::Affix) | as what is inside, if the alignment stays the same, or neither is stricter than the prefix's |
    /// | [`BySize`](crate::BySize) | as the part that has the block, if both sizes are on the same side of the limit |
    /// | [`Fallback`](crate::Fallback) | as the part that has the block; what fails there moves to the other part if that has room |
    ///
    /// A size class depends on the size rounded up to the alignment, so that a relaxed alignment
    /// may change it. A block above the largest class that its source takes no part of, such as
    /// one of an [`Upstream`](crate::Upstream), moves to a smaller region; if there is none, it
    /// stays, and the rest is unused until the block is freed or grows.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) with `old`, unless an error is returned; and
    /// `new.size()` is at most `old.size()`. The alignments may differ.
    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises; `new` is the smaller of the two.
        unsafe { self.relocate(start, old, new, new.size()) }
    }

    /// Allocates a block for `new`, copies `kept` bytes into it, and frees the old one.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no block for `new`; nothing has changed then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate) with `old`, unless an error is returned; and `kept`
    /// is at most either size.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn relocate(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        kept: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(new)?;
        // SAFETY: both blocks are in use, so they do not overlap, and have `kept` bytes (caller).
        unsafe { carry_over(start, block, kept) };
        // SAFETY: as the caller promises.
        unsafe { self.deallocate(start, old) };
        Ok(block)
    }

    /// Takes every block back at once: none is valid afterwards. What is held of the source's
    /// memory is kept for reuse.
    fn reset(&mut self);

    /// Gives memory that no block needs back to the source, as far as the source takes it: whole
    /// regions, and the pages inside of free blocks.
    fn trim(&mut self);

    /// How many bytes are in blocks that were handed out and not freed yet, each with its
    /// [extent](Self::extent).
    fn bytes_used(&self) -> usize;

    /// How many bytes are in free blocks, and ready to be handed out.
    fn bytes_free(&self) -> usize;

    /// How many bytes of its source's memory the strategy holds: used, free, bookkeeping, and lost
    /// to alignment. Address space that is reserved ahead does not count.
    fn bytes_held(&self) -> usize;

    /// The size in bytes of the largest block that can be handed out at once without asking the
    /// source for more, at an alignment of up to 16.
    fn largest_free_block(&self) -> usize;

    /// Checks every invariant that the strategy's memory can be held against. Takes time in
    /// proportion to what it holds.
    ///
    /// # Errors
    ///
    /// The first invariant found broken, which means that this crate has a bug, or that somebody
    /// wrote to memory that was not theirs.
    fn check_invariants(&self) -> Result<(), Broken>;

    /// The events of the call that has just ended, to be delivered when nobody borrows the
    /// strategy.
    #[doc(hidden)]
    fn take_events(&mut self) -> Delivery<Self::Hook>;
}

/// Copies the first `kept` bytes of the block at `start` to `block`, its successor.
///
/// # Safety
///
/// Both blocks are in use, and not shorter.
#[inline(always)]
pub unsafe fn carry_over(start: NonNull<u8>, block: NonNull<[u8]>, kept: usize) {
    let place = block.cast::<u8>();
    let is_elsewhere = place.addr().get().abs_diff(start.addr().get()) >= kept;
    promised!(is_elsewhere, "a block is resized after it was freed", start.addr().get());
    // SAFETY: both have so many bytes (caller); two blocks that are in use do not overlap.
    unsafe { place.copy_from_nonoverlapping(start, kept) };
}

/// An invariant that does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broken {
    /// What should be so.
    pub invariant: &'static str,
    /// The address of the memory where it is not.
    pub address: usize,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "broken at {:#x}: {}", self.address, self.invariant)
    }
}

impl core::error::Error for Broken {}

/// What a request of size 0 is served with: length 0, aligned, and no memory at all.
#[inline(always)]
pub const fn dangling(layout: Layout) -> NonNull<[u8]> {
    let start = ptr::without_provenance_mut(layout.align());
    // SAFETY: an alignment is not zero.
    NonNull::slice_from_raw_parts(unsafe { NonNull::new_unchecked(start) }, 0)
}
