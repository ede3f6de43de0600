//! Fallback: what one allocator refuses, another one serves.
//!
//! ```text
//! allocate ──▶ first ──Err──▶ second
//! free, grow, shrink ──▶ asked.owns(block)? ──yes──▶ the part that was asked
//!                                           └─no──▶ the other
//! ```
//!
//! # Invariants
//!
//! 1. The other part has no memory from the one that is asked. That one is owned here and nowhere
//!    else ([`Owns`]), and references to it are lent to closures only, which cannot store them in the
//!    other. So memory could come from it by way of this very fallback alone, and the other part is
//!    [`Independent`], or its maker has promised as much. So `owns` is right about every block of
//!    either.
//! 2. No block of the other part lies in one of the part that is asked: each is looked at when it
//!    comes. Invariant 1 leaves one way: `Global` is independent, and may be an allocator that has
//!    its memory from this fallback.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allotrope_sync::fatal;

use super::composed;
use super::owns::Owns;
use super::part::{self, Change, Fill};
use crate::api::impl_allocator;
use crate::{AllocError, Independent};

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
/// One of both parts [`Owns`] its blocks and is asked whether a block is its own, which costs an O(1)
/// test for each call but an allocation from that part. That part belongs to the fallback, which lends it to closures;
/// containers take `&Fallback`.
///
/// | made by | asks | for |
/// |---|---|---|
/// | [`Fallback::new`] | `A` | a buffer, and then what is [`Independent`] |
/// | [`Fallback::asking_second`] | `B` | what is [`Independent`], and then a reserve |
/// | [`Fallback::new_unchecked`] | `A` | a buffer, and then anything |
/// | [`Fallback::asking_second_unchecked`] | `B` | anything, and then a reserve |
///
/// An address tells whose a block is only where the other part has no memory from the one that is
/// asked, not even by way of the fallback itself, as a static could that names itself. What is
/// `Independent` has none: `Global`, pages, buffers, and all of ours over those. One exception is
/// found when it comes up: where the program's global allocator has its memory from the fallback, a
/// block of `Global` may lie in the part that is asked, and the program aborts. For the allocators
/// of other crates you promise it:
///
/// ```
/// use allotrope_core::{BestFit, Buffer, Fallback, Local};
/// use allocator_api2::{alloc::Allocator, vec::Vec};
/// # use allocator_api2::alloc::Global as Foreign;
///
/// fn with_buffer(foreign: impl Allocator + 'static) -> usize {
///     let mut bytes = [const { std::mem::MaybeUninit::uninit() }; 4096];
///     let buffer = Local::new(BestFit::new(Buffer::new(&mut bytes)));
///     // SAFETY: what is 'static has no memory from a buffer on this stack.
///     let memory = unsafe { Fallback::new_unchecked(buffer, foreign) };
///     let mut numbers = Vec::new_in(&memory);
///     numbers.extend(0..10_000);
///     numbers.len()
/// }
/// assert_eq!(with_buffer(Foreign), 10_000);
/// ```
///
/// A fallback owns its blocks where both parts do: two buffers, and then the heap, are a
/// `Fallback<Fallback<A, B>, Global>`. A small buffer, then the heap, then a reserve for emergencies,
/// when the heap (here a limit stands for its end) has nothing left:
///
/// ```
/// use allotrope_core::{BestFit, Buffer, Fallback, Limit, Local};
/// use allocator_api2::{alloc::Global, vec::Vec};
/// use std::mem::MaybeUninit;
///
/// let (mut small, mut spare) = ([MaybeUninit::uninit(); 256], [MaybeUninit::uninit(); 4096]);
/// let [small, spare] =
///     [&mut small[..], &mut spare[..]].map(|bytes| Local::new(BestFit::new(Buffer::new(bytes))));
/// let heap = Limit::new(Global, 1000);
/// let memory = Fallback::new(small, Fallback::asking_second(heap, spare));
///
/// let [few, more, last] = [100, 900, 2000].map(|len| {
///     let mut bytes: Vec<u8, _> = Vec::new_in(&memory);
///     bytes.resize(len, 7);
///     bytes
/// });
/// assert!(memory.with_first(|small| small.bytes_used()) >= 100);
/// assert_eq!(memory.second().first().used(), 900);
/// assert!(memory.second().with_second(|spare| spare.bytes_used()) >= 2000);
/// # drop((few, more, last));
/// ```
#[derive(Debug)]
pub struct Fallback<A, B, Asked = AskFirst> {
    first: A,
    second: B,
    asked: PhantomData<Asked>,
}

/// Says that a [`Fallback`] asks its first part whether a block is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskFirst;

/// Says that a [`Fallback`] asks its second part whether a block is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskSecond;

/// Which part of a [`Fallback`] is asked: [`AskFirst`] or [`AskSecond`].
///
/// # Safety
///
/// One of the parts is an owner, as [`IS_FIRST_ASKED`](Self::IS_FIRST_ASKED) says which, and
/// [`is_first`](Self::is_first) goes by what that one says.
pub unsafe trait Ask<A, B> {
    /// Whether the first part is the one that is asked.
    const IS_FIRST_ASKED: bool;

    /// Is the block, which is of one of both, of the first?
    fn is_first(first: &A, second: &B, start: NonNull<u8>, layout: Layout) -> bool;
}

// SAFETY: the first part is an owner.
unsafe impl<A: Owns, B> Ask<A, B> for AskFirst {
    const IS_FIRST_ASKED: bool = true;

    #[inline(always)]
    fn is_first(first: &A, _: &B, start: NonNull<u8>, layout: Layout) -> bool {
        first.owns(start, layout)
    }
}

