//! Blocks that know their scope: its state's address stands before each.
//!
//! ```text
//! what the arena hands out   │ padding │ state │ block ……… │
//!                            └──── prefix ─────┘
//! ```
//!
//! The pointer that a user hands in may reach the block alone: `Box::leak` makes a `&mut` of it. So what
//! lies before the block is accessed by a pointer of its address that is derived from the chunk's,
//! which is exposed.
//!
//! # Invariants
//!
//! 1. A block that is in use is counted by the state that stands before it.
//! 2. The prefix is as long as its block is aligned, and at least [`STEP`]: a pure function of the
//!    alignment. A block that was shrunk to a lower one has bytes before its prefix that nobody uses.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::parts::ours;
use allotrope_core::{AllocError, Contents, Independent};

use super::state::{self, Block, State};
use crate::blocks::block;
use crate::frontier::STEP;

/// The current thread's innermost [scope](super::scope), as an allocator: of no size, so that a
/// `Vec<T, Here>` is as large as any `Vec`.
///
/// The innermost scope is the newest of this thread that has not ended, also where coroutines
/// [interleave](super#scopes-that-interleave) them. Outside of a scope, allocation fails; blocks of a scope that has ended can still be used, freed and shrunk.
///
/// ```
/// use allocator_api2::alloc::Allocator;
/// use allotrope_scope::ambient::Here;
/// use std::alloc::Layout;
///
/// assert!(Allocator::allocate(&Here, Layout::new::<u8>()).is_err());
/// assert_eq!(size_of::<Here>(), 0);
/// ```
///
/// It is of one thread:
///
/// ```compile_fail,E0277
/// # use allotrope_scope::ambient::{self, Here};
/// # use allocator_api2::boxed::Box;
/// let boxed = ambient::scope(|| Box::new_in(1, Here));
/// std::thread::spawn(move || drop(boxed));
/// ```
///
/// # Cost
///
/// A block takes 8 bytes more than in an arena, or its alignment if that is more, and its scope counts it.
#[derive(Clone, Copy)]
pub struct Here {
    one_thread: PhantomData<*mut ()>,
}

/// The one value of that type; a `Here` that users could write as a unit could be sent.
#[allow(non_upper_case_globals, reason = "it is written as a unit is")]
pub const Here: Here = Here { one_thread: PhantomData };

/// What stands before a block.
type Owner = NonNull<State>;

/// How far a block lies behind the start of what the arena hands out.
#[inline(always)]
const fn prefix(align: usize) -> usize {
    const { assert!(size_of::<Owner>() <= STEP && align_of::<Owner>() <= STEP) };
    if align < STEP { STEP } else { align }
}

/// The layout of what the arena hands out for a block.
#[inline(always)]
fn whole(layout: Layout) -> Result<Layout, AllocError> {
    let prefix = prefix(layout.align());
    let size = layout.size().checked_add(prefix).ok_or(AllocError)?;
    Layout::from_size_align(size, prefix).map_err(|_| AllocError)
}

/// `start` less `bytes`, by a pointer that reaches all of the chunk in which that lies.
///
/// # Safety
///
/// `start` is the start of a block of [`Here`](struct@Here) that is in use, and not empty; the
/// prefix is as long as `bytes`, or longer.
#[inline(always)]
unsafe fn before(start: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: the prefix lies in the chunk, whose region is exposed (`chunk.rs`).
    unsafe { ours(start).sub(bytes) }
}

/// A block in the scope of `owner`, which reads as `contents` says.
///
/// # Safety
///
/// The scope is open.
#[inline(always)]
unsafe fn allocate_from(
    owner: Owner,
    contents: Contents,
    layout: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    // SAFETY: the scope is open (caller), so that its state is there.
    let arena = unsafe { &owner.as_ref().arena };
    let whole = whole(layout)?;
    let start = match contents {
        Contents::Unknown => arena.allocate(whole)?.cast::<u8>(),
        Contents::Zero => arena.allocate_zeroed(whole)?.cast::<u8>(),
    };
    // SAFETY: the prefix is within the new block, which is aligned as that is long.
    let start = unsafe {
        let start = start.add(prefix(layout.align()));
        start.cast::<Owner>().sub(1).write(owner);
        start
    };
    // SAFETY: the scope is open (caller).
    unsafe { Block::new(owner) }.keep();
    Ok(block(start, layout))
}

/// The state that stands before a block.
///
/// # Safety
///
/// `start` is the start of a block of [`Here`](struct@Here) that is in use, and not empty.
#[inline(always)]
unsafe fn owner_of(start: NonNull<u8>) -> Owner {
    // SAFETY: `allocate_from` wrote it into the prefix, where it stays as long as the block.
    unsafe { before(start, size_of::<Owner>()).cast::<Owner>().read() }
}

