//! Scripts: what is called, in which order.
//!
//! - [`sweep`] goes through sizes, alignments and sizes of the fits range one by one.
//! - [`RandomScript`] mixes everything, in phases that fill the allocator and empty it.
//! - [`Plan`] mixes it too, whatever the allocator answers.
//! - [`replay`] repeats a list.

#![forbid(unsafe_code)]

mod plan;
mod random;
mod sweep;

pub(crate) use plan::Plan;
pub(crate) use random::RandomScript;
pub(crate) use sweep::sweep;

use crate::operation::Operation;
use crate::promise::Broken;
use crate::runner::Runner;

/// Repeats `operations`. Afterwards every excess in the list is the one that was used.
pub(crate) fn replay(runner: &mut Runner<'_>, operations: &mut [Operation]) -> Result<(), Broken> {
    for operation in operations {
        runner.last_excess = 0;
        let result = runner.apply(*operation);
        if let Some(excess) = operation.excess_mut() {
            *excess = runner.last_excess;
        }
        result?;
    }
    Ok(())
}
