//! Minimising: the shortest list of calls that still breaks the promise.
//!
//! First whole runs of calls are left out, half of the list, then quarters, down to single calls;
//! then what is left is made simpler, call by call: smaller, less aligned, not zeroed, freed with
//! the size requested. Every attempt is a case of its own, from a new allocator on.

#![forbid(unsafe_code)]

use std::alloc::Layout;

use crate::case::run_case;
use crate::operation::Operation;
use crate::promise::{Broken, Promise};
use crate::script;
use crate::settings::Settings;
use crate::subject::Subject;
use crate::upstream::Conditions;

/// How often a failing list is run again before it counts as one that cannot be reproduced.
const ATTEMPTS: usize = 4;

/// What minimising found.
pub(crate) struct Minimal {
    pub(crate) operations: Vec<Operation>,
    pub(crate) conditions: Conditions,
    pub(crate) broken: Broken,
    pub(crate) reproduced: bool,
}

/// Minimises `operations`, which broke a promise.
pub(crate) fn minimise<S: Subject>(
    subject: &S,
    settings: &Settings,
    (conditions, refill): (Conditions, Option<usize>),
    operations: Vec<Operation>,
    broken: Broken,
) -> Minimal {
    let mut search = Search {
        subject,
        settings,
        conditions,
        refill,
        promise: broken.promise,
        calls_left: if cfg!(miri) { 2_000 } else { 5_000_000 },
    };
    // Every attempt writes other bytes, and one in 256 leaves the very byte that is missing.
    let attempts = (0..ATTEMPTS).find_map(|_| search.attempt(operations.clone()));
    let Some(mut found) = attempts else {
        return Minimal { operations, conditions, broken, reproduced: false };
    };
    search.leave_out(&mut found);
    search.simplify(&mut found);
    search.leave_out(&mut found);
    let broken = search.name_the_cause(&found);
    renumber(&mut found.0);
    // The numbers in the detail are those of the list, so the list is run once more.
    let detail = search.attempt(found.0.clone()).map_or(broken.detail.clone(), |(_, again)| {
        let promise = broken.promise;
        again.into_evidence_against(promise).detail
    });
    let broken = Broken { detail, ..broken };
    Minimal { operations: found.0, conditions: search.conditions, broken, reproduced: true }
}

/// A list that breaks the promise, and how it does.
type Found = (Vec<Operation>, Broken);

struct Search<'a, S> {
    subject: &'a S,
    settings: &'a Settings,
    conditions: Conditions,
    refill: Option<usize>,
    promise: Promise,
    /// Minimising ends, wherever it is, when so many calls were made.
    calls_left: usize,
}

impl<S: Subject> Search<'_, S> {
    /// The list, cut after the step that breaks the promise; or `None` where none does.
    fn attempt(&mut self, mut operations: Vec<Operation>) -> Option<Found> {
        self.calls_left = self.calls_left.saturating_sub(operations.len() + 10);
        let mut script = |runner: &mut crate::runner::Runner<'_>| {
            // An audit after every step finds the exact one, where that is affordable.
            runner.thorough = operations.len() <= 300;
            script::replay(runner, &mut operations)
        };
        let outcome =
            run_case(self.subject, self.settings, self.conditions, self.refill, &mut script);
        let broken = outcome.result.err()?;
        operations.truncate(outcome.operations.len());
        (broken.promise == self.promise).then_some((operations, broken))
    }

    /// Replaces `found` by `operations` where these break the promise too.
    fn accept(&mut self, found: &mut Found, operations: Vec<Operation>) -> bool {
        if self.calls_left == 0 {
            return false;
        }
        match self.attempt(operations) {
            Some(better) => {
                *found = better;
                true
            }
            None => false,
        }
    }

    fn leave_out(&mut self, found: &mut Found) {
        // Most failures need only what came shortly before them.
        for last in [4, 32, 256, 2_048] {
            let from = found.0.len().saturating_sub(last);
            if from > 0 && self.accept(found, found.0[from..].to_vec()) {
                break;
            }
        }
        let mut run = found.0.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            let mut shorter = false;
            while from < found.0.len() {
                let to = (from + run).min(found.0.len());
                let rest = [&found.0[..from], &found.0[to..]].concat();
                if self.accept(found, rest) {
                    shorter = true;
                } else {
                    from = to;
                }
            }
            match run {
                1 if !shorter || self.calls_left == 0 => return,
                _ => run = run.div_ceil(2).min(found.0.len().max(1)),
            }
            if self.calls_left == 0 {
                return;
            }
        }
    }

    fn simplify(&mut self, found: &mut Found) {
        let mut nth = 0;
        while nth < found.0.len() {
            for simpler in simpler(found.0[nth]) {
                let mut operations = found.0.clone();
                operations[nth] = simpler;
                if self.accept(found, operations) && nth >= found.0.len() {
                    return;
                }
            }
            nth += 1;
        }
        if let Some(nth) = self.conditions.fails_at {
            let before = self.conditions;
            for earlier in 1..nth.min(50) {
                self.conditions.fails_at = Some(earlier);
                if self.accept(found, found.0.clone()) {
                    return;
                }
                self.conditions = before;
            }
        }
    }

    /// A minimal list that passes without a cause convicts that cause.
    fn name_the_cause(&mut self, found: &Found) -> Broken {
        let (operations, broken) = found.clone();
        let innocent_of_excess = [without_excess(&operations), with_larger_requests(&operations)]
            .into_iter()
            .any(|exact| exact.is_none_or(|exact| !self.breaks_nothing(exact)));
        if !innocent_of_excess {
            return broken.into_evidence_against(Promise::FitsRange);
        }
        let conditions = self.conditions;
        let direct = matches!(self.promise, Promise::FillsAgain | Promise::Returns);
        if conditions.refuse() && !direct {
            self.conditions = Conditions { excess: conditions.excess, ..Conditions::default() };
            let passes = self.breaks_nothing(operations);
            self.conditions = conditions;
            if passes {
                return broken.into_evidence_against(Promise::FailureKeepsState);
            }
        }
        broken
    }

    fn breaks_nothing(&mut self, mut operations: Vec<Operation>) -> bool {
        let mut script = |runner: &mut crate::runner::Runner<'_>| {
            runner.thorough = true;
            script::replay(runner, &mut operations)
        };
        let outcome =
            run_case(self.subject, self.settings, self.conditions, self.refill, &mut script);
        outcome.result.is_ok()
    }
}

