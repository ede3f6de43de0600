//! Random calls that depend on nothing but the seed, so that two allocators get the same.

#![forbid(unsafe_code)]

use std::alloc::Layout;

use crate::operation::Operation;
use crate::random::Random;
use crate::settings::Settings;

use super::RandomScript;

/// A list of calls, made one by one.
///
/// It keeps its own account of which blocks there are: those that it asked for. Where an allocator
/// refuses one, the calls on it are skipped.
#[derive(Debug)]
pub(crate) struct Plan {
    layouts: RandomScript,
    random: Random,
    /// The blocks that were asked for, and what for.
    live: Vec<(u32, Layout)>,
    next_block: u32,
}

impl Plan {
    pub(crate) fn new(settings: &Settings, seed: u64) -> Self {
        let layouts = RandomScript::new(settings, seed);
        Self { layouts, random: Random::new(!seed), live: Vec::new(), next_block: 0 }
    }

    pub(crate) fn next_operation(&mut self, settings: &Settings) -> Operation {
        let bytes: usize = self.live.iter().map(|(_, layout)| layout.size()).sum();
        let full = self.live.len() >= settings.max_live || bytes >= settings.max_live_bytes;
        let zeroed = self.random.chance(20);
        if self.live.is_empty() || (!full && self.random.chance(55)) {
            let layout = self.layouts.layout(settings);
            let block = self.number();
            if layout.size() <= settings.max_size {
                self.live.push((block, layout));
            }
            return Operation::Allocate { block, layout, zeroed };
        }
        let index = self.random.below(self.live.len());
        let (block, old) = self.live[index];
        let size = match self.random.below(4) {
            0 if !full => self.random.below(settings.max_size + 1).max(old.size()),
            1 => self.random.below(old.size() + 1),
            _ => {
                self.live.swap_remove(index);
                return Operation::Deallocate { block, excess: 0 };
            }
        };
        let layout = Layout::from_size_align(size, old.align()).unwrap_or(old);
        self.live[index].1 = layout;
        if size >= old.size() {
            Operation::Grow { block, excess: 0, layout, zeroed }
        } else {
            Operation::Shrink { block, excess: 0, layout }
        }
    }

    /// Which block to give away, and under which number to take one for it.
    ///
    /// Only the other thread's plan knows what was taken: this one takes it for the largest there
    /// is, so that the demand is never higher than it believes.
    pub(crate) fn trade(&mut self, settings: &Settings) -> (u32, u32) {
        let taken = self.number();
        if self.live.is_empty() {
            return (taken, taken);
        }
        let index = self.random.below(self.live.len());
        let (given, old) = self.live[index];
        let largest = Layout::from_size_align(settings.max_size, 1).unwrap_or(old);
        self.live[index] = (taken, largest);
        (given, taken)
    }

    fn number(&mut self) -> u32 {
        self.next_block += 1;
        self.next_block - 1
    }
}
