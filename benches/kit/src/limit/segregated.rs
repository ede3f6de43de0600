//! The limit of heaps in one buffer: free lists without splitting or coalescing.
//!
//! # Invariants
//!
//! 1. Every block in a list is free, at least 16 bytes long and starts with the list's next block.
//! 2. `frontier` to `end` is the buffer's and was never handed out.

use std::alloc::Layout;
use std::ptr::null_mut;

use super::{CLASSES, class_of};

/// The free lists of [`LimitFreeList`](super::LimitFreeList) inside one buffer, for one thread.
#[derive(Debug)]
pub struct LimitSegregated {
    heads: [*mut u8; CLASSES],
    frontier: *mut u8,
    end: *mut u8,
}

impl LimitSegregated {
    /// A heap in `len` bytes from `start`.
    pub fn new(start: *mut u8, len: usize) -> Self {
        let heads = [null_mut(); CLASSES];
        LimitSegregated { heads, frontier: start, end: start.wrapping_add(len) }
    }

    /// A block, or null.
    ///
    /// # Safety
    ///
    /// The buffer given to `new` is valid for reads and writes, and nobody else's.
    #[inline(always)]
    pub unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let (class, bytes) = class_of(layout);
        let block = self.heads[class];
        if !block.is_null() {
            // SAFETY: invariant 1, and the buffer is there (caller).
            self.heads[class] = unsafe { *block.cast() };
            return block;
        }
        let aligned = |addr: usize| (addr + layout.align() - 1) & !(layout.align() - 1);
        let block = self.frontier.map_addr(aligned);
        if block.addr() + bytes > self.end.addr() {
            return null_mut();
        }
        self.frontier = block.wrapping_add(bytes);
        block
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// `block` came from `allocate` with this layout, and is not used again.
    #[inline(always)]
    pub unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        let (class, _) = class_of(layout);
        // SAFETY: the caller gives up a block of this class, so it has room for a link.
        unsafe { *block.cast() = self.heads[class] };
        self.heads[class] = block;
    }
}
