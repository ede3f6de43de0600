//! The limit of arenas: subtract, mask, compare, store.

use std::alloc::Layout;
use std::cell::Cell;

use super::map;

/// A frontier that goes down inside one mapped region.
#[derive(Debug)]
pub struct LimitBump {
    start: *mut u8,
    size: usize,
    frontier: Cell<*mut u8>,
}

impl LimitBump {
    /// A frontier at the end of a new region of `size` bytes.
    pub fn new(size: usize) -> Self {
        let start = map(size);
        assert!(!start.is_null(), "no region of {size} bytes");
        LimitBump { start, size, frontier: Cell::new(start.wrapping_add(size)) }
    }

    /// A block; the program ends where there is no room.
    #[inline(always)]
    pub fn allocate(&self, layout: Layout) -> *mut u8 {
        let below = |addr: usize| addr.wrapping_sub(layout.size()) & !(layout.align() - 1);
        let block = self.frontier.get().map_addr(below);
        if block < self.start {
            exhausted();
        }
        self.frontier.set(block);
        block
    }

    /// Where the frontier is.
    #[inline(always)]
    pub fn mark(&self) -> *mut u8 {
        self.frontier.get()
    }

    /// Sets the frontier back to a mark of this bump: all blocks since then are free.
    #[inline(always)]
    pub fn reset_to(&self, mark: *mut u8) {
        self.frontier.set(mark);
    }

    /// Sets the frontier back to the end of the region: all blocks are free.
    #[inline(always)]
    pub fn reset(&self) {
        self.frontier.set(self.start.wrapping_add(self.size));
    }
}

impl Drop for LimitBump {
    fn drop(&mut self) {
        // SAFETY: `new` mapped this region, and whoever still had a block of it borrowed `self`.
        unsafe { libc::munmap(self.start.cast(), self.size) };
    }
}

#[cold]
#[inline(never)]
fn exhausted() -> ! {
    panic!("the limit bump region is too small for this workload")
}
