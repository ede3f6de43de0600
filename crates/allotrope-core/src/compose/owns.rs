//! Ownership: whether a block is one of an allocator's own, told from its address.

#[cfg(target_has_atomic = "64")]
mod pool;

use core::alloc::Layout;
use core::ptr::NonNull;

use lock_api::RawMutex;

use crate::{BestFit, Buffer, FixedSize, Hook, Local, Locked, Policy, Segregated, Strategy};

/// An allocator that tells its own blocks from those of others.
///
/// Whatever lies in a [`Buffer`] tells by the buffer's address range: [`Local`] and [`Locked`] over
/// `BestFit<Buffer>`, `FixedSize<_, Buffer>` or `Segregated<Buffer>`, and `Pool<Buffer>`. What is
/// composed of owners is one, too, as the page of each combinator says.
///
/// References are no owners, whatever they refer to. Through a second reference an allocator can
/// supply another one, whose blocks then lie inside of its own, and an address range cannot tell
/// those apart. An owner by value can do the same by way of what it is part of; so the other part of
/// a [`Fallback`](crate::Fallback) is [`Independent`](crate::Independent).
///
/// ```compile_fail,E0277
/// # use allotrope_core::{BestFit, Buffer, Fallback, Local, Upstream};
/// # let mut bytes = [const { std::mem::MaybeUninit::uninit() }; 4096];
/// let buffer = Local::new(BestFit::new(Buffer::new(&mut bytes)));
/// let inside = Local::new(BestFit::new(Upstream::new(&buffer)));
/// let confused = Fallback::new(&buffer, inside);
/// ```
///
/// # Safety
///
/// - [`owns`](Self::owns) is true of each block that this allocator has given out and that was not
///   freed since, and of each part of one; it is false of each block, or part of one, of another
///   allocator that does not have its memory from this one. It does not unwind.
/// - The allocator is this value: there are no clones, handles or references, safe to use, that
///   allocate from it as well and could outlive a borrow of it.
pub unsafe trait Owns {
    /// Is the block at `start`, which `layout` fits, one of this allocator's own, or a part of one,
    /// as those with [affixes](crate::Affix) around them are? O(1).
    ///
    /// `layout` has a size: a block of size 0 is no memory, and belongs to nobody.
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool;
}

// SAFETY: all blocks lie in the buffer, which nobody else has; the strategy is neither cloned nor
// shared.
unsafe impl<P: Policy, H: Hook> Owns for BestFit<Buffer<'_>, P, H> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, _: Layout) -> bool {
        self.source().contains(start)
    }
}

// SAFETY: as for `BestFit`.
unsafe impl<const SIZE: usize, P: Policy, H: Hook> Owns for FixedSize<SIZE, Buffer<'_>, P, H> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, _: Layout) -> bool {
        self.source().contains(start)
    }
}

// SAFETY: as for `BestFit`; large blocks lie in regions of the buffer as well.
unsafe impl<P: Policy, H: Hook> Owns for Segregated<Buffer<'_>, P, H> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, _: Layout) -> bool {
        self.source().contains(start)
    }
}

// SAFETY: its blocks are the strategy's.
unsafe impl<S: Strategy + Owns> Owns for Local<S> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.run(|strategy| strategy.owns(start, layout))
    }
}

/// Takes the lock.
// SAFETY: its blocks are the strategy's.
unsafe impl<S: Strategy + Owns, R: RawMutex> Owns for Locked<S, R> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.run(|strategy| strategy.owns(start, layout))
    }
}
