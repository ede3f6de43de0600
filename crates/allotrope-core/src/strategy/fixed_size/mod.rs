//! Fixed size: uniform blocks, and the pool of objects over the same.

mod blocks;

pub(crate) use blocks::{Blocks, Shape};

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use super::{Broken, Strategy, dangling};
use crate::AllocError;
use crate::hook::{Delivery, Hook, NoHook};
use crate::layout::uniform::{block_size, natural_align};
use crate::policy::{DefaultPolicy, Policy};
use crate::source::Source;
use crate::source::provenance::ours;

/// Blocks of one size, in O(1): for many objects of a kind that come and go.
///
/// | | |
/// |---|---|
/// | block | `SIZE` rounded up to 16, aligned to the largest power of two that divides that, up to 4096 |
/// | serves | layouts of at most that size and alignment; all others are an error |
/// | memory | chunks of `Policy::CHUNK_SIZE` (64 KiB), with 32 bytes each of bookkeeping, or as many as the blocks' alignment costs; a block that is larger gets a chunk of its own |
/// | allocate, free | O(1): the block freed last, while it is warm, or the next one that was never used |
/// | making one, or a chunk | O(1): nothing is linked up front, no page is touched before its first block |
/// | `bytes_used` | walks the free list: the fast path counts nothing |
///
/// A buffer may be of any size; [`buffer_size`](Self::buffer_size) says what a number of blocks
/// needs.
///
/// ```
/// use std::alloc::Layout;
/// use std::mem::MaybeUninit;
/// use allotrope_core::{Buffer, FixedSize, Strategy};
///
/// const SIZE: usize = FixedSize::<64, Buffer>::buffer_size(10);
/// let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
/// let mut pool = FixedSize::<64, _>::new(Buffer::new(&mut bytes));
/// for _ in 0..10 {
///     pool.allocate(Layout::new::<[u64; 8]>())?;
/// }
/// assert_eq!(pool.bytes_used(), 640);
/// assert!(pool.allocate(Layout::new::<[u64; 9]>()).is_err());
/// # Ok::<(), allotrope_core::AllocError>(())
/// ```
///
/// A size of zero does not compile:
///
/// ```compile_fail
/// # use allotrope_core::{FixedSize, OsPages};
/// let pool = FixedSize::<0, _>::new(OsPages::new());
/// ```
pub struct FixedSize<const SIZE: usize, S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    blocks: Blocks<OfSize<SIZE>, S, P, H>,
}

/// Blocks of `SIZE` bytes.
struct OfSize<const SIZE: usize>;

impl<const SIZE: usize> Shape for OfSize<SIZE> {
    const SIZE: usize = {
        assert!(SIZE > 0, "blocks of size 0 need no pool");
        assert!(SIZE <= isize::MAX as usize / 2, "blocks of this size fit in no region");
        block_size(SIZE)
    };
    const ALIGN: usize = natural_align(Self::SIZE);
}

impl<const SIZE: usize, S: Source> FixedSize<SIZE, S> {
    /// Blocks of `SIZE` bytes in the regions of `source`.
    pub const fn new(source: S) -> Self {
        Self::with_policy(source)
    }
}

impl<const SIZE: usize, S: Source, P: Policy> FixedSize<SIZE, S, P> {
    /// Blocks of `SIZE` bytes in the regions of `source`, by the figures of a policy that the type
    /// names.
    pub const fn with_policy(source: S) -> Self {
        Self { blocks: Blocks::new(source) }
    }

    /// How many bytes a buffer needs so that `blocks` blocks fit in it, wherever it starts.
    ///
    /// # Panics
    ///
    /// If there is no such size.
    pub const fn buffer_size(blocks: usize) -> usize {
        Blocks::<OfSize<SIZE>, S, P>::buffer_size(blocks)
    }
}

