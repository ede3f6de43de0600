//! Twins: the same calls on two allocators, of which one is trivially right.
//!
//! ```text
//!   plan 0 ══▶ thread 0 ──▶ thread 1 ──▶ … ──▶ thread 0    blocks go round in a ring
//!              │
//!              ├─ under test ─▶ outcomes ─┐
//!              └─ twin ───────▶ outcomes ─┴─▶ are they the same?
//! ```
//!
//! A plan depends on the seed alone, never on what was served or when: every thread makes the same
//! calls, and gives and takes blocks at the same places, whatever the scheduler does. As long as
//! the demand stays below what both allocators hold, each call has one right outcome. Where both
//! return blocks of the same lengths, the same number of bytes is in use when all have done.

#![forbid(unsafe_code)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::actor::{Actor, End, Stage};
use super::{failure, finish, lay_over_each_other};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::promise::{Broken, Promise};
use crate::runner::Tally;
use crate::script::Plan;
use crate::settings::Settings;
use crate::shadow::Live;
use crate::subject::Subject;
use crate::upstream::{Conditions, TestUpstream};

/// A step of a plan.
enum Step {
    /// A call.
    Call(Operation),
    /// The block of this number goes to the next thread, where it was served.
    Give(u32),
    /// The block that the thread before gives arrives, and gets this number.
    Take(u32),
}

/// What an allocator did.
struct Performance {
    /// For each thread, for each of its calls: the length of the block, or that it was refused.
    outcomes: Vec<Vec<Option<usize>>>,
    /// How many bytes were in use when all threads had ended.
    bytes_used: Option<usize>,
    tally: Tally,
}

/// Performs the same on both, and compares.
pub(crate) fn run_twins<S, T>(
    subject: &S,
    twin: &T,
    settings: &Settings,
    seed: u64,
) -> Result<Tally, Box<Failure>>
where
    S: Subject,
    T: Subject,
    for<'u> S::Allocator<'u>: Sync,
    for<'u> T::Allocator<'u>: Sync,
{
    let failed = |who| move |broken| failure(broken, who, settings, seed);
    let ours = perform(subject, settings, seed).map_err(failed("beside a twin"))?;
    let theirs = perform(twin, settings, seed).map_err(failed("as a twin"))?;
    compare(&ours, &theirs).map_err(failed("beside a twin"))?;
    Ok(ours.tally)
}

fn compare(ours: &Performance, theirs: &Performance) -> Result<(), Broken> {
    let differs = |detail: String| Err(Broken::new(Promise::AgreesWithTwin, detail));
    let said = |outcome: Option<usize>| if outcome.is_some() { "served" } else { "refused" };
    for (thread, (ours, theirs)) in ours.outcomes.iter().zip(&theirs.outcomes).enumerate() {
        let mut calls = ours.iter().zip(theirs).enumerate();
        let differing = calls.find(|(_, (ours, theirs))| ours.is_some() != theirs.is_some());
        if let Some((call, (&ours, &theirs))) = differing {
            let (ours, theirs) = (said(ours), said(theirs));
            let detail = format!("call {call} of thread {thread} is {ours}, by the twin {theirs}");
            return differs(detail);
        }
    }
    let same_lengths = ours.outcomes == theirs.outcomes;
    match (ours.bytes_used, theirs.bytes_used) {
        (Some(ours), Some(theirs)) if same_lengths && ours != theirs => differs(format!(
            "with the same blocks handed out, {ours} bytes are in use, and {theirs} of the twin's"
        )),
        _ => Ok(()),
    }
}

fn perform<S>(subject: &S, settings: &Settings, seed: u64) -> Result<Performance, Broken>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Sync,
{
    let upstream = TestUpstream::new(Conditions::default());
    let allocator = subject.make(&upstream);
    let stage = Stage { allocator: &allocator, upstream: &upstream, settings, seed };
    let (ends, outcomes): (Vec<End>, Vec<_>) = in_a_ring(stage).into_iter().unzip();
    let bytes_used = subject.bytes_used(&allocator);
    let result = lay_over_each_other(subject, &allocator, &upstream, settings, ends);
    let tally = finish(allocator, &upstream, settings, result)?;
    Ok(Performance { outcomes, bytes_used, tally })
}

fn in_a_ring(stage: Stage<'_>) -> Vec<(End, Vec<Option<usize>>)> {
    let threads = stage.settings.threads;
    // The k-th thing that a thread takes is the k-th that the one before gives, which it gives
    // after it took its own (k - 1)-th: nobody waits in a circle.
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    senders.rotate_left(1);
    thread::scope(|scope| {
        let parts = senders.into_iter().zip(receivers).enumerate();
        let handles: Vec<_> = parts
            .map(|(nth, (sender, receiver))| {
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    let end = stage.act(nth, |actor| {
                        let steps = steps(stage.settings, stage.seed, nth);
                        actor.follow(steps, (&sender, &receiver), &mut outcomes)
                    });
                    (end, outcomes)
                })
            })
            .collect();
        handles.into_iter().map(|thread| thread.join().expect("an actor catches")).collect()
    })
}

/// What thread `nth` does.
fn steps(settings: &Settings, seed: u64, nth: usize) -> Vec<Step> {
    let mut plan = Plan::new(settings, seed ^ (nth as u64) << 32);
    let mut steps = Vec::new();
    for turn in 0..settings.steps {
        steps.push(Step::Call(plan.next_operation(settings)));
        // All threads trade at the same turns.
        if turn % 8 == 7 {
            let (given, taken) = plan.trade(settings);
            steps.extend([Step::Give(given), Step::Take(taken)]);
        }
    }
    steps
}

impl Actor<'_> {
    fn follow(
        &mut self,
        steps: Vec<Step>,
        (next, before): (&Sender<Option<Live>>, &Receiver<Option<Live>>),
        outcomes: &mut Vec<Option<usize>>,
    ) -> Result<(), Broken> {
        for step in steps {
            match step {
                Step::Call(operation) => {
                    let served = self.runner.tally.served;
                    self.runner.apply(operation)?;
                    let block = self.runner.shadow.get(operation.block());
                    let is_served = self.runner.tally.served > served;
                    outcomes.push(block.filter(|_| is_served).map(|block| block.len));
                }
                // That the next has ended is no fault of this one.
                Step::Give(number) => drop(next.send(self.runner.shadow.remove(number))),
                Step::Take(number) => {
                    if let Ok(Some(block)) = before.recv() {
                        self.adopt_as(block, number)?;
                    }
                }
            }
        }
        self.runner.audit()
    }
}