/// Numbers the blocks from 0, in the order in which the list names them.
fn renumber(operations: &mut [Operation]) {
    let mut numbers = Vec::new();
    for operation in operations {
        let number = operation.block_mut();
        let known = numbers.iter().position(|known| known == number);
        let new = known.unwrap_or(numbers.len());
        if known.is_none() {
            numbers.push(*number);
        }
        *number = new as u32;
    }
}

/// The list with every block used at the size requested, if it is not so already.
fn without_excess(operations: &[Operation]) -> Option<Vec<Operation>> {
    let mut exact = operations.to_vec();
    let excesses = exact.iter_mut().filter_map(Operation::excess_mut);
    let changed: usize = excesses.map(std::mem::take).sum();
    (changed > 0).then_some(exact)
}

/// The list with the same old layouts, but with these sizes requested from the start.
///
/// A list that passes like this, and without excess, needs sizes between the requested and the
/// returned one to break its promise.
fn with_larger_requests(operations: &[Operation]) -> Option<Vec<Operation>> {
    let mut exact = operations.to_vec();
    for nth in (0..exact.len()).rev() {
        let block = exact[nth].block();
        let Some(excess) = exact[nth].excess_mut().map(std::mem::take) else { continue };
        let before = exact[..nth].iter_mut().rev().find(|before| before.block() == block);
        if let Some(layout) = before.and_then(Operation::layout_mut) {
            *layout = Layout::from_size_align(layout.size() + excess, layout.align()).ok()?;
        }
    }
    Some(exact)
}

/// Simpler forms of a call, the simplest first.
fn simpler(operation: Operation) -> Vec<Operation> {
    let mut all = Vec::new();
    let mut plain = operation;
    if let Operation::Allocate { zeroed, .. } | Operation::Grow { zeroed, .. } = &mut plain {
        *zeroed = false;
    }
    all.push(plain);
    for fewer in [0, 1] {
        let mut exact = operation;
        if let Some(excess) = exact.excess_mut() {
            *excess = (*excess).min(fewer);
        }
        all.push(exact);
    }
    let mut copy = operation;
    if let Some(layout) = copy.layout_mut() {
        let (size, align) = (layout.size(), layout.align());
        let sizes = [
            1,
            8,
            16,
            32,
            64,
            100,
            128,
            256,
            1000,
            1024,
            size / 2,
            size / 4 * 3,
            size - size.min(1),
        ];
        let aligns = [1, 8, 16, align / 2];
        let smaller = sizes.into_iter().filter(|&smaller| smaller < size).map(|size| (size, align));
        let looser = aligns.into_iter().filter(|&looser| looser < align).map(|align| (size, align));
        for (size, align) in smaller.chain(looser) {
            let mut simpler = operation;
            if let (Some(layout), Ok(smaller)) =
                (simpler.layout_mut(), Layout::from_size_align(size, align))
            {
                *layout = smaller;
                all.push(simpler);
            }
        }
    }
    all.retain(|simpler| *simpler != operation);
    all
}
