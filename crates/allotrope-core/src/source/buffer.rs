//! A source of one region: bytes that the user has.

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_sync::facade::atomic::{AtomicBool, Ordering};
use allotrope_sync::facade::const_fn;
use allotrope_sync::fatal::promised;

use super::{Contents, Region, Source};
use crate::AllocError;

/// Bytes of the user's own as a [`Source`]: an array on the stack, a `static`, a mapped file, the
/// RAM that a linker script left over.
///
/// The bytes may be of any number and alignment. They are borrowed, never stored inline: an
/// allocator over a buffer can be moved while its blocks are in use. No other allocator is called,
/// ever. A buffer that is too small for a strategy's bookkeeping makes every allocation fail.
///
/// ```
/// use std::mem::MaybeUninit;
/// use allotrope_core::{BestFit, Buffer, Local};
///
/// let mut bytes = [const { MaybeUninit::uninit() }; 1024];
/// let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
/// let mut squares = allocator_api2::vec::Vec::new_in(&heap);
/// squares.extend((0..10).map(|n| n * n));
/// assert_eq!(squares[9], 81);
/// ```
///
/// It takes `MaybeUninit<u8>` and not `u8`, because what users leave in their blocks (padding,
/// for one) may be uninitialized, and `u8`s that are would be undefined behaviour when the
/// borrow ends.
///
/// Threads may share it, save on a target without compare-and-swap, where it is not `Sync`.
///
/// # Orderings
///
/// The flag that says whether the bytes are lent is set with `Acquire` and cleared with `Release`:
/// who borrows them sees what the borrower before did.
pub struct Buffer<'a> {
    bytes: Bytes<'a>,
    /// Whether threads may share the buffer depends on whether they may share this: where the target
    /// has no compare-and-swap, they may not.
    lent: AtomicBool,
}

/// The bytes, borrowed.
#[derive(Clone, Copy)]
struct Bytes<'a>(NonNull<[u8]>, PhantomData<&'a mut [MaybeUninit<u8>]>);

// SAFETY: they are an exclusive borrow of plain bytes.
unsafe impl Send for Bytes<'_> {}

// SAFETY: a buffer never accesses its bytes, and lends them to one at a time.
unsafe impl Sync for Bytes<'_> {}

impl<'a> Buffer<'a> {
    const_fn! {
        /// The bytes of `bytes` as a source.
        #[inline]
        pub fn new(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
            let start = NonNull::new(bytes.as_mut_ptr().cast::<u8>()).unwrap();
            let bytes = Bytes(NonNull::slice_from_raw_parts(start, bytes.len()), PhantomData);
            Self { bytes, lent: AtomicBool::new(false) }
        }
    }

    const_fn! {
        /// `size` bytes from `start` as a source.
        ///
        /// # Safety
        ///
        /// The bytes are valid for reads and writes, and accessed by nobody else, for all of
        /// `'a`; nor do they lie in a block of an allocator that is an [`Owns`](crate::Owns). They need not be
        /// initialized, and `size` is at most `isize::MAX`.
        pub unsafe fn from_raw_parts(start: NonNull<u8>, size: usize) -> Self {
            let bytes = Bytes(NonNull::slice_from_raw_parts(start, size), PhantomData);
            Self { bytes, lent: AtomicBool::new(false) }
        }
    }

    /// How many bytes it has.
    pub const fn size(&self) -> usize {
        self.bytes.0.len()
    }

    /// Is this address one of its bytes?
    #[cfg(feature = "allocator-api2-02")]
    #[inline(always)]
    pub(crate) fn contains(&self, start: NonNull<u8>) -> bool {
        let first = self.bytes.0.cast::<u8>().addr().get();
        start.addr().get().wrapping_sub(first) < self.size()
    }
}

// SAFETY: the region is the borrowed bytes, which stay where they are for as long as the buffer
// lives, and which nobody else may access meanwhile. `lent` sees to it that they are lent once.
unsafe impl Source for Buffer<'_> {
    #[inline]
    fn reserve(&self, least: usize, _: usize) -> Result<Region, AllocError> {
        if self.size() < least || self.lent.swap(true, Ordering::Acquire) {
            return Err(AllocError);
        }
        Ok(Region::new(self.bytes.0, self.size(), Contents::Unknown))
    }

    #[inline]
    unsafe fn release(&self, region: Region) {
        let is_ours = region.start() == self.bytes.0.cast() && region.size() == self.size();
        promised!(is_ours, "a region that is not from here", region.start().addr().get());
        self.lent.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Buffer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Buffer").field("size", &self.size()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_is_lent_once_until_it_is_released() {
        let mut bytes = [const { MaybeUninit::uninit() }; 64];
        let buffer = Buffer::new(&mut bytes);
        assert_eq!(buffer.reserve(65, 65), Err(AllocError));
        let region = buffer.reserve(1, 1 << 20).unwrap();
        assert_eq!((region.size(), region.committed()), (64, 64));
        assert_eq!(buffer.reserve(1, 1), Err(AllocError));
        // SAFETY: lent just above, and not used.
        unsafe { buffer.release(region) };
        let region = buffer.reserve(64, 64).unwrap();
        // SAFETY: as above.
        unsafe { buffer.release(region) };
    }

    #[test]
    fn empty_buffer_lends_nothing() {
        assert_eq!(Buffer::new(&mut []).reserve(1, 1), Err(AllocError));
    }

    #[test]
    fn buffer_cannot_move_its_region() {
        let mut bytes = [const { MaybeUninit::uninit() }; 64];
        let buffer = Buffer::new(&mut bytes);
        let region = buffer.reserve(1, 1).unwrap();
        // SAFETY: lent just above, and not used.
        let region = unsafe { buffer.grow_region(region, 65, Movement::Allowed) }.unwrap_err();
        assert_eq!(region.size(), 64);
        // SAFETY: as above.
        unsafe { buffer.release(region) };
    }

    use super::super::Movement;
}
