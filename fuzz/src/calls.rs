//! Bytes to calls, and calls to a verdict.

#![forbid(unsafe_code)]

use std::env;

use allotrope_conformance::{Conditions, Operation, Subject, Suite, TestUpstream};

use crate::input::Input;
use crate::part::{Any, Part};

/// What the target of one input says: nothing, or what is wrong.
pub type Verdict = Result<(), String>;

/// The most calls of one input: their cost grows with the square, since each is followed by a look
/// at all blocks.
const MOST_CALLS: usize = 200;

/// How an allocator is called.
#[derive(Clone, Copy, Debug)]
pub struct Calls<'a> {
    /// Sizes near which the allocator changes its ways.
    limits: &'a [usize],
    /// The largest size that is asked for, impossible ones aside.
    largest: usize,
    /// Whether blocks lie in memory of the upstream.
    from_upstream: bool,
}

impl<'a> Calls<'a> {
    /// Sizes near `limits` and elsewhere, up to `largest`.
    pub const fn new(limits: &'a [usize], largest: usize) -> Self {
        Self { limits, largest, from_upstream: true }
    }

    /// The same for an allocator that has its memory from elsewhere.
    pub const fn over_pages(self) -> Self {
        Self { from_upstream: false, ..self }
    }

    /// Reads how the upstream behaves, then calls, and makes them of what `make` makes.
    ///
    /// # Errors
    ///
    /// The promise that was broken, and the shortest list of calls that breaks it.
    pub fn run<F>(self, mut input: Input<'_>, make: F) -> Verdict
    where
        F: for<'u> Fn(&'u TestUpstream) -> Any<'u>,
    {
        let conditions = conditions(&mut input);
        let operations = self.operations(&mut input);
        let suite = Suite::of(Made(make))
            .only_from_upstream(self.from_upstream)
            .trace(env::var_os("ALLOTROPE_FUZZ_TRACE").is_some());
        suite.replay(&operations, conditions).map(drop).map_err(|failure| failure.to_string())
    }

    fn operations(self, input: &mut Input<'_>) -> Vec<Operation> {
        let mut calls = Vec::new();
        let mut live = Vec::new();
        let mut next = 0;
        while !input.is_empty() && calls.len() < MOST_CALLS {
            let kind = input.below(16);
            if live.is_empty() || kind < 7 {
                let layout = input.layout(self.limits, self.largest);
                calls.push(Operation::Allocate { block: next, layout, zeroed: kind % 4 == 3 });
                live.push(next);
                next += 1;
                continue;
            }
            let index = input.below(live.len());
            let block = live[index];
            let excess = excess(input);
            calls.push(match kind {
                7..11 => {
                    live.swap_remove(index);
                    Operation::Deallocate { block, excess }
                }
                11..14 => {
                    let layout = input.layout(self.limits, self.largest);
                    Operation::Grow { block, excess, layout, zeroed: kind == 13 }
                }
                _ => {
                    let layout = input.layout(self.limits, self.largest);
                    Operation::Shrink { block, excess, layout }
                }
            });
        }
        calls
    }
}

/// How much above the requested size a block is freed or resized: often all that was returned.
fn excess(input: &mut Input<'_>) -> usize {
    match input.byte() {
        0..100 => 0,
        100..170 => usize::MAX,
        some => usize::from(some),
    }
}

/// An upstream that lends more than it was asked for, refuses a call, or has little.
pub(crate) fn conditions(input: &mut Input<'_>) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.excess = input.pick(&[0, 0, 8, 4096]);
    // Always some, so that what is impossible never reaches std's allocator.
    conditions.bytes_limit = Some(input.pick(&[1 << 20, 1 << 18, 1 << 16, 10_000]));
    conditions.fails_at = match input.byte() {
        0..128 => None,
        nth => Some(u64::from(nth - 127)),
    };
    conditions.keeps_failing = input.byte() & 1 == 1;
    conditions
}

/// A way of making an allocator, as a subject.
struct Made<F>(F);

impl<F> Subject for Made<F>
where
    F: for<'u> Fn(&'u TestUpstream) -> Any<'u>,
{
    type Allocator<'u> = Any<'u>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Any<'u> {
        (self.0)(upstream)
    }

    fn check(&self, allocator: &Any<'_>) -> Result<(), String> {
        allocator.check()
    }

    fn bytes_used(&self, allocator: &Any<'_>) -> Option<usize> {
        allocator.bytes_used()
    }
}
