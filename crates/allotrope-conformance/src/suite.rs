//! The suite: what a user configures and runs.

#![forbid(unsafe_code)]

use std::alloc::GlobalAlloc;

use allocator_api2::alloc::Allocator;

use crate::case::{Outcome, largest_block, run_case};
use crate::failure::{Failure, Report};
use crate::global::AsAllocator;
use crate::minimise::minimise;
use crate::operation::Operation;
use crate::promise::{Broken, Promise};
use crate::runner::Runner;
use crate::script::{self, RandomScript};
use crate::settings::Settings;
use crate::subject::{Checked, Counted, Made, Subject};
use crate::threads;
use crate::upstream::{Conditions, TestUpstream};

/// The contract suite for one way of making an allocator.
///
/// The methods that configure it can be called in any order; [`Suite::run`] or [`Suite::assert`]
/// runs it. See the [crate documentation](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a suite does nothing until it is run"]
pub struct Suite<S> {
    subject: S,
    settings: Settings,
}

impl<F: Fn(TestUpstream) -> A, A: Allocator> Suite<Made<F>> {
    /// A suite for the allocator that `make` makes: over the upstream, or ignoring it.
    pub fn new(make: F) -> Self {
        Self::of(Made(make))
    }
}

impl Suite<()> {
    /// A suite for the `GlobalAlloc` that `make` makes.
    pub fn global<F, G>(make: F) -> Suite<Made<impl Fn(TestUpstream) -> AsAllocator<G>>>
    where
        F: Fn(TestUpstream) -> G,
        G: GlobalAlloc,
    {
        Suite::new(move |upstream| AsAllocator::new(make(upstream)))
    }
}

impl<S: Subject> Suite<S> {
    /// A suite for an allocator that borrows its upstream, or a buffer of it.
    pub fn of(subject: S) -> Self {
        Self { subject, settings: Settings::default() }
    }

    /// Checks what `check` checks as well, in every audit of the whole heap.
    pub fn invariants<C>(self, check: C) -> Suite<Checked<S, C>>
    where
        C: Fn(&S::Allocator<'_>) -> Result<(), String>,
    {
        Suite { subject: Checked { subject: self.subject, check }, settings: self.settings }
    }

    /// Checks that nothing is in use, by what `count` says, of an allocator that was given back all
    /// its blocks.
    pub fn bytes_used<C>(self, count: C) -> Suite<Counted<S, C>>
    where
        C: Fn(&S::Allocator<'_>) -> usize,
    {
        Suite { subject: Counted { subject: self.subject, count }, settings: self.settings }
    }

    /// Sizes at which the allocator changes its ways. Sizes from 64 below to 64 above each are
    /// swept; those around powers of two are anyway.
    pub fn limits(mut self, limits: &[usize]) -> Self {
        self.settings.limits = limits.to_vec();
        self
    }

    /// The largest size that is asked for, impossible ones aside.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.settings.max_size = bytes;
        self
    }

    /// The largest alignment that is asked for.
    ///
    /// # Panics
    ///
    /// Where it is no power of two.
    pub fn max_align(mut self, align: usize) -> Self {
        assert!(align.is_power_of_two(), "an alignment is a power of two");
        self.settings.max_align = align;
        self
    }

    /// How many blocks are live at once, at most.
    pub fn max_live(mut self, blocks: usize) -> Self {
        self.settings.max_live = blocks.max(1);
        self
    }

    /// How many bytes are live at once, roughly.
    pub fn max_live_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_live_bytes = bytes;
        self
    }

    /// Whether the sizes around every limit are swept before the random scripts. On; off for an
    /// allocator whose calls are slow.
    pub fn sweeps(mut self, sweeps: bool) -> Self {
        self.settings.sweeps = sweeps;
        self
    }

    /// How many calls a random script makes.
    pub fn steps(mut self, calls: usize) -> Self {
        self.settings.steps = calls;
        self
    }

