//! Places: what hands out blocks, as those who put values there need it.

use core::alloc::Layout;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Source};

use crate::blocks::block;
use crate::space::Space;

/// Something that hands out blocks: a space of one's own, or one that threads share.
///
/// No method calls the user's code: whoever puts values here runs that between two calls.
///
/// # Safety
///
/// Implementors uphold the *Guarantees*.
///
/// # Guarantees
///
/// A block or place is as long as was asked for, aligned, and valid for reads and writes. It is
/// nobody else's until it is freed, or all blocks of its time are. One that has grown or shrunk keeps
/// its bytes, as many as both sizes have. What a method promises to be zero is.
pub(crate) unsafe trait Places {
    /// A block for a value of type `T`, not initialized, if there is room at hand.
    fn place_here<T>(&self) -> Option<NonNull<T>>;

    /// A block for any layout, if there is room at hand.
    fn allocate_here(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// A block for any layout, where there is none at hand.
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// A block for any layout, all bytes of which are zero.
    #[cfg(target_has_atomic = "ptr")] // Arenas of threads alone call it by way of this trait.
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// Frees a block, or leaves it to the end of its scope.
    ///
    /// # Safety
    ///
    /// `start` is the start of a block from here with this layout, not freed since, that nobody
    /// uses any more.
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout);

    /// Makes a block larger.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), unless it fails; `new` is no smaller than `old`.
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// Makes a block larger; all bytes beyond the old ones are zero.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow).
    #[cfg(target_has_atomic = "ptr")] // As above.
    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// Makes a block smaller.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow), save that `new` is no larger.
    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// A block for a value of type `T`, not initialized.
    #[inline(always)]
    fn place_for<T>(&self) -> Result<NonNull<T>, AllocError> {
        match self.place_here() {
            Some(place) => Ok(place),
            None => self.allocate_elsewhere(Layout::new::<T>()).map(NonNull::cast),
        }
    }

    /// A block for any layout.
    #[inline(always)]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.allocate_here(layout) {
            Some(start) => Ok(block(start, layout)),
            None => self.allocate_elsewhere(layout),
        }
    }
}

// SAFETY: the third invariant of `Space`.
unsafe impl<S: Source> Places for Space<S> {
    #[inline(always)]
    fn place_here<T>(&self) -> Option<NonNull<T>> {
        Space::place_here(self)
    }

    #[inline(always)]
    fn allocate_here(&self, layout: Layout) -> Option<NonNull<u8>> {
        Space::allocate_here(self, layout)
    }

    #[inline(always)]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Space::allocate_elsewhere(self, layout)
    }

    #[cfg(target_has_atomic = "ptr")]
    #[inline(always)]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Space::allocate_zeroed(self, layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { Space::deallocate(self, start, layout) };
    }

    #[inline(always)]
    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Space::grow(self, start, old, new) }
    }

    #[cfg(target_has_atomic = "ptr")]
    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Space::grow_zeroed(self, start, old, new) }
    }

    #[inline(always)]
    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Space::shrink(self, start, old, new) }
    }
}
