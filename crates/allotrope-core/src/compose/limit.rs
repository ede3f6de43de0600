//! A limit: no more than so many bytes of another allocator.
//!
//! # Invariants
//!
//! 1. What is taken of the budget is the sum of the sizes of all blocks, as they were requested:
//!    blocks are passed on with exactly that length, so no other size fits when they come back.
//! 2. Bytes are taken before the part is asked for them, and given back after it has them; also where
//!    it unwinds: a block that it was to make is not there, one that it was to resize is as it was, and
//!    one that it was to free is gone, whoever has its memory.

use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use super::budget::{Budget, LocalBudget};
use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::api::impl_allocator;
use crate::{AllocError, Independent};

/// Allocates from `A` as long as no more than a budget is in use.
///
/// 64 MiB for this request, and no more:
///
/// ```
/// use allotrope_core::Limit;
/// use allocator_api2::{alloc::Global, vec::Vec};
///
/// let memory = Limit::new(Global, 64 << 20);
/// let mut body: Vec<u8, _> = Vec::new_in(&memory);
/// assert!(body.try_reserve(100 << 20).is_err());
/// assert!(body.try_reserve_exact(40 << 20).is_ok());
/// assert_eq!((memory.used(), memory.limit()), (40 << 20, 64 << 20));
/// drop(body);
/// assert_eq!(memory.used(), 0);
/// ```
///
/// What counts is the sizes that were asked for, to the byte, and blocks are exactly so long.
/// What `A` adds (rounding, bookkeeping, both blocks while one moves) is not counted.
///
/// One thread counts with a [`LocalBudget`]; threads that share the allocator share a
/// [`SharedBudget`](crate::SharedBudget), which is atomic: [`Limit::shared`]. Several limits, over several allocators,
/// share a budget by reference:
///
/// ```
/// use allotrope_core::{Limit, SharedBudget};
/// use allocator_api2::{alloc::Global, vec::Vec};
///
/// let budget = SharedBudget::new(1000);
/// let memories = [Limit::with_budget(Global, &budget), Limit::with_budget(Global, &budget)];
/// let first = Vec::<u8, _>::with_capacity_in(600, &memories[0]);
/// let mut second: Vec<u8, _> = Vec::new_in(&memories[1]);
/// assert!(second.try_reserve_exact(401).is_err());
/// assert!(second.try_reserve_exact(400).is_ok());
/// # drop((first, second));
/// ```
///
/// It owns its blocks where `A` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit<A, B = LocalBudget> {
    allocator: A,
    budget: B,
}

impl<A> Limit<A> {
    /// At most `bytes` of `allocator`, for one thread.
    pub const fn new(allocator: A, bytes: usize) -> Self {
        Self::with_budget(allocator, LocalBudget::new(bytes))
    }
}

impl<A, B> Limit<A, B> {
    /// Blocks of `allocator`, their bytes taken of `budget`.
    pub const fn with_budget(allocator: A, budget: B) -> Self {
        Self { allocator, budget }
    }

    /// The allocator that blocks come from. What is allocated from it directly is not counted.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }

    /// What bytes are taken of.
    pub const fn budget(&self) -> &B {
        &self.budget
    }
}

impl<A, B: Budget> Limit<A, B> {
    /// How many bytes of the budget are in use.
    pub fn used(&self) -> usize {
        self.budget.used()
    }

    /// How many bytes may be in use.
    pub fn limit(&self) -> usize {
        self.budget.limit()
    }

    /// Sets how many bytes may be in use. If more are, nothing is allocated until enough are freed.
    pub fn set_limit(&self, bytes: usize) {
        self.budget.set_limit(bytes);
    }
}

impl<A: Allocator, B: Budget> Limit<A, B> {
    composed!();

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        let taken = self.take(layout.size())?;
        let block = part::allocate(&self.allocator, layout, fill)?;
        taken.keep();
        Ok(part::first_bytes(block, layout.size()))
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        let _taken = Taken { budget: &self.budget, bytes: layout.size() };
        // SAFETY: the block is one of the part's, with the layout that fits (caller).
        unsafe { self.allocator.deallocate(start, layout) };
    }

    /// # Safety
    ///
    /// As for [`part::resize`], and both layouts have a size.
    #[inline]
    unsafe fn resize(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
        change: Change,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // A shrink takes nothing, and must not be refused because the limit was lowered.
        let more = new.size().saturating_sub(old.size());
        let taken = if more > 0 { Some(self.take(more)?) } else { None };
        // SAFETY: the block is one of the part's; all else is the caller's promise.
        let block = unsafe { part::resize(&self.allocator, start, old, new, change) }?;
        if let Some(taken) = taken {
            taken.keep();
        }
        self.budget.give_back(old.size().saturating_sub(new.size()));
        Ok(part::first_bytes(block, new.size()))
    }

    #[inline(always)]
    fn take(&self, bytes: usize) -> Result<Taken<'_, B>, AllocError> {
        if !self.budget.take(bytes) {
            return Err(AllocError);
        }
        Ok(Taken { budget: &self.budget, bytes })
    }
}

/// Bytes of a budget, given back when this is dropped: also where the part unwinds.
struct Taken<'a, B: Budget> {
    budget: &'a B,
    bytes: usize,
}

impl<B: Budget> Taken<'_, B> {
    /// They stay taken, for a block that is there.
    #[inline(always)]
    fn keep(self) {
        mem::forget(self);
    }
}

impl<B: Budget> Drop for Taken<'_, B> {
    #[inline(always)]
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

// SAFETY: blocks are the part's, which stay where they are until they are freed or the part is
// dropped or borrowed mutably.
unsafe impl<A: Allocator, B: Budget> crate::api::Sound for Limit<A, B> {}
impl_allocator!([A: Allocator, B: Budget] Limit<A, B>);

// SAFETY: its blocks are the part's, which is not shared.
unsafe impl<A: Owns, B> Owns for Limit<A, B> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.allocator.owns(start, layout)
    }
}

// SAFETY: blocks are the part's; a budget has none.
unsafe impl<A: Independent, B> Independent for Limit<A, B> {}
