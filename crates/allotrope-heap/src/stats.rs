//! Statistics: what a heap holds, and what for.

use core::fmt;

use allotrope_core::parts::SizeClass;
use allotrope_core::{Hook, Policy, Source, Strategy};

use crate::engine::Engine;

/// What is in use and held, by route and class; by [`LocalHeap::stats`](crate::LocalHeap::stats), and
/// behind a lock by [`LockedHeap`](crate::LockedHeap). It
/// prints as a table.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Bytes of small blocks in use, each with its class's size.
    pub small: usize,
    /// Bytes of medium blocks in use.
    pub medium: usize,
    /// Bytes of large blocks in use that have an extent of their own.
    pub large: usize,
    /// Bytes of small blocks that are free: in lists and in slabs.
    pub small_free: usize,
    /// Bytes of pages that nobody uses, given back or not.
    pub pages_free: usize,
    /// Bytes held of the source's memory.
    pub held: usize,
    /// The classes.
    classes: [ClassStats; SizeClass::COUNT],
}

/// What a size class has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The size in bytes of its blocks.
    pub block_size: usize,
    /// How many blocks are in use.
    pub used: usize,
    /// How many are free.
    pub free: usize,
}

impl HeapStats {
    pub(crate) fn of<S: Source, P: Policy, H: Hook>(engine: &Engine<S, P, H>) -> Self {
        let mut classes = [ClassStats::default(); SizeClass::COUNT];
        let (mut small, mut small_free) = (0, 0);
        for (place, (class, of)) in classes.iter_mut().zip(engine.each_class()) {
            let block_size = class.block_size();
            let used = of.used() as usize;
            let free = of.total as usize - used;
            *place = ClassStats { block_size, used, free };
            small += used * block_size;
            small_free += free * block_size;
        }
        Self {
            small,
            medium: engine.store.in_blocks,
            large: engine.store.large.bytes_used(),
            small_free,
            pages_free: engine.store.bytes_free(),
            held: engine.bytes_held(),
            classes,
        }
    }

    /// Bytes in use, over all routes.
    pub const fn used(&self) -> usize {
        self.small + self.medium + self.large
    }

    /// The classes that have blocks, the smallest first.
    pub fn classes(&self) -> impl Iterator<Item = &ClassStats> {
        self.classes.iter().filter(|class| class.used + class.free > 0)
    }
}

impl fmt::Display for HeapStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "heap: {} bytes in use of {} held", self.used(), self.held)?;
        writeln!(formatter, "  small   {:>12} in use {:>12} free", self.small, self.small_free)?;
        writeln!(formatter, "  medium  {:>12} in use {:>12} free", self.medium, self.pages_free)?;
        writeln!(formatter, "  large   {:>12} in use", self.large)?;
        for ClassStats { block_size, used, free } in self.classes() {
            writeln!(
                formatter,
                "  class of {block_size:>5} bytes: {used:>8} in use {free:>8} free"
            )?;
        }
        Ok(())
    }
}
