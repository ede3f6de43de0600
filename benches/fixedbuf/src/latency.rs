//! What single operations cost, above all the worst ones.

use bench_kit::callgrind;
use bench_kit::op_meter::{OpMeter, ticks};
use bench_kit::report::{emit, missing};
use bench_kit::trace::{Kind, Trace};

use crate::PROGRAM;
use crate::contestants::Heap;
use crate::replay::{Buffer, step, sweep, table_of};

const KINDS: [(&str, Kind); 2] = [("alloc", Kind::Alloc), ("free", Kind::Free)];

/// Prints the instructions of single operations, where they can be counted, and the least time of
/// three passes, where it means something.
pub fn latency<H: Heap>(buffer: &mut Buffer, trace: &Trace, ns_per_tick: f64) {
    // A contrast is not worth the time that counting single operations takes under callgrind.
    if H::SLOW || (H::UNBOUNDED && callgrind::is_counting()) {
        return;
    }
    let Some(instructions) = instructions::<H>(buffer, trace) else {
        return missing(PROGRAM, trace.name(), H::NAME, "it ran out of memory");
    };
    for (what, kind) in KINDS {
        let workload = format!("{}, {what}", trace.name());
        let mut costs = of_kind(kind, trace, &instructions);
        if costs.is_empty() {
            continue; // the machine cannot count
        }
        for (name, quantile) in [("median", 0.5), ("p99.99", 0.9999), ("max", 1.0)] {
            let metric = format!("instr of one op, {name}");
            emit(PROGRAM, &workload, H::NAME, &metric, at(quantile, &mut costs));
        }
    }
    if callgrind::is_counting() {
        return;
    }
    let least = least_ticks::<H>(buffer, trace);
    for (what, kind) in KINDS {
        let workload = format!("{}, {what}", trace.name());
        let metric = "ns of one op, p99.99 (least of 3 passes)";
        let ns = at(0.9999, &mut of_kind(kind, trace, &least)) * ns_per_tick;
        emit(PROGRAM, &workload, H::NAME, metric, ns);
    }
}

/// The instructions of every operation: none if they cannot be counted, `None` if there is no room.
fn instructions<H: Heap>(buffer: &mut Buffer, trace: &Trace) -> Option<Vec<u64>> {
    let Some(meter) = OpMeter::new() else { return Some(Vec::new()) };
    let mut table = table_of(trace);
    let mut heap: H = buffer.heap(buffer.len());
    let mut costs = vec![0u64; trace.ops().len()];
    for (cost, &op) in costs.iter_mut().zip(trace.ops()) {
        let held = &mut table[op.slot()];
        // SAFETY: the loop performs the trace's operations in their order.
        let (is_done, n) = meter.count(|| unsafe { step(&mut heap, op, held) });
        if !is_done {
            return None;
        }
        *cost = n;
    }
    sweep(&mut heap, trace, &table);
    Some(costs)
}

/// The least time of every operation in three passes.
fn least_ticks<H: Heap>(buffer: &mut Buffer, trace: &Trace) -> Vec<u64> {
    let mut table = table_of(trace);
    let mut least = vec![u64::MAX; trace.ops().len()];
    for _ in 0..3 {
        let mut heap: H = buffer.heap(buffer.len());
        for (least, &op) in least.iter_mut().zip(trace.ops()) {
            let before = ticks();
            // SAFETY: the loop performs the trace's operations in their order.
            let is_done = unsafe { step(&mut heap, op, &mut table[op.slot()]) };
            *least = (*least).min(ticks() - before);
            assert!(is_done, "{}: full in one pass only", H::NAME);
        }
        sweep(&mut heap, trace, &table);
    }
    least
}

fn of_kind(kind: Kind, trace: &Trace, costs: &[u64]) -> Vec<u64> {
    let pairs = costs.iter().zip(trace.ops());
    pairs.filter(|(_, op)| op.kind() == kind).map(|(cost, _)| *cost).collect()
}

fn at(quantile: f64, costs: &mut [u64]) -> f64 {
    costs.sort_unstable();
    costs[((costs.len() - 1) as f64 * quantile).round() as usize] as f64
}
