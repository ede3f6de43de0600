//! What the measuring programs share: counters, result lines, random numbers, traces, input texts
//! and the bare limits.
//!
//! Linux only: it reads `perf_event`, `/proc` and `rusage`.

pub mod alone;
pub mod args;
pub mod callgrind;
pub mod compat;
pub mod count;
pub mod data;
pub mod limit;
pub mod op_meter;
pub mod report;
pub mod rng;
pub mod rounds;
pub mod rss;
pub mod system_calls;
pub mod trace;
