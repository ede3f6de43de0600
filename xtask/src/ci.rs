//! `cargo xtask ci`: what a merge depends on, up to the first failure.
//!
//! ```text
//! one worker   lint ─▶ test ─▶ valgrind ─▶ paths ─▶ loom ─▶ …
//! the other    cross check ─▶ cross windows ─▶ cross i686 ─▶ asan ─▶ …
//! ```
//!
//! Steps that share a target folder make a chain. Two workers take chains, since much of a step is one
//! crate after the other through the compiler, or one test that is slower than the rest, which keeps
//! one processor busy. What a step prints goes to a file, and to the standard output when it ends.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::shell;
use crate::workspace::Workspace;

/// The commands with their arguments: what is likely to fail first, and what is short last.
const CHAINS: &[&[&str]] = &[
    &["lint", "test", "valgrind", "paths"],
    &["cross check", "cross windows short", "cross i686 short"],
    &["features", "versions"],
    &["loom"],
    &["asan"],
    &["tsan"],
    &["fuzz all 8"],
    &["foreign"],
];

/// How many chains run at a time.
const WORKERS: usize = 2;

/// How far the workers are.
#[derive(Default)]
struct Progress {
    chains_begun: usize,
    times: Vec<(&'static str, Duration)>,
    failure: Option<String>,
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("ci", arguments)?;
    let workspace = Workspace::load()?;
    let folder = workspace.target.join("ci");
    let ourselves = env::current_exe().map_err(|error| format!("who are we? {error}"))?;
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {folder:?}: {error}"))?;
    let start = Instant::now();
    let progress = Mutex::new(Progress::default());
    thread::scope(|threads| {
        for _ in 0..WORKERS {
            threads.spawn(|| {
                while let Some(chain) = next_chain(&progress) {
                    run_chain(chain, &ourselves, &folder, &progress);
                }
            });
        }
    });
    let Progress { times, failure, .. } =
        progress.into_inner().unwrap_or_else(|lock| lock.into_inner());
    println!("\n== {} ==\n", if failure.is_none() { "all steps passed" } else { "failed" });
    for (step, time) in times {
        println!("{step:<20}{:>8}", in_seconds(time));
    }
    println!("{:<20}{:>8}", "total", in_seconds(start.elapsed()));
    failure.map_or(Ok(()), Err)
}

/// Takes the next chain for a worker, unless a step has failed.
fn next_chain(progress: &Mutex<Progress>) -> Option<&'static [&'static str]> {
    let mut progress = progress.lock().unwrap_or_else(|lock| lock.into_inner());
    if progress.failure.is_some() {
        return None;
    }
    let chain = CHAINS.get(progress.chains_begun).copied()?;
    progress.chains_begun += 1;
    Some(chain)
}

/// Runs the steps of a chain, until one of any chain fails.
fn run_chain(chain: &[&'static str], ourselves: &Path, folder: &Path, progress: &Mutex<Progress>) {
    for &step in chain {
        println!("cargo xtask {step}: begins");
        let start = Instant::now();
        let log = folder.join(format!("{}.log", step.replace(' ', "-")));
        let outcome = run_step(step, ourselves, &log);
        let time = start.elapsed();
        let mut progress = progress.lock().unwrap_or_else(|lock| lock.into_inner());
        progress.times.push((step, time));
        let said = fs::read(&log).unwrap_or_default();
        // What fails comes last in the output.
        if progress.failure.is_none() {
            println!("\n== cargo xtask {step}: {} ==\n", in_seconds(time));
            let _ = io::stdout().write_all(&said);
        }
        if let Err(error) = outcome {
            let sentence = format!("step `{step}` failed after {}: {error}", in_seconds(time));
            progress.failure.get_or_insert(sentence);
        }
        if progress.failure.is_some() {
            return;
        }
    }
}

/// Runs a step, which writes to `log`.
fn run_step(step: &str, ourselves: &Path, log: &Path) -> Result<(), String> {
    let cannot_log = |error| format!("cannot write to {log:?}: {error}");
    let output = File::create(log).map_err(cannot_log)?;
    let errors = output.try_clone().map_err(cannot_log)?;
    let mut command = Command::new(ourselves);
    command.args(step.split_whitespace()).stdin(Stdio::null()).stdout(output).stderr(errors);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{status}, see above")),
        Err(error) => Err(format!("cannot start: {error}")),
    }
}

fn in_seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
