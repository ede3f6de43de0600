//! The shadow of an arena: what lies in it, level by level, and which drops are due.
//!
//! ```text
//! levels │ root │ mark │ mark │ guard │ guard │     the last is the innermost
//!           │
//!           ├ blocks: where, with what layout, filled with what
//!           └ kept: numbers of values, oldest first
//! ```
//!
//! # Invariants
//!
//! 1. The memory of every block was handed out, all of it was written, and it was not freed.

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;

use allotrope_scope::Mark;

use super::kept::take_dropped;
use super::step::Which;

/// Memory that was handed out.
#[derive(Clone, Copy)]
pub struct Block {
    /// Where it is.
    pub memory: NonNull<[u8]>,
    /// What it was asked for with; `None` if it is a value, which stays as it is.
    pub layout: Option<Layout>,
    /// What all of its bytes are.
    pub fill: u8,
}

/// How a level began.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Began {
    /// It is the arena itself.
    Root,
    /// By a mark.
    Mark(Mark),
    /// By a guard.
    Guard,
}

/// What came since a scope began.
pub struct Level {
    /// How it began.
    pub began: Began,
    /// How many bytes were in use then, where that is known.
    pub bytes_used: Option<usize>,
    /// The blocks, oldest first.
    pub blocks: Vec<Block>,
    /// The numbers of the values that are kept, oldest first.
    pub kept: Vec<u32>,
}

/// All that lies in an arena.
pub struct Shadow {
    /// Outermost first; there is always a first.
    pub levels: Vec<Level>,
    numbers: u32,
}

impl Shadow {
    /// Of an empty arena.
    pub fn new() -> Self {
        take_dropped();
        let root = Level::new(Began::Root, Some(0));
        Self { levels: vec![root], numbers: 0 }
    }

    /// The innermost level.
    pub fn top(&mut self) -> &mut Level {
        self.levels.last_mut().expect("there is always a first")
    }

    /// The next number, and what to fill a block with: ASCII, and seldom the same.
    pub fn number(&mut self) -> (u32, u8) {
        self.numbers += 1;
        (self.numbers, (self.numbers % 126) as u8 + 1)
    }

    /// The level and index of a block with a layout; a scope reaches its own only.
    pub fn find(&self, which: Which) -> Option<(usize, usize)> {
        let is_scope = self.levels.last()?.began == Began::Guard;
        let reached = if is_scope { 1 } else { self.levels.len() };
        let level = self.levels.len() - 1 - which.level % reached;
        let blocks = &self.levels[level].blocks;
        let with_layout = blocks.iter().enumerate().filter(|(_, block)| block.layout.is_some());
        let indices: Vec<usize> = with_layout.map(|(index, _)| index).collect();
        let index = indices.len().checked_sub(1)? - which.block % indices.len();
        Some((level, indices[index]))
    }

    /// Fills new memory, and remembers it in the innermost level.
    pub fn add(&mut self, memory: NonNull<[u8]>, layout: Layout, fill: u8) -> Result<(), String> {
        let address = memory.addr().get();
        if memory.len() != layout.size() || !address.is_multiple_of(layout.align()) {
            return Err(format!("{} bytes at {address:#x} for {layout:?}", memory.len()));
        }
        // SAFETY: the memory is as long as it says, and was just handed out.
        unsafe { memory.cast::<u8>().write_bytes(fill, memory.len()) };
        self.top().blocks.push(Block { memory, layout: Some(layout), fill });
        Ok(())
    }

    /// Checks every block.
    pub fn check(&self) -> Result<(), String> {
        self.levels.iter().flat_map(|level| &level.blocks).try_for_each(Block::check)
    }

    /// Takes the innermost level away, as its end does.
    pub fn end(&mut self) -> Level {
        assert!(self.levels.len() > 1, "the arena itself does not end");
        self.levels.pop().expect("there are two")
    }

    /// Checks that the values with these numbers were dropped, the last first, and no others.
    pub fn expect_drops(&self, kept: &[u32]) -> Result<(), String> {
        let dropped = take_dropped();
        if dropped.iter().eq(kept.iter().rev()) {
            return Ok(());
        }
        Err(format!("the kept values {kept:?} are due, last first, but dropped are {dropped:?}"))
    }
}

impl Default for Shadow {
    fn default() -> Self {
        Self::new()
    }
}

impl Level {
    /// One that is empty.
    pub const fn new(began: Began, bytes_used: Option<usize>) -> Self {
        Self { began, bytes_used, blocks: Vec::new(), kept: Vec::new() }
    }
}

impl Block {
    /// Checks that its bytes are what they were filled with.
    pub fn check(&self) -> Result<(), String> {
        self.check_range(0..self.memory.len())
    }

    /// Checks some of its bytes.
    pub fn check_range(&self, range: Range<usize>) -> Result<(), String> {
        // SAFETY: invariant 1; nobody writes while this is borrowed.
        let bytes = unsafe { self.memory.as_ref() };
        match range.into_iter().find(|at| bytes[*at] != self.fill) {
            None => Ok(()),
            Some(at) => Err(format!(
                "byte {at} of {} at {:#x} is {:#x}, not {:#x}",
                bytes.len(),
                self.memory.addr(),
                bytes[at],
                self.fill
            )),
        }
    }
}
