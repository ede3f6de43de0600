//! A block of the allocator under test, as the workloads use it.

use std::alloc::{Layout, alloc, dealloc};

/// A block with its layout, written at both ends, so that no allocator gets away with handing out
/// memory that is not there.
pub struct Block {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: a block is owned memory; it belongs to no thread in particular.
unsafe impl Send for Block {}

impl Block {
    /// A new block of `size` bytes, which is not zero.
    #[inline(always)]
    pub fn new(size: usize) -> Self {
        debug_assert!(size > 0);
        let align = if size >= 16 { 16 } else { 8 };
        // SAFETY: the alignment is a power of two, and no table of sizes has one near `isize::MAX`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        // SAFETY: the size is not zero: the tables of sizes begin at 8.
        let start = unsafe { alloc(layout) };
        assert!(!start.is_null());
        // SAFETY: the block is `size` bytes long.
        unsafe {
            start.write_volatile(size as u8);
            start.add(size - 1).write_volatile(size as u8);
        }
        Block { start, layout }
    }
}

impl Drop for Block {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the block is ours until it is freed here, and `new` wrote its first byte.
        unsafe {
            assert!(self.start.read() == self.layout.size() as u8);
            dealloc(self.start, self.layout);
        }
    }
}
