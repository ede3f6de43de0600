//! Affixes: a value of the user's before each block of another allocator, and one behind it.
//!
//! ```text
//! part's block: │ (padding) │ prefix │ block            │ (padding) │ suffix │
//! ```
//!
//! # Invariants
//!
//! 1. Where the three lie is a function of the requested layout ([`Affixed`]). Blocks are passed on
//!    with exactly the requested length, so it is known again when they come back.
//! 2. The affixes of a block in use were written, and are moved along as plain bytes: what the
//!    user, or an overrun, has made of them is not looked at.
//! 3. The provenance of each of the part's blocks in use is exposed: the user's pointer may reach
//!    no further than one value, see [`provenance`](crate::source::provenance).

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::api::impl_allocator;
use crate::layout::affix::Affixed;
use crate::source::provenance::{expose, ours};
use crate::{AllocError, Independent};

/// Allocates from `A`, with room for a `Prefix` before and a `Suffix` behind each block.
///
/// Each block begins with copies of the values that the allocator has; they stay with the block
/// when it grows or shrinks. [`prefix`](Self::prefix) and [`suffix`](Self::suffix) find them.
///
/// The size in front of each block, for an interface that frees without a layout:
///
/// ```
/// use allotrope_core::Affix;
/// use allocator_api2::alloc::Global;
/// use std::{alloc::Layout, ptr::NonNull};
///
/// const MEMORY: Affix<Global, usize> = Affix::new(Global, 0, ());
///
/// fn malloc(size: usize) -> Option<NonNull<u8>> {
///     let layout = Layout::from_size_align(size.max(1), 16).ok()?;
///     let block = MEMORY.allocate(layout).ok()?.cast();
///     // SAFETY: the block was just allocated, with a size.
///     unsafe { MEMORY.prefix(block).write(layout.size()) };
///     Some(block)
/// }
///
/// /// # Safety
/// ///
/// /// The block is one of `malloc`'s, not freed before, and not used afterwards.
/// unsafe fn free(block: NonNull<u8>) {
///     // SAFETY: the block is one of `malloc`'s (caller), which wrote its size.
///     let size = unsafe { MEMORY.prefix(block).read() };
///     // SAFETY: the size was valid when `malloc` allocated with it, and the block is (caller).
///     unsafe { MEMORY.deallocate(block, Layout::from_size_align_unchecked(size, 16)) };
/// }
///
/// let block = malloc(100).unwrap();
/// // SAFETY: 100 bytes are ours until they are freed, once.
/// unsafe {
///     block.write_bytes(7, 100);
///     free(block);
/// }
/// ```
///
/// A canary behind each block, which whoever writes too far kills:
///
/// ```
/// use allotrope_core::Affix;
/// use allocator_api2::{alloc::Global, vec::Vec};
/// use std::{alloc::Layout, ptr::NonNull};
///
/// let memory = Affix::new(Global, (), *b"canary");
/// let mut bytes: Vec<u8, _> = Vec::with_capacity_in(100, &memory);
/// bytes.extend([1, 2, 3]);
/// let start = NonNull::new(bytes.as_mut_ptr()).unwrap();
/// // SAFETY: this is the block of `bytes`, and the layout with which it was asked for.
/// let canary = unsafe { memory.suffix(start, Layout::array::<u8>(100).unwrap()).read() };
/// assert_eq!(&canary, b"canary");
/// ```
///
/// A type of size 0 takes no room. A block of size 0 has no affixes. It owns its blocks where `A`
/// does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affix<A, Prefix = (), Suffix = ()> {
    allocator: A,
    prefix: Prefix,
    suffix: Suffix,
}

impl<A, Prefix: Copy, Suffix: Copy> Affix<A, Prefix, Suffix> {
    /// Blocks of `allocator` between copies of `prefix` and `suffix`.
    pub const fn new(allocator: A, prefix: Prefix, suffix: Suffix) -> Self {
        Self { allocator, prefix, suffix }
    }

    /// The allocator that blocks come from.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }

    /// The prefix of the block at `start`: aligned, and valid for reads and writes as long as the
    /// block is in use. Also without its layout.
    ///
    /// # Safety
    ///
    /// `start` is the start of a block of this allocator's that is in use and has a size.
    #[inline]
    pub unsafe fn prefix(&self, start: NonNull<u8>) -> NonNull<Prefix> {
        // SAFETY: the prefix ends where the block (caller) starts, in the same block of the part,
        // which is exposed (invariant 3).
        unsafe { ours(start).cast::<Prefix>().sub(1) }
    }

    /// The suffix of the block at `start`: aligned, and valid for reads and writes as long as the
    /// block is in use.
    ///
    /// # Safety
    ///
    /// As for [`prefix`](Self::prefix), and `layout` fits the block.
    #[inline]
    pub unsafe fn suffix(&self, start: NonNull<u8>, layout: Layout) -> NonNull<Suffix> {
        // SAFETY: the block was served with this layout (caller), so its place was valid.
        let place = unsafe { Self::place(layout).unwrap_unchecked() };
        // SAFETY: the suffix is in the same block of the part, behind the block (invariant 1); as
        // above.
        unsafe { ours(start).add(place.suffix - place.block).cast() }
    }

