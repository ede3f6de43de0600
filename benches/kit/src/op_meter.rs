//! User instructions of single operations, and a clock fine enough for them.

use std::time::Instant;

use perf_event::Counter;
use perf_event::events::Hardware;

use crate::{callgrind, count};

/// Counts the user instructions of single operations on this thread.
///
/// A reading costs a constant number of instructions, which `new` finds and `count` subtracts.
/// While an `OpMeter` lives, callgrind counts; make no other meter then.
#[derive(Debug)]
pub struct OpMeter {
    /// Absent where callgrind counts.
    counter: Option<Counter>,
    overhead: u64,
}

impl OpMeter {
    /// A meter, where this machine or callgrind can count instructions.
    pub fn new() -> Option<Self> {
        let counter = if callgrind::is_counting() {
            callgrind::start();
            None
        } else {
            Some(count::counter(Hardware::INSTRUCTIONS, false)?)
        };
        let mut meter = OpMeter { counter, overhead: 0 };
        meter.overhead = (0..2000).map(|_| meter.count(|| ()).1).min().unwrap_or(0);
        Some(meter)
    }

    /// Runs `operation`; its result and its instructions.
    #[inline(always)]
    pub fn count<R>(&self, operation: impl FnOnce() -> R) -> (R, u64) {
        if self.counter.is_none() {
            let (result, n) = callgrind::count(operation);
            return (result, n.saturating_sub(self.overhead));
        }
        let before = count::read(&self.counter).unwrap_or(0);
        let result = operation();
        let after = count::read(&self.counter).unwrap_or(0);
        (result, (after - before).saturating_sub(self.overhead))
    }
}

impl Drop for OpMeter {
    fn drop(&mut self) {
        if self.counter.is_none() {
            callgrind::stop();
        }
    }
}

/// A time stamp that waits for the operations before it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn ticks() -> u64 {
    let mut processor = 0;
    // SAFETY: every x86-64 processor that Linux still runs on has `rdtscp`, and `processor` is a
    // valid place for its second result.
    unsafe { core::arch::x86_64::__rdtscp(&mut processor) }
}

/// A time stamp.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn ticks() -> u64 {
    use std::sync::OnceLock;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Nanoseconds between two ticks.
pub fn ns_per_tick() -> f64 {
    let (started, first) = (Instant::now(), ticks());
    while started.elapsed().as_millis() < 20 {}
    started.elapsed().as_nanos() as f64 / (ticks() - first) as f64
}
