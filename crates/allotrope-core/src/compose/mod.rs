//! Composition: allocators made of allocators.
//!
//! | type | serves a request from |
//! |---|---|
//! | [`Fallback`] | its first part; from its second one what the first refuses |
//! | [`BySize`] | one part if it is small, from another if it is large |
//! | [`Limit`] | its part, as long as a budget of bytes is not used up |
//! | [`AlignTo`] | its part, at a least alignment |
//! | [`Affix`] | its part, with values of the user's before and behind each block |
//! | [`Null`] | nothing |
//!
//! A part is any `Allocator` of allocator-api2 0.2, ours or not, by value or by reference; one of
//! another version goes in by its wrapper of [`compat`](crate::compat). What is composed speaks
//! every version, so all of them nest.
//!
//! Parts have no headers, and neither has what is made of them: where a block came from must be
//! told from its address and its layout alone.
//!
//! # Invariants
//!
//! 1. A part sees no request of size 0: the `composed` macro serves those with a dangling pointer
//!    of length 0, for which nothing is ever freed. So a layout with a size is always of a block
//!    of some part.
//! 2. Every layout that [fits](crate::Strategy#fits) a block leads back to the part that it came
//!    from, and fits it there. Where a part returns more bytes than may be told apart, the rest is
//!    not passed on.
//! 3. What fails has changed nothing: a block that moves is freed when its successor is complete.
//! 4. A part that unwinds is one that fails: the panic goes on to the caller, and nothing is lost. One
//!    that unwinds as it frees what has moved ends the program.

mod affix;
mod align_to;
mod budget;
mod by_size;
mod fallback;
mod limit;
mod null;
mod owns;
mod part;

pub use affix::Affix;
pub use align_to::AlignTo;
pub use budget::{Budget, LocalBudget};
pub use by_size::BySize;
pub use fallback::{Ask, AskFirst, AskSecond, Fallback};
pub use limit::Limit;
pub use null::Null;
pub use owns::Owns;

/// Makes the public methods of a composed allocator of three private ones, which see no size 0:
///
/// - `obtain(&self, layout, fill)` allocates,
/// - `give_back(&self, start, layout)` frees,
/// - `resize(&self, start, old, new, change)` grows, grows zeroed, or shrinks.
///
/// Size 0 is served by `dangling`, unless it is to be another function.
macro_rules! composed {
    () => {
        $crate::compose::composed!($crate::strategy::dangling);
    };
    ($dangling:path) => {
        /// Allocates a block that fits `layout`. A size of 0 is served without touching memory.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when there is no such block; nothing has changed then.
        #[inline]
        pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            if layout.size() == 0 {
                return Ok($dangling(layout));
            }
            self.obtain(layout, $crate::compose::part::Fill::Any)
        }

        /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
        ///
        /// # Errors
        ///
        /// As for [`allocate`](Self::allocate).
        #[inline]
        pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            if layout.size() == 0 {
                return Ok($dangling(layout));
            }
            self.obtain(layout, $crate::compose::part::Fill::Zero)
        }

        /// Frees a block.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::deallocate`](crate::Strategy::deallocate).
        #[inline]
        pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            if layout.size() > 0 {
                // SAFETY: as the caller promises, and the block has a size.
                unsafe { self.give_back(start, layout) };
            }
        }

        /// Makes a block that `old` fits into one for `new`, which is no smaller.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::grow`](crate::Strategy::grow).
        #[inline]
        pub unsafe fn grow(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            if old.size() == 0 {
                return self.allocate(new);
            }
            // SAFETY: as the caller promises, and neither size is 0.
            unsafe { self.resize(start, old, new, $crate::compose::part::Change::Grow) }
        }

        /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
        ///
        /// # Errors
        ///
        /// As for [`grow`](Self::grow).
        ///
        /// # Safety
        ///
        /// As for [`Strategy::grow_zeroed`](crate::Strategy::grow_zeroed).
        #[inline]
        pub unsafe fn grow_zeroed(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            if old.size() == 0 {
                return self.allocate_zeroed(new);
            }
            // SAFETY: as the caller promises, and neither size is 0.
            unsafe { self.resize(start, old, new, $crate::compose::part::Change::GrowZeroed) }
        }

        /// Makes a block that `old` fits into one for `new`, which is no larger.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        /// [`Strategy::shrink`](crate::Strategy::shrink) says when that may be.
        ///
        /// # Safety
        ///
        /// As for [`Strategy::shrink`](crate::Strategy::shrink).
        #[inline]
        pub unsafe fn shrink(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            if new.size() == 0 {
                // SAFETY: as the caller promises; of size 0 there is nothing to keep.
                unsafe { self.deallocate(start, old) };
                return Ok($dangling(new));
            }
            // SAFETY: as the caller promises, and neither size is 0.
            unsafe { self.resize(start, old, new, $crate::compose::part::Change::Shrink) }
        }
    };
}
use composed;