impl<const SIZE: usize, S: Source, P: Policy, H: Hook> FixedSize<SIZE, S, P, H> {
    /// The size in bytes of every block.
    pub const BLOCK_SIZE: usize = OfSize::<SIZE>::SIZE;

    /// Blocks of `SIZE` bytes in the regions of `source`, that tell `hook` what happens.
    pub fn with_hook(source: S, hook: H) -> Self {
        Self { blocks: Blocks::with_hook(source, hook) }
    }

    /// Where its bytes come from.
    pub const fn source(&self) -> &S {
        self.blocks.source()
    }

    /// A block serves every layout that it is large enough for, or none.
    fn resize(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !Self::serves(new) {
            return Err(AllocError);
        }
        self.blocks.note_resize(start, old, new);
        Ok(NonNull::slice_from_raw_parts(ours(start), Self::BLOCK_SIZE))
    }

    /// Does a block of this size serve `layout`?
    #[inline(always)]
    const fn serves(layout: Layout) -> bool {
        layout.size() <= OfSize::<SIZE>::SIZE && layout.align() <= OfSize::<SIZE>::ALIGN
    }
}

// SAFETY: `Blocks` hands out every block once, aligned, `BLOCK_SIZE` bytes long, in regions that
// stay where they are; only layouts that such a block serves get one. All sizes have the same
// extent. Nothing unwinds: a `Firm` source ends the
// program where it would, and so does what `promised!` finds.
unsafe impl<const SIZE: usize, S: Source, P: Policy, H: Hook> Strategy
    for FixedSize<SIZE, S, P, H>
{
    type Hook = H;

    const MAY_REENTER: bool = S::MAY_REENTER;

    fn extent(layout: Layout) -> Option<usize> {
        match layout.size() {
            0 => Some(0),
            _ => Self::serves(layout).then_some(Self::BLOCK_SIZE),
        }
    }

    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        if !Self::serves(layout) {
            return Err(AllocError);
        }
        let block = self.blocks.take(layout)?;
        Ok(NonNull::slice_from_raw_parts(block, Self::BLOCK_SIZE))
    }

    #[inline]
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: a layout with a size was served with a block of ours; it is free now
            // (caller).
            unsafe { self.blocks.give_back(start, layout) };
        }
    }

    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        self.resize(start, old, new)
    }

    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if new.size() == 0 {
            // SAFETY: as the caller promises; of size 0 there is nothing to keep.
            unsafe { self.deallocate(start, old) };
            return Ok(dangling(new));
        }
        self.resize(start, old, new)
    }

    fn reset(&mut self) {
        // SAFETY: to borrow a strategy mutably for this ends all blocks (`Strategy::reset`).
        unsafe { self.blocks.reset() };
    }

    fn trim(&mut self) {
        self.blocks.trim();
    }

    fn bytes_used(&self) -> usize {
        self.blocks.used() * Self::BLOCK_SIZE
    }

    fn bytes_free(&self) -> usize {
        self.blocks.free() * Self::BLOCK_SIZE
    }

    fn bytes_held(&self) -> usize {
        self.blocks.bytes_held()
    }

    fn largest_free_block(&self) -> usize {
        if self.blocks.free() > 0 { Self::BLOCK_SIZE } else { 0 }
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        self.blocks.check_invariants()
    }

    #[inline(always)]
    fn take_events(&mut self) -> Delivery<H> {
        self.blocks.take_events()
    }
}

impl<const SIZE: usize, S: Source, P: Policy, H: Hook> Drop for FixedSize<SIZE, S, P, H> {
    fn drop(&mut self) {
        self.blocks.note_release();
        self.blocks.take_events().deliver();
    }
}

impl<const SIZE: usize, S: Source, P: Policy, H: Hook> fmt::Debug for FixedSize<SIZE, S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FixedSize")
            .field("block_size", &Self::BLOCK_SIZE)
            .field("used", &self.blocks.used())
            .field("free", &self.blocks.free())
            .finish_non_exhaustive()
    }
}
