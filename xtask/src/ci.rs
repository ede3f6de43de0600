//! `cargo xtask ci`: what a merge depends on, in order, up to the first failure.

use std::time::{Duration, Instant};

use crate::{dispatch, shell};

/// The commands with their arguments, the quickest to fail first.
const STEPS: &[&str] = &[
    "lint",
    "test",
    "features",
    "versions",
    "cross check",
    "loom",
    "asan",
    "valgrind",
    "fuzz all 8",
    "cross windows",
    "cross i686",
    "tsan",
    "paths",
    "foreign",
];

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("ci", arguments)?;
    let start = Instant::now();
    let mut times = Vec::new();
    for &step in STEPS {
        println!("\n== cargo xtask {step} ==\n");
        let step_start = Instant::now();
        let mut words = step.split_whitespace().map(str::to_string);
        let name = words.next().unwrap_or_default();
        let outcome = dispatch(&name, &words.collect::<Vec<_>>());
        let time = step_start.elapsed();
        times.push((step, time));
        if let Err(error) = outcome {
            print_times(&times, start);
            return Err(format!("step `{step}` failed after {}: {error}", in_seconds(time)));
        }
        println!("\n{step}: {}", in_seconds(time));
    }
    println!("\n== all steps passed ==\n");
    print_times(&times, start);
    Ok(())
}

fn print_times(times: &[(&str, Duration)], start: Instant) {
    for (step, time) in times {
        println!("{step:<14}{:>8}", in_seconds(*time));
    }
    println!("{:<14}{:>8}", "total", in_seconds(start.elapsed()));
}

fn in_seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
