//! The walk: steps are made, and the shadow says what each has to do.
//!
//! # Invariants
//!
//! 1. Every block in the shadow was handed out by the heap, by its way and with its layout, was
//!    filled, and was not freed.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_core::Source;
use allotrope_heap::LocalHeap;

use super::step::{Step, Way};
use crate::calls::Verdict;

/// Of a large block so many bytes at each end are looked at after every step, all when it goes.
const LOOKED_AT: usize = 4096;

/// Memory that was handed out.
#[derive(Clone, Copy, Debug)]
struct Block {
    memory: NonNull<[u8]>,
    layout: Layout,
    way: Way,
    fill: u8,
}

/// A heap, and what lies in it.
pub struct Walk<S: Source> {
    heap: LocalHeap<S>,
    blocks: Vec<Block>,
    /// Fills of blocks, one after the other.
    fills: u8,
}

impl<S: Source> Walk<S> {
    /// In a heap in which there is nothing.
    pub const fn new(heap: LocalHeap<S>) -> Self {
        Self { heap, blocks: Vec::new(), fills: 0 }
    }

    /// Makes `steps`, and drops the heap with what is in it; `is_traced` prints each.
    ///
    /// # Errors
    ///
    /// What the heap should not have done.
    pub fn run(mut self, steps: &[Step], is_traced: bool) -> Verdict {
        for step in steps {
            if is_traced {
                eprintln!("{step:?}");
            }
            self.make(*step)?;
            self.blocks.iter().try_for_each(|block| block.check_ends())?;
            self.check_account()?;
        }
        self.blocks.iter().try_for_each(|block| block.check(block.layout.size()))
    }

    fn make(&mut self, step: Step) -> Verdict {
        match step {
            Step::Allocate { way, layout, is_zeroed } => self.allocate(way, layout, is_zeroed),
            Step::Deallocate { block } => {
                let Some(index) = self.find(block) else { return Ok(()) };
                let block = self.blocks.remove(index);
                block.check(block.layout.size())?;
                self.deallocate(block);
                Ok(())
            }
            Step::Grow { block, layout, is_zeroed } => self.resize(block, layout, is_zeroed),
            Step::Shrink { block, layout } => self.resize(block, layout, false),
            Step::Batch { layout, blocks } => self.batch(layout, blocks),
            Step::DeallocateBatch { block } => self.deallocate_batch(block),
            Step::Trim => {
                self.heap.trim();
                Ok(())
            }
            Step::Reset => {
                self.heap.reset();
                self.blocks.clear();
                match self.heap.bytes_used() {
                    0 => Ok(()),
                    bytes => Err(format!("{bytes} bytes are in use after a reset")),
                }
            }
            Step::Limit(limit) => {
                self.heap.set_limit(limit);
                Ok(())
            }
            Step::List => self.list(),
        }
    }

    fn find(&self, block: usize) -> Option<usize> {
        Some(self.blocks.len().checked_sub(1)? - block % self.blocks.len())
    }

    fn next_fill(&mut self) -> u8 {
        self.fills = self.fills % 250 + 1;
        self.fills
    }

    /// Calls the heap, or the view that the way names.
    fn by<T>(&self, way: Way, call: impl FnOnce(&dyn Allocator) -> T) -> T {
        match way {
            None => call(&&self.heap),
            Some(strategy) => call(&self.heap.with(strategy)),
        }
    }

    /// Fills new memory and remembers it.
    fn add(&mut self, memory: NonNull<[u8]>, layout: Layout, way: Way) -> Verdict {
        let address = memory.addr().get();
        if memory.len() < layout.size() || !address.is_multiple_of(layout.align()) {
            return Err(format!("{} bytes at {address:#x} for {layout:?}", memory.len()));
        }
        let (start, len) = (address, layout.size());
        let overlaps = |other: &Block| {
            let (at, size) = (other.memory.addr().get(), other.layout.size());
            len > 0 && size > 0 && start < at + size && at < start + len
        };
        if let Some(other) = self.blocks.iter().find(|other| overlaps(other)) {
            return Err(format!("{len} bytes at {start:#x} overlap {other:?}"));
        }
        let fill = self.next_fill();
        // SAFETY: the memory is as long as it says, and was just handed out.
        unsafe { memory.cast::<u8>().write_bytes(fill, layout.size()) };
        self.blocks.push(Block { memory, layout, way, fill });
        Ok(())
    }

    fn allocate(&mut self, way: Way, layout: Layout, is_zeroed: bool) -> Verdict {
        let used = self.heap.bytes_used();
        let said = self.by(way, |heap| match is_zeroed {
            true => heap.allocate_zeroed(layout),
            false => heap.allocate(layout),
        });
        let Ok(memory) = said else { return self.unchanged(used) };
        if is_zeroed {
            let zeroed = Block { memory, layout, way, fill: 0 };
            zeroed.check(memory.len())?;
        }
        self.add(memory, layout, way)
    }

    fn unchanged(&self, used: usize) -> Verdict {
        match self.heap.bytes_used() {
            same if same == used => Ok(()),
            bytes => Err(format!("{bytes} bytes are in use after a failure, {used} before it")),
        }
    }