impl Here {
    /// Allocates a block that fits `layout` from the innermost scope of this thread. A size of 0 is
    /// served without one.
    ///
    /// # Errors
    ///
    /// [`AllocError`] outside of a scope, or if the operating system has no more memory.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_reading_as(Contents::Unknown, layout)
    }

    #[inline(always)]
    fn allocate_reading_as(
        &self,
        contents: Contents,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(block(layout.dangling_ptr(), layout));
        }
        let newest = state::current().ok_or(AllocError)?;
        // SAFETY: states in the chain are of open scopes.
        unsafe { allocate_from(newest, contents, layout) }
    }

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_reading_as(Contents::Zero, layout)
    }

    /// Frees a block: for use again if it is the last one of its scope, and with its scope's memory if it is
    /// the last in use of one that has ended.
    ///
    /// # Safety
    ///
    /// `start` is the start of a block of this allocator that `layout` fits, not freed since, that
    /// nobody uses any more.
    #[inline]
    pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        // SAFETY: the block is in use until now (caller).
        let owner = unsafe { owner_of(start) };
        // SAFETY: invariant 1.
        let _last = unsafe { Block::take(owner) };
        if let Ok(whole) = whole(layout) {
            // SAFETY: the state is there until the block goes. That is freed once (caller), with its
            // prefix, which ends what the arena handed out.
            unsafe {
                let start = before(start, prefix(layout.align()));
                owner.as_ref().arena.space().deallocate(start, whole);
            }
        }
    }

    /// Makes a block that `old` fits into one for `new`, which is no smaller: in its own scope if
    /// that is open, though it may not be the innermost, else in the innermost.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), unless it fails; `new` is no smaller than `old`.
    #[inline]
    pub unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_reading_as(Contents::Unknown, start, old, new) }
    }

    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    #[inline(always)]
    unsafe fn grow_reading_as(
        &self,
        contents: Contents,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate_reading_as(contents, new);
        }
        // SAFETY: the block is in use (caller), and so its state is there.
        let state = unsafe { owner_of(start).as_ref() };
        let prefix = prefix(old.align());
        if !state.is_open.get() || prefix != self::prefix(new.align()) {
            // SAFETY: as the caller promises.
            return unsafe { self.relocate(contents, start, old, new) };
        }
        let (old, larger) = (whole(old)?, whole(new)?);
        let space = state.arena.space();
        // SAFETY: the block is the arena's, with its prefix, which is copied with it.
        unsafe {
            let start = before(start, prefix);
            let grown = match contents {
                Contents::Unknown => space.grow(start, old, larger)?,
                Contents::Zero => space.grow_zeroed(start, old, larger)?,
            };
            Ok(block(grown.cast::<u8>().add(prefix), new))
        }
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
    #[inline]
    pub unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_reading_as(Contents::Zero, start, old, new) }
    }

    /// Makes a block that `old` fits into one for `new`, which is no larger. Unless the alignment
    /// rises, it stays in its place, and this does not fail; an empty block has no memory.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), unless it fails; `new` is no larger than `old`.
    #[inline]
    pub unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let prefix = prefix(new.align());
        if new.size() == 0 || prefix > self::prefix(old.align()) {
            // SAFETY: as the caller promises.
            return unsafe { self.relocate(Contents::Unknown, start, old, new) };
        }
        // SAFETY: the block is in use (caller), and so its state is there.
        let state = unsafe { owner_of(start).as_ref() };
        let [old, smaller] = [old.size(), new.size()].map(|size| {
            // SAFETY: no longer than the block with its longer prefix is.
            unsafe { Layout::from_size_align_unchecked(prefix + size, prefix) }
        });
        // SAFETY: the block, with the end of its prefix, ends what the arena handed out. It stays,
        // for it is aligned.
        unsafe { state.arena.space().shrink(before(start, prefix), old, smaller)? };
        Ok(block(start, new))
    }

    /// Moves a block: within its scope if that is open, else to the innermost. What is behind it
    /// there reads as `contents` says.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), unless it fails.
    #[cold]
    unsafe fn relocate(
        &self,
        contents: Contents,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let open = |owner: &Owner| {
            // SAFETY: the block is in use (caller), and so its state is there.
            unsafe { owner.as_ref() }.is_open.get()
        };
        // SAFETY: as above, where there is a block.
        let own = (old.size() > 0).then(|| unsafe { owner_of(start) }).filter(open);
        let moved = match own {
            // SAFETY: the scope is open.
            Some(owner) if new.size() > 0 => unsafe { allocate_from(owner, contents, new)? },
            _ => self.allocate_reading_as(contents, new)?,
        };
        let size = old.size().min(new.size());
        // SAFETY: both blocks are that long, and the new one is no part of the old one, which is done
        // with (caller).
        unsafe {
            moved.cast::<u8>().copy_from_nonoverlapping(start, size);
            self.deallocate(start, old);
        }
        Ok(moved)
    }
}

impl Default for Here {
    fn default() -> Self {
        Here
    }
}

impl fmt::Debug for Here {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Here")
    }
}

// SAFETY: a block stays until it is freed: its scope's memory is kept as long as a block is counted.
// Every `Here` is the same allocator, for it cannot leave its thread.
unsafe impl allotrope_core::api::Sound for Here {}
allotrope_core::impl_allocator!([] Here);

// SAFETY: blocks lie in arenas over pages.
unsafe impl Independent for Here {}