    /// Where a block for `layout` and its affixes lie.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when no memory could hold them.
    #[inline(always)]
    fn place(layout: Layout) -> Result<Affixed, AllocError> {
        let (prefix, suffix) = (Layout::new::<Prefix>(), Layout::new::<Suffix>());
        Affixed::new(layout, prefix, suffix).ok_or(AllocError)
    }

    /// Exposes a new block of the part's, writes its affixes, and returns what lies between them.
    ///
    /// # Safety
    ///
    /// The part's block is in use, at `outer`, for `place`, which is that of `layout`.
    #[inline(always)]
    unsafe fn dress(
        &self,
        outer: NonNull<u8>,
        place: Affixed,
        layout: Layout,
        affixes: (MaybeUninit<Prefix>, MaybeUninit<Suffix>),
    ) -> NonNull<[u8]> {
        expose(outer);
        // SAFETY: `place` lies inside of the block (caller).
        let start = unsafe { outer.add(place.block) };
        // SAFETY: the block at `start` has this layout (caller); both affixes are aligned, and
        // nobody else has a reference to them yet.
        unsafe {
            self.prefix(start).cast().write(affixes.0);
            self.suffix(start, layout).cast().write(affixes.1);
        }
        NonNull::slice_from_raw_parts(start, layout.size())
    }
}

impl<A: Allocator, Prefix: Copy, Suffix: Copy> Affix<A, Prefix, Suffix> {
    composed!();

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        let place = Self::place(layout)?;
        let outer = part::allocate(&self.allocator, place.outer, fill)?.cast();
        let affixes = (MaybeUninit::new(self.prefix), MaybeUninit::new(self.suffix));
        // SAFETY: the part's block is new, and for this place of this layout.
        Ok(unsafe { self.dress(outer, place, layout, affixes) })
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: the block was served with this layout (caller; invariant 1), so its place was
        // valid, and the part's block, which is exposed (invariant 3), starts so far before it.
        unsafe {
            let place = Self::place(layout).unwrap_unchecked();
            self.allocator.deallocate(ours(start).sub(place.block), place.outer);
        }
    }

    /// # Safety
    ///
    /// As for [`part::resize`], and both layouts have a size.
    unsafe fn resize(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        change: Change,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (from, to) = (Self::place(old)?, Self::place(new)?);
        // SAFETY: the block is in use with the layout `old` (caller), so it has affixes, and the
        // part's block, which is exposed (invariant 3), starts so far before it.
        let (outer, affixes) = unsafe {
            let (prefix, suffix) = (self.prefix(start), self.suffix(start, old));
            (ours(start).sub(from.block), (prefix.cast().read(), suffix.cast().read()))
        };
        let outer: NonNull<u8> = if from.block == to.block {
            // SAFETY: the part's block is for `from`; sizes grow or shrink as those of the block
            // do (caller), since it starts at the same place.
            unsafe { part::resize(&self.allocator, outer, from.outer, to.outer, change) }?.cast()
        } else {
            // SAFETY: as the caller promises.
            unsafe { self.relocate(start, (old, from), (new, to), change) }?
        };
        if change == Change::GrowZeroed {
            // The part cleared what lies behind the old suffix.
            let end = new.size().min(from.outer.size() - from.block);
            let behind = end - old.size();
            // SAFETY: these bytes lie between the old end of the block and its new one.
            unsafe { outer.add(to.block + old.size()).write_bytes(0, behind) };
        }
        // SAFETY: the part's block is for `to` now, which is the place of `new`.
        Ok(unsafe { self.dress(outer, to, new, affixes) })
    }

    /// Moves a block to where it starts further into, or less far into, a block of the part's.
    ///
    /// # Safety
    ///
    /// As for `resize`, with the place of either layout.
    unsafe fn relocate(
        &self,
        start: NonNull<u8>,
        (old, from): (Layout, Affixed),
        (new, to): (Layout, Affixed),
        change: Change,
    ) -> Result<NonNull<u8>, AllocError> {
        let outer = part::allocate(&self.allocator, to.outer, change.fill())?.cast::<u8>();
        let kept = old.size().min(new.size());
        // SAFETY: both blocks are in use, so they do not overlap, and neither is shorter.
        unsafe { outer.add(to.block).copy_from_nonoverlapping(start, kept) };
        // SAFETY: the part's block is for `from` (caller), and nobody accesses it any more.
        unsafe { part::deallocate_old(&self.allocator, ours(start).sub(from.block), from.outer) };
        Ok(outer)
    }
}

// SAFETY: blocks lie in the part's, apart from the affixes; those stay where they are until they
// are freed or the part is dropped or borrowed mutably.
unsafe impl<A: Allocator, Prefix: Copy, Suffix: Copy> crate::api::Sound
    for Affix<A, Prefix, Suffix>
{
}
impl_allocator!([A: Allocator, Prefix: Copy, Suffix: Copy] Affix<A, Prefix, Suffix>);

// SAFETY: its blocks are parts of the part's blocks, which the part tells as well; it is not shared.
// Where the part's block would start says nothing: before a foreign block there may be one of ours.
unsafe impl<A: Owns, Prefix: Copy, Suffix: Copy> Owns for Affix<A, Prefix, Suffix> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.allocator.owns(start, layout)
    }
}

// SAFETY: blocks lie in the part's.
unsafe impl<A: Independent, Prefix: Copy, Suffix: Copy> Independent for Affix<A, Prefix, Suffix> {}