    fn deallocate(&self, block: Block) {
        self.by(block.way, |heap| {
            // SAFETY: the block was in the shadow: invariant 1.
            unsafe { heap.deallocate(block.memory.cast(), block.layout) };
        });
    }

    /// Grows or shrinks a block, by the size of `layout`.
    fn resize(&mut self, block: usize, layout: Layout, is_zeroed: bool) -> Verdict {
        let Some(index) = self.find(block) else { return Ok(()) };
        let block = self.blocks[index];
        let (start, old) = (block.memory.cast(), block.layout);
        block.check(old.size())?;
        let used = self.heap.bytes_used();
        let said: Result<NonNull<[u8]>, AllocError> = self.by(block.way, |heap| {
            // SAFETY: the block is in the shadow (invariant 1), and the new layout is no smaller,
            // or no larger.
            unsafe {
                match layout.size() >= old.size() {
                    true if is_zeroed => heap.grow_zeroed(start, old, layout),
                    true => heap.grow(start, old, layout),
                    false => heap.shrink(start, old, layout),
                }
            }
        });
        let Ok(memory) = said else { return self.unchanged(used) };
        self.blocks.remove(index);
        Block { memory, ..block }.check(old.size().min(layout.size()))?;
        if is_zeroed && layout.size() > old.size() {
            // SAFETY: the memory is as long as it says.
            let bytes = unsafe { memory.as_ref() };
            if bytes[old.size()..].iter().any(|byte| *byte != 0) {
                return Err(format!("{block:?} grown to {layout:?} has bytes that are not zero"));
            }
        }
        self.add(memory, layout, block.way)
    }

    fn batch(&mut self, layout: Layout, blocks: usize) -> Verdict {
        let mut batch = vec![MaybeUninit::uninit(); blocks];
        let count = self.heap.allocate_batch(layout, &mut batch);
        if count > blocks {
            return Err(format!("a batch of {blocks} has {count}"));
        }
        batch[..count].iter().try_for_each(|start| {
            // SAFETY: so many were written.
            let start = unsafe { start.assume_init() };
            self.add(NonNull::slice_from_raw_parts(start, layout.size()), layout, None)
        })
    }

    fn deallocate_batch(&mut self, block: usize) -> Verdict {
        let Some(index) = self.find(block) else { return Ok(()) };
        let layout = self.blocks[index].layout;
        let is_of_it = |block: &mut Block| block.layout == layout && block.way.is_none();
        let gone: Vec<Block> = self.blocks.extract_if(.., is_of_it).collect();
        gone.iter().try_for_each(|block| block.check(layout.size()))?;
        let starts: Vec<NonNull<u8>> = gone.iter().map(|block| block.memory.cast()).collect();
        // SAFETY: the blocks were in the shadow, of the heap itself: invariant 1.
        unsafe { self.heap.deallocate_batch(layout, &starts) };
        Ok(())
    }

    /// Every block that has bytes is listed, once.
    fn list(&self) -> Verdict {
        let mut listed = vec![allotrope_heap::Block::NONE; self.heap.copy_blocks(&mut [])];
        let count = self.heap.copy_blocks(&mut listed);
        if count != listed.len() {
            return Err(format!("{count} blocks are listed, and then {}", listed.len()));
        }
        let with_bytes = self.blocks.iter().filter(|block| block.layout.size() > 0);
        for block in with_bytes.clone() {
            let address = block.memory.addr().get();
            if listed.iter().filter(|other| other.address == address).count() != 1 {
                return Err(format!("{block:?} is not listed once"));
            }
        }
        match with_bytes.count() {
            blocks if blocks == count => Ok(()),
            blocks => Err(format!("{count} blocks are listed of {blocks}")),
        }
    }

    fn check_account(&self) -> Verdict {
        self.heap.check_invariants().map_err(|broken| broken.to_string())?;
        let asked: usize = self.blocks.iter().map(|block| block.layout.size()).sum();
        let (used, held) = (self.heap.bytes_used(), self.heap.bytes_held());
        if asked <= used && used <= held {
            return Ok(());
        }
        Err(format!("{asked} bytes are asked for, {used} in use, {held} held"))
    }
}

impl Block {
    /// Checks the first `size` bytes.
    fn check(&self, size: usize) -> Verdict {
        self.check_bytes(0, size)
    }

    /// Checks both ends.
    fn check_ends(&self) -> Verdict {
        let size = self.layout.size();
        self.check_bytes(0, size.min(LOOKED_AT))?;
        self.check_bytes(size.saturating_sub(LOOKED_AT), size.min(LOOKED_AT))
    }

    fn check_bytes(&self, first: usize, len: usize) -> Verdict {
        // SAFETY: the memory is at least as long as its layout (invariant 1), nobody writes to it
        // meanwhile, and the range lies in it.
        let bytes =
            unsafe { slice::from_raw_parts(self.memory.cast::<u8>().add(first).as_ptr(), len) };
        match bytes.iter().position(|byte| *byte != self.fill) {
            None => Ok(()),
            Some(at) => Err(format!("byte {} of {self:?} is {:#x}", first + at, bytes[at])),
        }
    }
}
