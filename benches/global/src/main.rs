//! One workload under this binary's global allocator: `bench-global WORKLOAD [--quick]`.
//!
//! `bench-global --list` names the workloads. The allocator is chosen by a feature, see
//! `Cargo.toml`.

mod contestants;

use std::hint::black_box;
use std::time::Duration;

use bench_global_work as work;
use bench_kit::args::Args;
use bench_kit::count::Meter;
use bench_kit::{callgrind, report, rss};

use contestants::NAME;

const PROGRAM: &str = "global";

fn main() {
    let args = Args::parse(1);
    let all = work::all();
    if args.rest.iter().any(|argument| argument == "--list") {
        all.iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let wanted = args.rest.first().expect("a workload; --list names them");
    let (name, make) = all.into_iter().find(|(name, _)| name == wanted).expect("a known workload");
    let mut work = make(&args);
    let meter = Meter::new();
    rss::reset_peak();
    work(); // not counted: first touch of the memory, page faults of the code
    let (operations, cost) = meter.measure(&mut work);
    let peak = rss::peak_kib();
    // Give delayed purging its chance: some idle time, then a few small blocks.
    std::thread::sleep(Duration::from_millis(50));
    (0..1000usize).for_each(|i| drop(black_box(vec![0u8; 16 + i])));
    let after = rss::anon_kib();
    report::emit_sample(PROGRAM, name, NAME, operations, cost);
    if !callgrind::is_counting() {
        report::emit(PROGRAM, name, NAME, "peak RSS KiB", peak as f64);
        report::emit(PROGRAM, name, NAME, "RSS KiB after free", after as f64);
    }
}
