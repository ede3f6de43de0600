//! Contestants of one process take turns, so that noise falls on all alike.

use std::fmt;

use crate::count::{Meter, Sample};
use crate::report;

/// How a contestant did on a workload.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It did so many operations at this cost.
    Done(usize, Sample),
    /// It is of a kind that may take too long, and did.
    TooSlow,
    /// It ran out of memory where it should not.
    OutOfMemory,
}

impl From<(usize, Sample)> for Outcome {
    fn from((operations, sample): (usize, Sample)) -> Self {
        Outcome::Done(operations, sample)
    }
}

/// One contestant on one workload.
pub struct Entry<'a> {
    name: &'static str,
    run: Box<dyn FnMut(&Meter) -> Outcome + 'a>,
}

impl<'a> Entry<'a> {
    /// A contestant and what it does in every round.
    pub fn new<O: Into<Outcome>>(
        name: &'static str,
        mut run: impl FnMut(&Meter) -> O + 'a,
    ) -> Self {
        Entry { name, run: Box::new(move |meter| run(meter).into()) }
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs all entries `rounds` times after one round that does not count, each later round starting
/// one contestant later, and prints the result lines.
pub fn race(program: &str, workload: &str, rounds: usize, entries: &mut [Entry<'_>]) {
    let meters = [Meter::off(), Meter::new()];
    let mut is_out = vec![false; entries.len()];
    for round in 0..=rounds {
        for turn in 0..entries.len() {
            let k = (turn + round.saturating_sub(1)) % entries.len();
            if is_out[k] {
                continue;
            }
            let Entry { name, run } = &mut entries[k];
            match run(&meters[round.min(1)]) {
                Outcome::Done(..) if round == 0 => {}
                Outcome::Done(operations, sample) => {
                    report::emit_sample(program, workload, name, operations, sample)
                }
                Outcome::TooSlow => {
                    is_out[k] = true;
                    report::left_out(program, workload, name, "it takes too long");
                }
                Outcome::OutOfMemory => {
                    is_out[k] = true;
                    report::missing(program, workload, name, "it ran out of memory");
                }
            }
        }
    }
}
