//! Random calls, in phases that fill the allocator and phases that empty it.

use std::alloc::Layout;

use crate::operation::Operation;
use crate::promise::Broken;
use crate::random::Random;
use crate::runner::{IMPOSSIBLE, Runner};
use crate::settings::Settings;
use crate::shadow::Live;

/// An endless stream of calls that a seed determines.
#[derive(Debug)]
pub(crate) struct RandomScript {
    random: Random,
    limits: Vec<usize>,
    next_block: u32,
    /// How many steps of this phase are left.
    phase_left: usize,
    /// How many of a hundred calls are allocations in this phase.
    allocations: usize,
}

impl RandomScript {
    /// A script whose blocks are numbered from 0.
    pub(crate) fn new(settings: &Settings, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            limits: settings.all_limits(),
            next_block: 0,
            phase_left: 0,
            allocations: 0,
        }
    }

    /// Makes the next call.
    pub(crate) fn step(&mut self, runner: &mut Runner<'_>) -> Result<(), Broken> {
        if self.phase_left == 0 {
            self.phase_left = 1 + self.random.below(runner.settings().max_live * 2);
            self.allocations = [75, 50, 35, 10][self.random.below(4)];
        }
        self.phase_left -= 1;
        let operation = self.next_operation(runner);
        runner.apply(operation)
    }

    /// A block of those that are live.
    pub(crate) fn any_live(&mut self, runner: &Runner<'_>) -> Option<Live> {
        let live = runner.shadow.live();
        live.get(self.random.below(live.len())).copied()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.random.chance(percent)
    }

    /// A number for the next block.
    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_block;
        self.next_block = number.wrapping_add(1);
        number
    }

    fn next_operation(&mut self, runner: &Runner<'_>) -> Operation {
        let settings = runner.settings();
        let layout = self.layout(settings);
        let full = runner.shadow.live().len() >= settings.max_live
            || runner.shadow.bytes() >= settings.max_live_bytes;
        let Some(live) = self.any_live(runner) else { return self.allocation(layout) };
        if !full && self.random.chance(self.allocations) {
            return self.allocation(layout);
        }
        self.change(&live, layout, settings, full)
    }

    /// A call that frees, shrinks or, unless it is `full`, grows `live`, perhaps to `layout`.
    pub(crate) fn change(
        &mut self,
        live: &Live,
        layout: Layout,
        settings: &Settings,
        full: bool,
    ) -> Operation {
        let (block, excess) = (live.number, self.excess(live));
        let zeroed = self.random.chance(25);
        match self.random.below(10) {
            0..6 => Operation::Deallocate { block, excess },
            6..8 if !full => {
                let layout = self.grown(live, layout, settings);
                Operation::Grow { block, excess, layout, zeroed }
            }
            _ => {
                let layout = self.shrunk(live, layout);
                Operation::Shrink { block, excess, layout }
            }
        }
    }

    pub(crate) fn allocation(&mut self, layout: Layout) -> Operation {
        Operation::Allocate { block: self.number(), layout, zeroed: self.random.chance(15) }
    }

    /// A layout to ask for.
    pub(crate) fn layout(&mut self, settings: &Settings) -> Layout {
        let size = match self.random.below(100) {
            0..35 => self.near_limit(settings),
            35..75 => self.log_uniform(settings.max_size),
            75..95 => self.random.below(129).min(settings.max_size),
            95..99 => 0,
            _ if settings.impossible_requests => IMPOSSIBLE + self.log_uniform(IMPOSSIBLE),
            _ => 1,
        };
        let wide = self.random.chance(35);
        let align = 1
            << self.random.below(
                settings.max_align.min(if wide { usize::MAX } else { 16 }).ilog2() as usize + 1,
            );
        Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>())
    }

    fn near_limit(&mut self, settings: &Settings) -> usize {
        let Some(&limit) = self.limits.get(self.random.below(self.limits.len())) else { return 1 };
        // Half of them at the limit, or one beside it.
        let (below, span) = if self.random.chance(50) { (1, 3) } else { (64, 129) };
        (limit + self.random.below(span)).saturating_sub(below).min(settings.max_size)
    }

    fn log_uniform(&mut self, max: usize) -> usize {
        let bits = self.random.below(max.max(1).ilog2() as usize + 1);
        (self.random.below(1 << bits) + (1 << bits)).min(max)
    }

    /// Any size in the fits range; mostly an end of it.
    fn excess(&mut self, live: &Live) -> usize {
        let room = live.len - live.requested.size().min(live.len);
        match self.random.below(3) {
            0 => 0,
            1 => room,
            _ => self.random.below(room + 1),
        }
    }

    /// A larger layout: somewhat larger, or as large as any; sometimes only more aligned.
    fn grown(&mut self, live: &Live, any: Layout, settings: &Settings) -> Layout {
        let size = match self.random.below(4) {
            0 => live.len,
            1 => live.len.saturating_add(1 + self.random.below(64)).min(settings.max_size),
            2 => live.len.saturating_mul(2).min(settings.max_size),
            _ => any.size(),
        };
        self.with_align(live, any, size)
    }

    fn shrunk(&mut self, live: &Live, any: Layout) -> Layout {
        let size = match self.random.below(4) {
            0 => live.requested.size(),
            1 => live.requested.size().saturating_sub(1 + self.random.below(64)),
            2 => live.requested.size() / 2,
            _ => any.size(),
        };
        self.with_align(live, any, size.min(live.len))
    }

    /// The alignment stays as it is in half of the calls.
    fn with_align(&mut self, live: &Live, any: Layout, size: usize) -> Layout {
        let align = if self.random.chance(50) { live.requested.align() } else { any.align() };
        Layout::from_size_align(size, align).unwrap_or(live.requested)
    }
}
