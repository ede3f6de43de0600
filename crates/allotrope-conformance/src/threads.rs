//! Several threads: sharing one allocator, or passing it on.
//!
//! ```text
//!   thread 0 ──┐  allocate, grow, shrink, free      ┌── thread 2
//!              ├──▶ mailbox of live blocks ─────────┤
//!   thread 1 ──┘                                    └── thread 3
//! ```
//!
//! Every thread has a runner of its own, whose shadow holds the blocks that the thread has now.
//! Blocks of different threads are filled differently, so that two threads which were given the
//! same memory see each other's bytes; at the end all shadows are laid over each other.

#![forbid(unsafe_code)]

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread;

use allocator_api2::alloc::Allocator;

use crate::case::unwound;
use crate::failure::Failure;
use crate::promise::Broken;
use crate::runner::{Runner, Scene, Tally};
use crate::script::RandomScript;
use crate::settings::Settings;
use crate::shadow::{Live, Shadow};
use crate::subject::Subject;
use crate::upstream::{Conditions, TestUpstream};

/// Shares a new allocator between threads.
pub(crate) fn run_shared<S>(
    subject: &S,
    settings: &Settings,
    seed: u64,
) -> Result<Tally, Box<Failure>>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Sync,
{
    let upstream = TestUpstream::new(Conditions::default());
    let allocator = subject.make(&upstream);
    let shared = &allocator;
    let mailbox = Mutex::new(Vec::new());
    let ends: Vec<End> = thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads as u32)
            .map(|nth| {
                let (upstream, mailbox) = (&upstream, &mailbox);
                scope.spawn(move || {
                    let scene =
                        Scene { allocator: shared, invariants: &|| Ok(()), upstream, settings };
                    one_thread(scene, mailbox, seed, nth)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let invariants = || subject.check(&allocator);
    let scene =
        Scene { allocator: &allocator, invariants: &invariants, upstream: &upstream, settings };
    let result = lay_over_each_other(scene, ends, mailbox.into_inner().unwrap_or_default());
    end(allocator, &upstream, settings, seed, result)
}

/// What a thread ends with: its blocks, what it counted, and what it found.
type End = (Vec<Live>, Tally, Result<(), Broken>);

fn one_thread(scene: Scene<'_>, mailbox: &Mutex<Vec<Live>>, seed: u64, nth: u32) -> End {
    let mut runner = Runner::new(scene);
    let seed = seed ^ u64::from(nth) << 32;
    // Every thread numbers its blocks from a number of its own, so that numbers stay distinct.
    let mut script = RandomScript::new(scene.settings, seed, nth << 26);
    let run = AssertUnwindSafe(|| {
        for _ in 0..scene.settings.steps {
            script.step(&mut runner)?;
            if script.chance(10) {
                exchange(&mut runner, &mut script, mailbox)?;
            }
        }
        runner.audit()
    });
    let result = catch_unwind(run).unwrap_or_else(|payload| Err(unwound(payload)));
    (runner.shadow.live().to_vec(), runner.tally, result)
}

/// Puts a block into the mailbox, or takes one out.
fn exchange(
    runner: &mut Runner<'_>,
    script: &mut RandomScript,
    mailbox: &Mutex<Vec<Live>>,
) -> Result<(), Broken> {
    let mut blocks = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
    if script.chance(50) {
        if let Some(block) = script.any_live(runner) {
            runner.shadow.remove(block.number);
            blocks.push(block);
        }
    } else if !blocks.is_empty() {
        let block = blocks.swap_remove(0);
        drop(blocks);
        runner.shadow.disjoint(block.start, block.len)?;
        block.check()?;
        runner.shadow.insert(block);
    }
    Ok(())
}

/// Checks that no two threads have the same memory, and frees everything.
fn lay_over_each_other(scene: Scene<'_>, ends: Vec<End>, rest: Vec<Live>) -> Result<Tally, Broken> {
    let mut runner = Runner::new(scene);
    let mut blocks = rest;
    for (live, tally, result) in ends {
        result?;
        runner.tally.operations += tally.operations;
        runner.tally.served += tally.served;
        runner.tally.refused += tally.refused;
        blocks.extend(live);
    }
    for block in blocks {
        runner.shadow.disjoint(block.start, block.len)?;
        runner.shadow.insert(block);
    }
    let freed = catch_unwind(AssertUnwindSafe(|| runner.free_all()));
    freed.unwrap_or_else(|payload| Err(unwound(payload))).map(|()| runner.tally)
}

/// Passes a new allocator, with all its blocks, from thread to thread.
pub(crate) fn run_sent<S>(
    subject: &S,
    settings: &Settings,
    seed: u64,
) -> Result<Tally, Box<Failure>>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Send,
{
    let upstream = TestUpstream::new(Conditions::default());
    let mut allocator = subject.make(&upstream);
    let mut blocks = Vec::new();
    let mut tally = Tally::default();
    let mut result = Ok(());
    for nth in 0..settings.threads as u32 {
        let carried = mem::take(&mut blocks);
        let lent = &upstream;
        let end: End;
        (allocator, end) = thread::scope(|scope| {
            let stay = scope.spawn(move || {
                let end = one_stay(&allocator, lent, settings, (seed, nth), carried);
                (allocator, end)
            });
            stay.join().expect("a stay catches what unwinds")
        });
        tally.operations += end.1.operations;
        tally.served += end.1.served;
        tally.refused += end.1.refused;
        (blocks, result) = (end.0, end.2);
        if result.is_err() {
            break;
        }
    }
    let invariants = || subject.check(&allocator);
    let scene =
        Scene { allocator: &allocator, invariants: &invariants, upstream: &upstream, settings };
    let result = result.and_then(|()| lay_over_each_other(scene, Vec::new(), blocks));
    end(allocator, &upstream, settings, seed, result.map(|_| tally))
}

fn one_stay(
    allocator: &dyn Allocator,
    upstream: &TestUpstream,
    settings: &Settings,
    (seed, nth): (u64, u32),
    carried: Vec<Live>,
) -> End {
    let scene = Scene { allocator, invariants: &|| Ok(()), upstream, settings };
    let mut runner = Runner::new(scene);
    let mut script = RandomScript::new(settings, seed ^ u64::from(nth) << 32, nth << 26);
    let run = AssertUnwindSafe(|| {
        let mut shadow = Shadow::default();
        carried.into_iter().for_each(|block| shadow.insert(block));
        runner.shadow = shadow;
        runner.audit()?;
        (0..settings.steps / 4).try_for_each(|_| script.step(&mut runner))?;
        runner.audit()
    });
    let result = catch_unwind(run).unwrap_or_else(|payload| Err(unwound(payload)));
    (runner.shadow.live().to_vec(), runner.tally, result)
}

/// Drops the allocator and checks what it leaves.
fn end<A>(
    allocator: A,
    upstream: &TestUpstream,
    settings: &Settings,
    seed: u64,
    result: Result<Tally, Broken>,
) -> Result<Tally, Box<Failure>> {
    let result = match result {
        Err(broken) => {
            // A broken allocator may crash while it drops.
            mem::forget(allocator);
            Err(broken)
        }
        Ok(tally) => {
            drop(allocator);
            let mut left = upstream.fault().and_then(|()| upstream.check_guards());
            if settings.gives_all_back {
                left = left.and_then(|()| upstream.check_settled());
            }
            left.map(|()| tally)
        }
    };
    result.map_err(|broken| {
        Box::new(Failure {
            promise: broken.promise,
            seed,
            step: 0,
            detail: format!("with {} threads: {}", settings.threads, broken.detail),
            minimal: Vec::new(),
            conditions: Conditions::default(),
            reproduced: false,
        })
    })
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> End {
    (Vec::new(), Tally::default(), Err(unwound(payload)))
}