// SAFETY: the second part is an owner.
unsafe impl<A, B: Owns> Ask<A, B> for AskSecond {
    const IS_FIRST_ASKED: bool = false;

    #[inline(always)]
    fn is_first(_: &A, second: &B, start: NonNull<u8>, layout: Layout) -> bool {
        !second.owns(start, layout)
    }
}

impl<A: Owns, B: Independent> Fallback<A, B> {
    /// `first`, and `second` for what it refuses; `first` knows its blocks.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second, asked: PhantomData }
    }
}

impl<A: Owns, B> Fallback<A, B> {
    /// As [`new`](Self::new), with any second part.
    ///
    /// # Safety
    ///
    /// No block that `second` hands out ever lies in a block of `first`: `second` has no memory from
    /// it, nor will it have any from the fallback that is made here.
    pub const unsafe fn new_unchecked(first: A, second: B) -> Self {
        Self { first, second, asked: PhantomData }
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
}

impl<A: Independent, B: Owns> Fallback<A, B, AskSecond> {
    /// `first`, and `second` for what it refuses; `second` knows its blocks.
    pub const fn asking_second(first: A, second: B) -> Self {
        Self { first, second, asked: PhantomData }
    }
}

impl<A, B: Owns> Fallback<A, B, AskSecond> {
    /// As [`asking_second`](Self::asking_second), with any first part.
    ///
    /// # Safety
    ///
    /// No block that `first` hands out ever lies in a block of `second`: `first` has no memory from
    /// it, nor will it have any from the fallback that is made here.
    pub const unsafe fn asking_second_unchecked(first: A, second: B) -> Self {
        Self { first, second, asked: PhantomData }
    }

    /// The first part.
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// Lends the second part to `look`.
    ///
    /// To a closure, so that nobody keeps the reference: see [`Owns`].
    pub fn with_second<R>(&self, look: impl FnOnce(&B) -> R) -> R {
        look(&self.second)
    }
}

impl<A: Owns + Default, B: Independent + Default> Default for Fallback<A, B> {
    fn default() -> Self {
        Self::new(A::default(), B::default())
    }
}

impl<A: Independent + Default, B: Owns + Default> Default for Fallback<A, B, AskSecond> {
    fn default() -> Self {
        Self::asking_second(A::default(), B::default())
    }
}

impl<A, B, Asked> Fallback<A, B, Asked> {
    /// Both parts, which no allocation can be under way in now.
    pub const fn parts_mut(&mut self) -> (&mut A, &mut B) {
        (&mut self.first, &mut self.second)
    }

    /// Both parts themselves.
    pub fn into_parts(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A: Allocator, B: Allocator, Asked: Ask<A, B>> Fallback<A, B, Asked> {
    composed!();

    #[inline(always)]
    fn obtain(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, AllocError> {
        match part::allocate(&self.first, layout, fill) {
            Err(_) => Ok(self.checked(part::allocate(&self.second, layout, fill)?, layout, false)),
            Ok(block) => Ok(self.checked(block, layout, true)),
        }
    }

    /// A new block of the first part, or of the second. Ends the program if it lies in a block of the
    /// part that is asked, and is not one of its own: nobody could tell whose it is later.
    #[inline(always)]
    fn checked(&self, block: NonNull<[u8]>, layout: Layout, is_first: bool) -> NonNull<[u8]> {
        // The part that is asked has its blocks from nowhere else.
        if is_first != Asked::IS_FIRST_ASKED
            && Asked::is_first(&self.first, &self.second, block.cast(), layout) != is_first
        {
            fatal::abort("one part of a fallback has its memory from the other");
        }
        block
    }

    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](crate::Strategy::deallocate), and `layout` has a size.
    #[inline(always)]
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        if Asked::is_first(&self.first, &self.second, start, layout) {
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
        let was_first = Asked::is_first(&self.first, &self.second, start, old);
        let (block, has_moved) = if was_first {
            // SAFETY: the block is one of the first part's; all else is the caller's promise.
            unsafe { resize_or_move(&self.first, &self.second, start, old, new, change) }
        } else {
            // SAFETY: as above, of the second part's.
            unsafe { resize_or_move(&self.second, &self.first, start, old, new, change) }
        }?;
        Ok(self.checked(block, new, was_first != has_moved))
    }
}

/// Resizes a block of `owner`'s there, or else moves it to `other`; says whether it did that.
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
) -> Result<(NonNull<[u8]>, bool), AllocError> {
    // SAFETY: as the caller promises.
    match unsafe { part::resize(owner, start, old, new, change) } {
        // SAFETY: as the caller promises; what failed has changed nothing.
        Err(_) => unsafe { part::relocate(owner, other, start, old, new, change) }
            .map(|block| (block, true)),
        Ok(block) => Ok((block, false)),
    }
}

// SAFETY: blocks are the parts', which stay where they are until they are freed or their part is
// dropped or borrowed mutably; the invariants say that each is freed where it came from.
unsafe impl<A: Allocator, B: Allocator, Asked: Ask<A, B>> crate::api::Sound
    for Fallback<A, B, Asked>
{
}
impl_allocator!([A: Allocator, B: Allocator, Asked: Ask<A, B>] Fallback<A, B, Asked>);

// SAFETY: its blocks are the parts', and both tell their own; neither is shared.
unsafe impl<A: Owns, B: Owns, Asked> Owns for Fallback<A, B, Asked> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.first.owns(start, layout) || self.second.owns(start, layout)
    }
}

// SAFETY: blocks are the parts'.
unsafe impl<A: Independent, B: Independent, Asked> Independent for Fallback<A, B, Asked> {}
