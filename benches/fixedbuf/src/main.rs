//! Heaps in one buffer: `bench-fixedbuf [--quick] [--only PART] [--rounds N]`, where the parts are
//! `replay`, `latency`, `worst`, `fill` and `smallest`.
//!
//! Under callgrind the parts that count no instructions, `fill` and `smallest`, are left out.

mod contestants;
mod families;
mod first;
mod latency;
mod ours;
mod peers;
mod replay;
mod space;
mod worst;

#[cfg(feature = "c-peers")]
mod c_peers;
#[cfg(not(feature = "c-peers"))]
#[path = "no_c_peers.rs"]
mod c_peers;

use std::cell::RefCell;
use std::path::Path;

use bench_kit::args::Args;
use bench_kit::callgrind;
use bench_kit::op_meter::ns_per_tick;
use bench_kit::rounds::{Entry, race};
use bench_kit::trace::Trace;

use c_peers::*;
use contestants::*;
use families::Plan;
use first::FirstBestFit;
use ours::*;
use peers::*;
use replay::Buffer;

const PROGRAM: &str = "fixedbuf";
const MIB: usize = 1 << 20;
const STEADY: Plan = Plan { seed: 1, ops: 400_000, live: 10_000, grows: false };

fn main() {
    let args = Args::parse(3);
    let steady = Plan { ops: args.scale(STEADY.ops), ..STEADY };
    let families = 0..families::NAMES.len();
    let mut traces: Vec<Trace> = families.map(|family| families::make(family, steady)).collect();
    traces.extend(Trace::load_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../traces"))));
    let most = traces.iter().map(Trace::peak_live).max().unwrap_or(0);
    let mut buffer = Buffer::new((64 * MIB).max(most * 3).next_multiple_of(MIB));

    if args.wants("replay") {
        callgrind::isolate(|| replays(&args, &traces, &mut buffer));
    }
    if args.wants("latency") {
        latencies(&args, &mut buffer);
    }
    if args.wants("worst") {
        worst_cases(&args, &mut buffer);
    }
    if args.wants("fill") && !callgrind::is_counting() {
        fills(&args, &mut buffer);
    }
    if args.wants("smallest") && !callgrind::is_counting() {
        for trace in &traces {
            macro_rules! each {
                ($heap:ty) => {
                    space::smallest::<$heap>(&mut buffer, trace)
                };
            }
            for_each_heap!(each);
        }
    }
}

fn replays(args: &Args, traces: &[Trace], buffer: &mut Buffer) {
    let buffer = RefCell::new(buffer);
    for trace in traces {
        let is_timed = !callgrind::is_counting();
        let times = if is_timed { (400_000 / trace.ops().len()).max(1) } else { 1 };
        let mut entries: Vec<Entry> = Vec::new();
        macro_rules! add {
            ($heap:ty) => {
                entries.push(Entry::new(<$heap>::NAME, |meter| {
                    replay::throughput::<$heap>(meter, &mut buffer.borrow_mut(), trace, times)
                }))
            };
        }
        for_each_heap!(add);
        race(PROGRAM, &format!("replay {}", trace.name()), args.rounds, &mut entries);
    }
}

fn latencies(args: &Args, buffer: &mut Buffer) {
    let ns_per_tick = ns_per_tick();
    for family in [0, 1, 2, 4] {
        let plan = Plan { seed: 2, ops: args.scale(200_000), ..STEADY };
        let trace = families::make(family, plan);
        macro_rules! each {
            ($heap:ty) => {
                callgrind::isolate(|| latency::latency::<$heap>(buffer, &trace, ns_per_tick))
            };
        }
        for_each_heap!(each);
    }
}

fn worst_cases(args: &Args, buffer: &mut Buffer) {
    let plan = Plan { seed: 3, ops: args.scale(40_000), ..STEADY };
    let traces: Vec<Trace> = (0..5).map(|family| families::make(family, plan)).collect();
    for level in worst::LEVELS {
        macro_rules! each {
            ($heap:ty) => {
                callgrind::isolate(|| worst::worst::<$heap>(buffer, &traces, level))
            };
        }
        each!(Talc);
        each!(Rlsf);
        each!(OurBestFit);
    }
}

fn fills(args: &Args, buffer: &mut Buffer) {
    let len = if args.quick { 4 * MIB } else { 16 * MIB };
    for family in 0..families::NAMES.len() {
        let plan = |seed| Plan { seed, ops: len / 12, grows: true, ..STEADY };
        let traces: Vec<Trace> = (1..=3).map(|seed| families::make(family, plan(seed))).collect();
        macro_rules! each {
            ($heap:ty) => {
                space::fill::<$heap>(buffer, len, &traces)
            };
        }
        for_each_heap!(each);
    }
}
