//! A block of the allocator under test, as the workloads use it.

use std::alloc::Layout;
use std::hint::assert_unchecked;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};

/// A block with its layout, written at both ends, so that no allocator gets away with handing out
/// memory that is not there.
pub struct Block<A: Allocator = Global> {
    start: NonNull<u8>,
    layout: Layout,
    home: A,
}

// SAFETY: a block is owned memory; it belongs to no thread in particular, nor does its allocator.
unsafe impl<A: Allocator + Send> Send for Block<A> {}

impl Block {
    /// A new block of `size` bytes, which is not zero, of the global allocator.
    #[inline(always)]
    pub fn new(size: usize) -> Self {
        Self::new_in(size, Global)
    }
}

impl<A: Allocator> Block<A> {
    /// A new block of `size` bytes, which is not zero.
    #[inline(always)]
    pub fn new_in(size: usize, home: A) -> Self {
        debug_assert!(size > 0);
        // SAFETY: the tables of sizes begin at 8.
        unsafe { assert_unchecked(size > 0) };
        let align = if size >= 16 { 16 } else { 8 };
        // SAFETY: the alignment is a power of two, and no table of sizes has one near `isize::MAX`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        let start = home.allocate(layout).expect("a block").cast::<u8>();
        // SAFETY: the block is `size` bytes long.
        unsafe {
            start.write_volatile(size as u8);
            start.add(size - 1).write_volatile(size as u8);
        }
        Block { start, layout, home }
    }
}

impl<A: Allocator> Drop for Block<A> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the block is ours until it is freed here, and `new_in` wrote its first byte; its
        // size is not zero, see there.
        unsafe {
            assert!(self.start.read() == self.layout.size() as u8);
            assert_unchecked(self.layout.size() > 0);
            self.home.deallocate(self.start, self.layout);
        }
    }
}
