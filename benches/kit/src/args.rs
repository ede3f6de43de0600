//! The few command line switches that all programs share.

use crate::callgrind;

/// `--quick`, `--only SUBSTRING` (of a workload's name), `--rounds N`; the rest stays in `rest`.
#[derive(Debug)]
pub struct Args {
    /// A quarter of the work, half of the rounds.
    pub quick: bool,
    /// Part of the name of the workloads to run; all if absent.
    pub only: Option<String>,
    /// How often every contestant runs each workload.
    pub rounds: usize,
    /// Arguments that are none of the above.
    pub rest: Vec<String>,
}

impl Args {
    /// The arguments of this process. Under callgrind, whose counts repeat, there is one round.
    pub fn parse(default_rounds: usize) -> Self {
        let mut parsed = Args { quick: false, only: None, rounds: 0, rest: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => parsed.quick = true,
                "--only" => parsed.only = arguments.next(),
                "--rounds" => {
                    parsed.rounds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0)
                }
                _ => parsed.rest.push(argument),
            }
        }
        if callgrind::is_counting() {
            parsed.rounds = 1;
        } else if parsed.rounds == 0 {
            parsed.rounds = if parsed.quick { default_rounds.div_ceil(2) } else { default_rounds };
        }
        parsed
    }

    /// Whether `workload` is to run.
    pub fn wants(&self, workload: &str) -> bool {
        self.only.as_deref().is_none_or(|only| workload.contains(only))
    }

    /// The size of an input: `full`, or a quarter of it with `--quick` and under callgrind.
    pub fn scale(&self, full: usize) -> usize {
        if self.quick || callgrind::is_counting() { (full / 4).max(1) } else { full }
    }

    /// How often to repeat work that is alike every time: `full`, a quarter of it with `--quick`,
    /// and a fiftieth under callgrind.
    pub fn turns(&self, full: usize) -> usize {
        let divisor = match (callgrind::is_counting(), self.quick) {
            (true, _) => 50,
            (false, true) => 4,
            (false, false) => 1,
        };
        (full / divisor).max(1)
    }
}
