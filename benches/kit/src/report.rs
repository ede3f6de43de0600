//! Result lines: tab separated, on stdout, read by `cargo xtask compare`.
//!
//! A line is `program, workload, contestant, metric, value`. Several lines of one key are rounds.
//! A contestant that took no part in a workload is named as well, so that no row is lost unseen:
//! `!left-out` for one that its kind keeps out, `!missing` for one that should have taken part.

use crate::count::Sample;

/// Prints one value.
pub fn emit(program: &str, workload: &str, contestant: &str, metric: &str, value: f64) {
    println!("{program}\t{workload}\t{contestant}\t{metric}\t{value:.6}");
}

/// Prints the usual metrics of a sample over `operations` operations.
pub fn emit_sample(program: &str, workload: &str, name: &str, operations: usize, sample: Sample) {
    let each = |metric, total: u64| {
        emit(program, workload, name, metric, total as f64 / operations as f64)
    };
    if let Some(times) = sample.times {
        each("cpu ns/op", times.cpu_ns);
        each("wall ns/op", times.wall_ns);
        emit(program, workload, name, "faults", times.faults as f64);
    }
    if let Some(n) = sample.instructions {
        each("instr/op", n);
    }
    if let Some(n) = sample.cycles {
        each("cycles/op", n);
    }
}

/// Says that a contestant was kept out of a workload, and why.
pub fn left_out(program: &str, workload: &str, contestant: &str, why: &str) {
    println!("!left-out\t{program}\t{workload}\t{contestant}\t{why}");
}

/// Says that a contestant failed a workload, and how.
pub fn missing(program: &str, workload: &str, contestant: &str, why: &str) {
    println!("!missing\t{program}\t{workload}\t{contestant}\t{why}");
}
