//! One contestant on one workload, alone in its process: what its time, its faults and its resident
//! memory are belongs to nobody else.

use std::hint::black_box;
use std::time::Duration;

use crate::count::Meter;
use crate::{callgrind, report, rss, system_calls};

/// What is measured, under the names that the result lines have.
#[derive(Clone, Copy, Debug)]
pub struct Alone<'a> {
    /// The program.
    pub program: &'a str,
    /// The workload.
    pub workload: &'a str,
    /// The allocator.
    pub contestant: &'a str,
    /// Whether system calls are counted, in one more run.
    pub counts_system_calls: bool,
}

impl Alone<'_> {
    /// Runs `work` twice and prints what the second time cost, the peak of resident memory of both,
    /// and what is left of it after everything was freed.
    ///
    /// `small` makes and frees a block of a small size: it gives a delayed purge its chance.
    pub fn run(self, work: &mut dyn FnMut() -> usize, small: impl Fn(usize)) {
        let Alone { program, workload, contestant, counts_system_calls } = self;
        let meter = Meter::new();
        rss::reset_peak();
        black_box(work()); // not counted: first touch of the memory, page faults of the code
        let (operations, cost) = meter.measure(&mut *work);
        let peak = rss::peak_kib();
        std::thread::sleep(Duration::from_millis(50));
        (0..1000usize).for_each(|i| small(16 + i));
        let after = rss::anon_kib();
        report::emit_sample(program, workload, contestant, operations, cost);
        if callgrind::is_counting() {
            return;
        }
        let emit = |metric, value: u64| {
            report::emit(program, workload, contestant, metric, value as f64);
        };
        emit("peak RSS KiB", peak);
        emit("RSS KiB after free", after);
        if counts_system_calls {
            match system_calls::count(|| _ = black_box(work())) {
                Some(calls) => emit("system calls", calls),
                None => report::missing(program, workload, contestant, "no process may be traced"),
            }
        }
    }
}
