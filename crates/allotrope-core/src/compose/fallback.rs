//! Fallback: what one allocator refuses, another one serves.
//!
//! ```text
//! allocate ──▶ first ──Err──▶ second
//! free, grow, shrink ──▶ first.owns(block)? ──yes──▶ first
//!                                           └─no──▶ second
//! ```
//!
//! # Invariants
//!
//! 1. `second` has no memory from `first`: [`Owns`] says that `first` is owned here and nowhere
//!    else, and references to it are lent to closures only, which cannot store them in `second`.
//!    So `first.owns` is right about every block of either.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::AllocError;
use crate::api::impl_allocator;

/// Allocates from `A`, and from `B` what `A` refuses.
///
/// A stack buffer first, then the heap:
///
/// ```
/// use allotrope_core::{BestFit, Buffer, Fallback, Local};
/// use allocator_api2::{alloc::Global, vec::Vec};
/// use std::mem::MaybeUninit;
///
/// let mut bytes = [const { MaybeUninit::uninit() }; 4096];
/// let buffer = Local::new(BestFit::new(Buffer::new(&mut bytes)));
/// let memory = Fallback::new(buffer, Global);
///
/// let mut numbers = Vec::new_in(&memory);
/// numbers.extend(0..100);
/// assert_eq!(memory.with_first(|buffer| buffer.bytes_used()), 400);
/// numbers.extend(100..10_000);
/// assert_eq!(memory.with_first(|buffer| buffer.bytes_used()), 0);
/// assert!(numbers.iter().copied().eq(0..10_000));
/// ```
///
/// Blocks are freed and resized where they came from. A resize that the owner refuses moves the
/// block to the other part. Nothing else moves: what is once in `B` stays there, though there may
/// be room in `A` again.
///
/// `A` [`Owns`] its blocks, which costs an O(1) test for each call but `allocate`. It belongs to
/// the fallback, and containers take `&Fallback`; [`with_first`](Self::with_first) lends it.
///
/// A fallback owns its blocks where both parts do: two buffers, and then the heap, are a
/// `Fallback<Fallback<A, B>, Global>`.
#[derive(Debug, Default)]
pub struct Fallback<A, B> {
    first: A,
    second: B,
}

impl<A: Owns, B> Fallback<A, B> {
    /// `first`, and `second` for what it refuses.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// Lends the first part to `look`.
    ///
    /// To a closure, so that nobody keeps the reference: see [`Owns`].
    pub fn with_first<R>(&self, look: impl FnOnce(&A) -> R) -> R {
        look(&self.first)
    }

    /// The second part.
    pub const fn second(&self) -> &B {
        &self.second
    }

    /// Both parts, which no allocation can be under way in now.
    pub const fn parts_mut(&mut self) -> (&mut A, &mut B) {
        (&mut self.first, &mut self.second)
    }

    /// Both parts themselves.
    pub fn into_parts(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A: Allocator + Owns, B: Allocator> Fallback<A, B> {
    composed!();

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        match part::allocate(&self.first, layout, fill) {
            Err(_) => part::allocate(&self.second, layout, fill),
            block => block,
        }
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        if self.first.owns(start, layout) {
            // SAFETY: the block is one of the first part's, with the layout that fits (caller).
            unsafe { self.first.deallocate(start, layout) };
        } else {
            // SAFETY: as above, of the second part's: it is one of ours, and not the first's.
            unsafe { self.second.deallocate(start, layout) };
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
        if self.first.owns(start, old) {
            // SAFETY: the block is one of the first part's; all else is the caller's promise.
            unsafe { resize_or_move(&self.first, &self.second, start, old, new, change) }
        } else {
            // SAFETY: as above, of the second part's.
            unsafe { resize_or_move(&self.second, &self.first, start, old, new, change) }
        }
    }
}

/// Resizes a block of `owner`'s there, or else moves it to `other`.
///
/// # Safety
///
/// As for [`part::resize`] of `owner`.
unsafe fn resize_or_move(
    owner: &impl Allocator,
    other: &impl Allocator,
    start: NonNull<u8>,
    old: Layout,
    new: Layout,
    change: Change,
) -> Result<NonNull<[u8]>, AllocError> {
    // SAFETY: as the caller promises.
    match unsafe { part::resize(owner, start, old, new, change) } {
        // SAFETY: as the caller promises; what failed has changed nothing.
        Err(_) => unsafe { part::relocate(owner, other, start, old, new, change) },
        block => block,
    }
}

// SAFETY: blocks are the parts', which stay where they are until they are freed or their part is
// dropped or borrowed mutably; invariant 1 says that each is freed where it came from.
impl_allocator!([A: Allocator + Owns, B: Allocator] Fallback<A, B>);

// SAFETY: its blocks are the parts', and both tell their own; neither is shared.
unsafe impl<A: Owns, B: Owns> Owns for Fallback<A, B> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.first.owns(start, layout) || self.second.owns(start, layout)
    }
}
