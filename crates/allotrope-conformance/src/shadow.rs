//! The shadow: what the suite knows about the blocks that are handed out.
//!
//! # Invariants
//!
//! 1. `by_number[live[i].number] == i` for every `i`, and nothing else is in `by_number`.
//! 2. `by_start` holds every live block of nonzero length, and no two of them overlap.

use std::alloc::Layout;
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;

use crate::pattern;
use crate::promise::{Broken, Promise};

/// A block that is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) number: u32,
    pub(crate) start: NonNull<u8>,
    /// What was asked for last.
    pub(crate) requested: Layout,
    /// What was returned: the length that the suite uses.
    pub(crate) len: usize,
    pub(crate) tag: u64,
}

// SAFETY: a live block is memory that belongs to no thread; whoever holds its record is the one
// who may use it, and the allocators whose blocks are sent between threads allow just that.
unsafe impl Send for Live {}

impl Live {
    /// The layout with which the block is freed, grown or shrunk.
    pub(crate) fn fitting(&self, excess: usize) -> Layout {
        let size = self.requested.size().saturating_add(excess).min(self.len);
        // A returned length can exceed what is a layout's size at this alignment.
        Layout::from_size_align(size, self.requested.align()).unwrap_or(self.requested)
    }

    /// Fills the block.
    ///
    /// # Safety
    ///
    /// The block is handed out, or about to be entered as such.
    pub(crate) unsafe fn fill(&self) {
        // SAFETY: the allocator promises that a block is valid for its whole length.
        unsafe { pattern::fill(self.start, self.len, self.tag) };
    }

    /// Whether the block is as [`Live::fill`] left it.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        // SAFETY: a live block was filled when it was entered, and is valid for its whole length.
        let found = unsafe { pattern::first_difference(self.start, self.len, self.len, self.tag) };
        match found {
            None => Ok(()),
            Some(at) => Err(Broken::new(
                Promise::Content,
                format!(
                    "b{} (length {}) was overwritten while it was live, first at byte {at}",
                    self.number, self.len
                ),
            )),
        }
    }
}

/// All blocks that are handed out.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    live: Vec<Live>,
    by_number: HashMap<u32, usize>,
    by_start: BTreeMap<usize, (usize, u32)>,
    bytes: usize,
}

impl Shadow {
    pub(crate) fn live(&self) -> &[Live] {
        &self.live
    }

    /// The sum of all lengths.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, number: u32) -> Option<Live> {
        self.by_number.get(&number).map(|&index| self.live[index])
    }

    /// Whether `len` bytes at `start` overlap no live block.
    pub(crate) fn disjoint(&self, start: NonNull<u8>, len: usize) -> Result<(), Broken> {
        let start = start.addr().get();
        let end = start + len;
        let Some((&below, &(below_len, number))) = self.by_start.range(..end).next_back() else {
            return Ok(());
        };
        if len == 0 || below + below_len <= start {
            return Ok(());
        }
        Err(Broken::new(
            Promise::Disjoint,
            format!(
                "a block of {len} bytes was returned at {start:#x}, which overlaps b{number} at \
                 {below:#x} of {below_len} bytes"
            ),
        ))
    }

    pub(crate) fn insert(&mut self, block: Live) {
        self.by_number.insert(block.number, self.live.len());
        if block.len > 0 {
            self.by_start.insert(block.start.addr().get(), (block.len, block.number));
        }
        self.bytes += block.len;
        self.live.push(block);
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Live> {
        let index = self.by_number.remove(&number)?;
        let block = self.live.swap_remove(index);
        if let Some(moved) = self.live.get(index) {
            self.by_number.insert(moved.number, index);
        }
        if block.len > 0 {
            self.by_start.remove(&block.start.addr().get());
        }
        self.bytes -= block.len;
        Some(block)
    }

    pub(crate) fn check_all(&self) -> Result<(), Broken> {
        self.live.iter().try_for_each(Live::check)
    }

    /// Checks `count` blocks, beginning with one that changes with `turn`.
    pub(crate) fn check_some(&self, count: usize, turn: usize) -> Result<(), Broken> {
        if self.live.len() <= count {
            return self.check_all();
        }
        let from = turn.wrapping_mul(count) % self.live.len();
        self.live.iter().cycle().skip(from).take(count).try_for_each(Live::check)
    }
}
