//! Values in blocks that come as raw pointers.

use std::alloc::Layout;

/// Gives out blocks that a value can live in.
///
/// # Safety
///
/// A block fits its layout, overlaps no other, and stays while `self` is borrowed.
pub unsafe trait Blocks {
    fn block(&self, layout: Layout) -> *mut u8;
}

/// Writes a value to a new block.
#[inline(always)]
#[allow(clippy::mut_from_ref, reason = "every call makes a new value, as arenas do")]
pub fn put<T, B: Blocks>(blocks: &B, value: T) -> &mut T {
    let place = blocks.block(Layout::new::<T>()).cast::<T>();
    // SAFETY: the block is new, fits a `T`, and stays while `blocks` is borrowed.
    unsafe {
        place.write(value);
        &mut *place
    }
}

/// Copies a slice to a new block.
#[inline(always)]
#[allow(clippy::mut_from_ref, reason = "every call makes a new slice, as arenas do")]
pub fn put_slice<'a, T: Copy, B: Blocks>(blocks: &'a B, slice: &[T]) -> &'a mut [T] {
    let place = blocks.block(Layout::for_value(slice)).cast::<T>();
    // SAFETY: the block is new, fits the slice, and stays while `blocks` is borrowed.
    unsafe {
        place.copy_from_nonoverlapping(slice.as_ptr(), slice.len());
        std::slice::from_raw_parts_mut(place, slice.len())
    }
}

/// Copies a string to a new block.
#[inline(always)]
#[allow(clippy::mut_from_ref, reason = "every call makes a new string, as arenas do")]
pub fn put_str<'a, B: Blocks>(blocks: &'a B, str: &str) -> &'a mut str {
    // SAFETY: the bytes are those of a `str`.
    unsafe { std::str::from_utf8_unchecked_mut(put_slice(blocks, str.as_bytes())) }
}
