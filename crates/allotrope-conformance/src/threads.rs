//! Several threads: sharing one allocator, or passing it on.
//!
//! | scenario | what the threads do |
//! |---|---|
//! | [`exchange`] | everything, at random, and blocks change hands |
//! | [`pipeline`] | one allocates, another grows, shrinks and frees |
//! | [`heirs`], long | end with blocks in hand; those that come later free them |
//! | [`heirs`], short | the same, thousands of times, a few calls each |
//! | [`twins`] | what a seed says and nothing else, on two allocators: what one serves the other does |
//! | [`sent`] | one after the other, each with the allocator to itself |
//!
//! Every thread has a runner of its own, whose shadow holds the blocks that the thread has now.
//! Every block is filled with a pattern of its own, so that two threads which were given the same
//! memory see each other's bytes; at the end all shadows are laid over each other, everything is
//! freed, and the allocator as a whole is checked.

#![forbid(unsafe_code)]

mod actor;
mod exchange;
mod heirs;
mod pipeline;
mod sent;
mod twins;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocator_api2::alloc::Allocator;

use crate::case::{settled, unwound};
use crate::failure::Failure;
use crate::promise::Broken;
use crate::runner::{Runner, Scene, Tally};
use crate::settings::Settings;
use crate::subject::Subject;
use crate::upstream::{Conditions, TestUpstream};

use actor::{End, Stage};
pub(crate) use sent::run_sent;
pub(crate) use twins::run_twins;

/// What threads do, with its name.
type Scenario = (&'static str, fn(Stage<'_>) -> Vec<End>);

/// The scenarios for an allocator that threads share.
const SCENARIOS: [Scenario; 4] = [
    ("exchange", exchange::run),
    ("pipeline", pipeline::run),
    ("heirs of long lives", heirs::run_long),
    ("heirs of short lives", heirs::run_short),
];

/// Shares new allocators between threads, one for every scenario.
pub(crate) fn run_shared<S>(
    subject: &S,
    settings: &Settings,
    seed: u64,
) -> Result<Tally, Box<Failure>>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Sync,
{
    let mut tally = Tally::default();
    for (name, run) in SCENARIOS {
        let upstream = TestUpstream::new(Conditions::default());
        let allocator = subject.make(&upstream);
        let ends = run(Stage { allocator: &allocator, upstream: &upstream, settings, seed });
        let result = lay_over_each_other(subject, &allocator, &upstream, settings, ends);
        tally += finish(allocator, &upstream, settings, result)
            .map_err(|broken| failure(broken, name, settings, seed))?;
    }
    Ok(tally)
}

/// Checks that no two threads have the same memory, frees everything, and checks the whole.
fn lay_over_each_other<S: Subject>(
    subject: &S,
    allocator: &S::Allocator<'_>,
    upstream: &TestUpstream,
    settings: &Settings,
    ends: Vec<End>,
) -> Result<Tally, Broken> {
    let invariants = || subject.check(allocator);
    let mut runner = Runner::new(Scene { allocator, invariants: &invariants, upstream, settings });
    let mut blocks = Vec::new();
    for end in ends {
        end.result?;
        runner.tally += end.tally;
        blocks.extend(end.blocks);
    }
    for (number, block) in (0..).zip(blocks) {
        runner.shadow.disjoint(block.start, block.len)?;
        runner.shadow.insert(crate::shadow::Live { number, ..block });
    }
    let freed = catch_unwind(AssertUnwindSafe(|| runner.free_all()));
    freed.unwrap_or_else(|payload| Err(unwound(payload)))?;
    settled(subject, allocator)?;
    Ok(runner.tally)
}

/// Drops the allocator and checks what it leaves.
fn finish<A: Allocator>(
    allocator: A,
    upstream: &TestUpstream,
    settings: &Settings,
    result: Result<Tally, Broken>,
) -> Result<Tally, Broken> {
    let Ok(tally) = result else {
        // A broken allocator may crash while it drops.
        mem::forget(allocator);
        return result;
    };
    drop(allocator);
    upstream.fault()?;
    upstream.check_guards()?;
    if settings.gives_all_back {
        upstream.check_settled()?;
    }
    Ok(tally)
}

fn failure(broken: Broken, scenario: &str, settings: &Settings, seed: u64) -> Box<Failure> {
    Box::new(Failure {
        promise: broken.promise,
        seed,
        step: 0,
        detail: format!("{scenario}, with {} threads: {}", settings.threads, broken.detail),
        minimal: Vec::new(),
        conditions: Conditions::default(),
        reproduced: false,
    })
}