    /// Checks the invariants after each of the first `each` calls of a script and after every
    /// `every`th one, not in audits alone.
    pub fn checked_steps(mut self, each: u64, every: u64) -> Self {
        self.settings.checked_steps = (each, every.max(1));
        self
    }

    /// The seeds of the random scripts.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.settings.seeds = seeds.into_iter().collect();
        self
    }

    /// Limits on what the upstream lends, each for random scripts of their own.
    pub fn bytes_limits(mut self, limits: &[usize]) -> Self {
        self.settings.bytes_limits = limits.to_vec();
        self
    }

    /// How many calls of the upstream are made to fail, one after the other.
    pub fn failing_calls(mut self, calls: u64) -> Self {
        self.settings.failing_calls = calls;
        self
    }

    /// How many threads run at the same time in [`Suite::run_threads`].
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// How many threads follow each other that make a few calls and end, in
    /// [`Suite::run_threads`].
    pub fn short_lives(mut self, threads: usize) -> Self {
        self.settings.short_lives = threads;
        self
    }

    /// Whether the largest block that a new allocator serves has to be served again after any
    /// churn, once everything is free: true of an allocator in one buffer that coalesces. Off.
    pub fn fills_again(mut self, fills: bool) -> Self {
        self.settings.fills_again = fills;
        self
    }

    /// Whether every block has to lie in memory of the upstream. Off; with it, a block from
    /// nowhere is found before the suite writes to it.
    pub fn only_from_upstream(mut self, only: bool) -> Self {
        self.settings.only_from_upstream = only;
        self
    }

    /// Whether a dropped allocator has given everything back to the upstream. On.
    pub fn gives_all_back(mut self, gives: bool) -> Self {
        self.settings.gives_all_back = gives;
        self
    }

    /// Whether sizes that no memory holds are asked for, which `Err` must answer. On.
    pub fn impossible_requests(mut self, requests: bool) -> Self {
        self.settings.impossible_requests = requests;
        self
    }

    /// Whether every call is printed to standard error before it is made. Off; for an allocator
    /// that takes the whole process down.
    pub fn trace(mut self, trace: bool) -> Self {
        self.settings.trace = trace;
        self
    }

    /// Runs the suite on this thread.
    ///
    /// # Errors
    ///
    /// The first broken promise, minimised.
    pub fn run(&self) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        if self.settings.sweeps {
            self.sweep(&mut report)?;
        }
        let calls = self.random_scripts(&mut report)?;
        if calls > 0 {
            self.short_upstreams(&mut report)?;
            self.failing_upstreams(&mut report)?;
        }
        Ok(report)
    }

    /// Runs the suite on this thread, and panics with the failure if there is one.
    ///
    /// # Panics
    ///
    /// Where [`Suite::run`] returns an error.
    #[track_caller]
    pub fn assert(&self) -> Report {
        self.run().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Makes exactly these calls, against an upstream that behaves as `conditions` say: a failure
    /// that was found once, as a regression test.
    ///
    /// # Errors
    ///
    /// The broken promise, minimised.
    pub fn replay(
        &self,
        operations: &[Operation],
        conditions: Conditions,
    ) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        self.case(&mut report, (0, conditions, None), &mut |runner| {
            runner.thorough = true;
            script::replay(runner, &mut operations.to_vec())
        })?;
        Ok(report)
    }

    fn sweep(&self, report: &mut Report) -> Result<(), Box<Failure>> {
        for limit in self.settings.all_limits() {
            self.case(report, (0, Conditions::default(), None), &mut |runner| {
                script::sweep(runner, limit)
            })?;
        }
        Ok(())
    }

    /// Runs every seed, and returns how many calls reached the upstream.
    fn random_scripts(&self, report: &mut Report) -> Result<u64, Box<Failure>> {
        let mut calls = 0;
        for &seed in &self.settings.seeds {
            // An upstream may return more than it was asked for.
            let conditions =
                Conditions { excess: [0, 0, 24, 4096][seed as usize % 4], ..Conditions::default() };
            let refill = self.refill(conditions);
            let steps = self.settings.steps;
            let outcome = self.random_case(report, (seed, conditions, refill), steps)?;
            if outcome.tally.served == 0 && steps > 0 {
                return Err(serves_nothing(seed, conditions, &outcome.operations));
            }
            calls += outcome.upstream_calls;
        }
        Ok(calls)
    }

    fn short_upstreams(&self, report: &mut Report) -> Result<(), Box<Failure>> {
        for &limit in &self.settings.bytes_limits {
            let conditions = Conditions { bytes_limit: Some(limit), ..Conditions::default() };
            let refill = self.refill(conditions);
            for &seed in &self.settings.seeds {
                let steps = self.settings.steps / 4;
                self.random_case(report, (seed, conditions, refill), steps)?;
            }
        }
        Ok(())
    }

    /// A short script with an upstream that fails at its first call, its second, and so on until
    /// the script ends before the call that would fail.
    fn failing_upstreams(&self, report: &mut Report) -> Result<(), Box<Failure>> {
        let steps = self.settings.steps.min(400);
        let Some(&seed) = self.settings.seeds.first() else { return Ok(()) };
        for keeps_failing in [false, true] {
            for nth in 1..=self.settings.failing_calls {
                let fails_at = Some(nth);
                let conditions = Conditions { fails_at, keeps_failing, ..Conditions::default() };
                let outcome = self.random_case(report, (seed, conditions, None), steps)?;
                if outcome.upstream_refusals == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn refill(&self, conditions: Conditions) -> Option<usize> {
        let fills_again = self.settings.fills_again;
        fills_again.then(|| largest_block(&self.subject, conditions)).flatten()
    }

    fn random_case(
        &self,
        report: &mut Report,
        circumstances: Circumstances,
        steps: usize,
    ) -> Result<Outcome, Box<Failure>> {
        self.case(report, circumstances, &mut |runner| {
            let mut script = RandomScript::new(runner.settings(), circumstances.0);
            (0..steps).try_for_each(|_| script.step(runner))
        })
    }

    fn case(
        &self,
        report: &mut Report,
        circumstances: Circumstances,
        script: &mut dyn FnMut(&mut Runner<'_>) -> Result<(), Broken>,
    ) -> Result<Outcome, Box<Failure>> {
        let (_, conditions, refill) = circumstances;
        let mut outcome = run_case(&self.subject, &self.settings, conditions, refill, script);
        report.add(outcome.tally);
        report.upstream_refusals += outcome.upstream_refusals;
        let result = std::mem::replace(&mut outcome.result, Ok(()));
        match result {
            Ok(()) => Ok(outcome),
            Err(broken) => Err(self.failure(circumstances, outcome, broken)),
        }
    }

    fn failure(
        &self,
        (seed, conditions, refill): Circumstances,
        outcome: Outcome,
        broken: Broken,
    ) -> Box<Failure> {
        let step = outcome.operations.len();
        let circumstances = (conditions, refill);
        let minimal =
            minimise(&self.subject, &self.settings, circumstances, outcome.operations, broken);
        Box::new(Failure {
            promise: minimal.broken.promise,
            seed,
            step,
            detail: minimal.broken.detail,
            minimal: minimal.operations,
            conditions: minimal.conditions,
            reproduced: minimal.reproduced,
        })
    }
}

/// There is nothing to minimise: one refused call is as good as all of them.
fn serves_nothing(seed: u64, conditions: Conditions, operations: &[Operation]) -> Box<Failure> {
    let step = operations.len();
    Box::new(Failure {
        promise: Promise::Serves,
        seed,
        step,
        detail: format!("none of {step} calls returned a block; this was the first"),
        minimal: operations.iter().take(1).copied().collect(),
        conditions,
        reproduced: true,
    })
}

/// The seed, the upstream's behaviour, and the size that has to be served at the end.
type Circumstances = (u64, Conditions, Option<usize>);

impl<S> Suite<S>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Sync,
{
    /// Runs the suite on this thread, then as [`Suite::run_threads`] does.
    ///
    /// # Errors
    ///
    /// The first broken promise. What several threads break has no minimal sequence.
    pub fn run_shared(&self) -> Result<Report, Box<Failure>> {
        let mut report = self.run()?;
        self.share(&mut report)?;
        Ok(report)
    }

    /// Runs only what needs several threads that share one allocator: they pass blocks to each
    /// other through a mailbox and through bounded channels, grow, shrink and free what others
    /// allocated, and end with blocks in hand that those who come later inherit, thousands of
    /// times.
    ///
    /// What one thread can break [`Suite::run`] finds as well, and with a minimal sequence.
    ///
    /// # Errors
    ///
    /// The first broken promise.
    pub fn run_threads(&self) -> Result<Report, Box<Failure>> {
        let mut report = Report::default();
        self.share(&mut report)?;
        Ok(report)
    }

    /// As [`Suite::run_threads`], and panics with the failure if there is one.
    ///
    /// # Panics
    ///
    /// Where [`Suite::run_threads`] returns an error.
    #[track_caller]
    pub fn assert_threads(&self) -> Report {
        self.run_threads().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Makes the same calls, from several threads, on this allocator and on a `twin` that is
    /// trivially right, such as the same strategy behind a lock, and compares them: what one serves
    /// the other has to serve, and where both return blocks of the same lengths they have the same
    /// number of bytes in use (see [`Suite::bytes_used`]).
    ///
    /// The settings are those of this suite. The demand has to be one that both can serve: each
    /// thread has at most [`Suite::max_live`] blocks of [`Suite::max_live_bytes`] bytes in all, to
    /// which one of [`Suite::max_size`] may come.
    ///
    /// # Errors
    ///
    /// The first broken promise of either, or [`Promise::AgreesWithTwin`].
    pub fn run_twins<T>(&self, twin: &Suite<T>) -> Result<Report, Box<Failure>>
    where
        T: Subject,
        for<'u> T::Allocator<'u>: Sync,
    {
        let mut report = Report::default();
        for &seed in &self.settings.seeds {
            report.add(threads::run_twins(&self.subject, &twin.subject, &self.settings, seed)?);
        }
        Ok(report)
    }

    /// As [`Suite::run_twins`], and panics with the failure if there is one.
    ///
    /// # Panics
    ///
    /// Where [`Suite::run_twins`] returns an error.
    #[track_caller]
    pub fn assert_twins<T>(&self, twin: &Suite<T>) -> Report
    where
        T: Subject,
        for<'u> T::Allocator<'u>: Sync,
    {
        self.run_twins(twin).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn share(&self, report: &mut Report) -> Result<(), Box<Failure>> {
        for &seed in &self.settings.seeds {
            report.add(threads::run_shared(&self.subject, &self.settings, seed)?);
        }
        Ok(())
    }

    /// As [`Suite::run_shared`], and panics with the failure if there is one.
    ///
    /// # Panics
    ///
    /// Where [`Suite::run_shared`] returns an error.
    #[track_caller]
    pub fn assert_shared(&self) -> Report {
        self.run_shared().unwrap_or_else(|failure| panic!("{failure}"))
    }
}

impl<S> Suite<S>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Send,
{
    /// Runs the suite on this thread, then with an allocator that moves from thread to thread
    /// together with all its blocks.
    ///
    /// # Errors
    ///
    /// The first broken promise. What is broken after a move has no minimal sequence.
    pub fn run_sent(&self) -> Result<Report, Box<Failure>> {
        let mut report = self.run()?;
        for &seed in &self.settings.seeds {
            report.add(threads::run_sent(&self.subject, &self.settings, seed)?);
        }
        Ok(report)
    }

    /// As [`Suite::run_sent`], and panics with the failure if there is one.
    ///
    /// # Panics
    ///
    /// Where [`Suite::run_sent`] returns an error.
    #[track_caller]
    pub fn assert_sent(&self) -> Report {
        self.run_sent().unwrap_or_else(|failure| panic!("{failure}"))
    }
}
