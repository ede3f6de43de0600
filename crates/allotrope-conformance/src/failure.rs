//! What a suite says in the end: a report, or a failure that can be read and repeated.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;

use crate::operation::Operation;
use crate::promise::Promise;
use crate::runner::Tally;
use crate::upstream::Conditions;

/// What a suite did that found nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many allocators were made and tested.
    pub cases: u64,
    /// How many calls were made.
    pub operations: u64,
    /// How many of them returned a block.
    pub served: u64,
    /// How many of them returned `Err`.
    pub refused: u64,
    /// How many calls of the upstream were made to fail.
    pub upstream_refusals: u64,
}

impl Report {
    /// Counts a case that ended well or badly.
    pub(crate) fn add(&mut self, tally: Tally) {
        self.cases += 1;
        self.operations += tally.operations;
        self.served += tally.served;
        self.refused += tally.refused;
    }
}

/// A broken promise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// Which promise.
    pub promise: Promise,
    /// The seed of the script. Sweeps have none; theirs is 0.
    pub seed: u64,
    /// After how many calls it was found.
    pub step: usize,
    /// What was seen at the end of the minimal sequence.
    pub detail: String,
    /// The shortest list of calls that was found to break the promise.
    pub minimal: Vec<Operation>,
    /// How the upstream behaves while they are made.
    pub conditions: Conditions,
    /// Whether the minimal list breaks the promise again and again. If not (the allocator depends
    /// on addresses, on threads, or on what was called before), it is the list as recorded.
    pub reproduced: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "broken promise: {}", self.promise)?;
        writeln!(formatter, "  {}", self.detail)?;
        writeln!(formatter, "  seed {}, found at step {}", self.seed, self.step)?;
        let Conditions { fails_at, keeps_failing, bytes_limit, excess } = self.conditions;
        if let Some(nth) = fails_at {
            let after = if keeps_failing { ", and those after it," } else { "" };
            writeln!(formatter, "  call {nth} of the upstream{after} fails")?;
        }
        if let Some(limit) = bytes_limit {
            writeln!(formatter, "  the upstream lends at most {limit} bytes")?;
        }
        if excess > 0 {
            writeln!(
                formatter,
                "  the upstream's blocks are {excess} bytes longer than requested"
            )?;
        }
        let how = if self.reproduced { "minimal sequence" } else { "as recorded, not reproduced" };
        writeln!(formatter, "  {how}:")?;
        let skipped = self.minimal.len().saturating_sub(SHOWN);
        if skipped > 0 {
            writeln!(formatter, "    … {skipped} calls")?;
        }
        for (nth, operation) in self.minimal.iter().enumerate().skip(skipped) {
            writeln!(formatter, "    {}. {operation}", nth + 1)?;
        }
        write!(formatter, "    then every block left is freed, and the allocator dropped")
    }
}

impl Error for Failure {}

/// How many calls are printed at most.
const SHOWN: usize = 60;
