//! An actor: what one thread does to an allocator that it shares, and what it leaves.
//!
//! Its shadow holds the blocks that the thread has now. Blocks come and go between actors by
//! [`Actor::adopt`] and [`Actor::give`]. Nothing else is shared, so that nothing but the allocator
//! orders what one thread writes into a block before what the next one does.

#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::ScopedJoinHandle;

use allocator_api2::alloc::Allocator;

use crate::case::unwound;
use crate::operation::Operation;
use crate::promise::Broken;
use crate::runner::{Runner, Scene, Tally};
use crate::script::RandomScript;
use crate::settings::Settings;
use crate::shadow::Live;
use crate::upstream::TestUpstream;

/// What all actors share.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) allocator: &'a (dyn Allocator + Sync),
    pub(crate) upstream: &'a TestUpstream,
    pub(crate) settings: &'a Settings,
    pub(crate) seed: u64,
}

impl<'a> Stage<'a> {
    /// Plays the part of thread `nth`, in the thread that calls.
    pub(crate) fn act(
        self,
        nth: usize,
        part: impl FnOnce(&mut Actor<'a>) -> Result<(), Broken>,
    ) -> End {
        let Self { allocator, upstream, settings, seed } = self;
        // The invariants of the whole are checked when the others are done.
        let scene = Scene { allocator, invariants: &|| Ok(()), upstream, settings };
        Actor::new(scene, seed, nth).act(part)
    }
}

/// One thread's runner, and the script from which it makes its calls.
pub(crate) struct Actor<'a> {
    pub(crate) runner: Runner<'a>,
    pub(crate) script: RandomScript,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(scene: Scene<'a>, seed: u64, nth: usize) -> Self {
        let script = RandomScript::new(scene.settings, seed ^ (nth as u64) << 32);
        Self { runner: Runner::new(scene), script }
    }

    /// Plays `part`, and catches what unwinds.
    pub(crate) fn act(mut self, part: impl FnOnce(&mut Self) -> Result<(), Broken>) -> End {
        let run = catch_unwind(AssertUnwindSafe(|| part(&mut self)));
        let result = run.unwrap_or_else(|payload| Err(unwound(payload)));
        End { blocks: self.runner.shadow.live().to_vec(), tally: self.runner.tally, result }
    }

    /// Makes `calls` calls, and checks all blocks.
    pub(crate) fn live(&mut self, calls: usize) -> Result<(), Broken> {
        (0..calls).try_for_each(|_| self.script.step(&mut self.runner))?;
        self.runner.audit()
    }

    /// Takes a block over that another thread had, under a number of this thread's.
    pub(crate) fn adopt(&mut self, block: Live) -> Result<Live, Broken> {
        let number = self.script.number();
        self.adopt_as(block, number)
    }

    /// Takes a block over under this number, which none of its blocks has.
    pub(crate) fn adopt_as(&mut self, block: Live, number: u32) -> Result<Live, Broken> {
        self.runner.shadow.disjoint(block.start, block.len)?;
        block.check()?;
        let block = Live { number, ..block };
        self.runner.shadow.insert(block);
        Ok(block)
    }

    /// Gives up one of its blocks, for another thread to adopt.
    pub(crate) fn give(&mut self) -> Option<Live> {
        let block = self.script.any_live(&self.runner)?;
        self.runner.shadow.remove(block.number)
    }

    /// Allocates, and gives the block up.
    pub(crate) fn make(&mut self) -> Result<Option<Live>, Broken> {
        let layout = self.script.layout(self.runner.settings());
        let operation = self.script.allocation(layout);
        self.runner.apply(operation)?;
        Ok(self.runner.shadow.remove(operation.block()))
    }

    /// Frees, grows or shrinks `block`.
    pub(crate) fn change(&mut self, block: &Live) -> Result<(), Broken> {
        let settings = self.runner.settings();
        let layout = self.script.layout(settings);
        let operation = self.script.change(block, layout, settings, false);
        self.runner.apply(operation)
    }

    /// Frees one of its blocks.
    pub(crate) fn free_any(&mut self) -> Result<(), Broken> {
        let Some(block) = self.script.any_live(&self.runner) else { return Ok(()) };
        self.runner.apply(Operation::Deallocate { block: block.number, excess: 0 })
    }
}

/// What a thread ends with: its blocks, what it counted, and what it found.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) blocks: Vec<Live>,
    pub(crate) tally: Tally,
    pub(crate) result: Result<(), Broken>,
}

impl End {
    /// The end of somebody who had `blocks` and did nothing.
    pub(crate) fn with(blocks: Vec<Live>) -> Self {
        Self { blocks, tally: Tally::default(), result: Ok(()) }
    }

    /// The end of a thread, once it has come.
    pub(crate) fn of(thread: ScopedJoinHandle<'_, Self>) -> Self {
        let panicked = |payload: Box<dyn Any + Send>| Self {
            result: Err(unwound(payload)),
            ..Self::with(Vec::new())
        };
        thread.join().unwrap_or_else(panicked)
    }
}
