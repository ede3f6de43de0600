//! `cargo xtask planted`: do the tests catch the bugs that we know how to make?
//!
//! `crates/allotrope-conformance/planted.toml` lists one-line patches to the shipped source, each
//! with the promise that it breaks and the test that must notice. They are applied one at a time,
//! to a [twin](crate::twin) of the workspace:
//!
//! ```text
//! every patch applies ─▶ every named test passes unpatched ─▶ for each patch: it compiles,
//!                                                             its test fails
//! ```
//!
//! A trial is mostly one crate after the other through the compiler, which keeps one processor busy.
//! So there are as many twins as processors, up to [`TWINS`], and each takes the next bug. They
//! are built with [`ENVIRONMENT`].
//!
//! A bug may loop for ever: a test that does not end within [`TIME_LIMIT`] has caught it.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::planted::patch::Patch;
use crate::trial::{Outcome, Trial};
use crate::twin::{Twin, read};
use crate::workspace::Workspace;

mod patch;

/// Where the bugs are listed.
const LIST: &str = "crates/allotrope-conformance/planted.toml";

/// How long one test may run. The sound source has the same limit, on the same machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How long everything may take, on two processors.
const BUDGET: Duration = Duration::from_secs(30 * 60);

/// How the twins are built and tested: without optimisation and debug information, since the
/// compiler saves more time than tests lose; and with a sample of the contract suite's sweeps, which
/// would lose most. Nobody reads the backtraces.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("ALLOTROPE_SAMPLED", "1"),
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_DEV_DEBUG", "0"),
    ("CARGO_PROFILE_DEV_OPT_LEVEL", "0"),
    ("RUST_BACKTRACE", "0"),
];

/// How many twins there are at most: each builds everything once and keeps a gigabyte.
const TWINS: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Patch>,
}

/// Runs the command; arguments restrict it to the bugs whose name contains one of them.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let start = Instant::now();
    let workspace = Workspace::load()?;
    let bugs = load_all(&workspace)?;
    let is_wanted = |bug: &&Patch| {
        arguments.is_empty() || arguments.iter().any(|argument| bug.name.contains(argument))
    };
    let bugs: Vec<&Patch> = bugs.iter().filter(is_wanted).collect();
    if bugs.is_empty() {
        return Err(format!("{LIST} has no bug whose name contains {}", arguments.join(" or ")));
    }

    let twins = twins(&workspace)?;
    pass_unpatched(&twins, &bugs)?;
    println!("unpatched: {:.0} s", start.elapsed().as_secs_f64());
    let verdicts = for_each(&twins, &bugs, |twin, bug| {
        let bug_start = Instant::now();
        let outcome = plant(twin, bug)?;
        println!("{}: {outcome} ({:.1} s)", bug.name, bug_start.elapsed().as_secs_f64());
        let missed = format!("{} ({outcome}, see {})", bug.name, twin.log(&bug.name).display());
        Ok((outcome.to_string(), (!bug.is_caught_by(&outcome)).then_some(missed)))
    })?;

    let rows: Vec<[&str; 3]> = bugs
        .iter()
        .zip(&verdicts)
        .map(|(bug, (outcome, _))| [bug.name.as_str(), bug.promise.as_str(), outcome.as_str()])
        .collect();
    print_table(["bug", "promise", "caught by"], &rows);
    let missed: Vec<String> = verdicts.into_iter().filter_map(|(_, missed)| missed).collect();
    let time = start.elapsed();
    println!(
        "\n{} planted bugs, {} survived, {:.0} s",
        bugs.len(),
        missed.len(),
        time.as_secs_f64()
    );
    if !missed.is_empty() {
        return Err(format!("not caught: {}", missed.join(", ")));
    }
    if time > BUDGET {
        return Err(format!("the planted bugs may take {} s", BUDGET.as_secs()));
    }
    Ok(())
}

/// The twins, all the same.
fn twins(workspace: &Workspace) -> Result<Vec<Twin>, String> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (1..=processors.min(TWINS))
        .map(|number| Twin::new(workspace, &format!("planted/{number}")))
        .collect()
}

/// Does `work` for each of `items`, on each twin one at a time, and keeps their order.
///
/// # Errors
///
/// Those of `work`: what has begun then ends, and nothing new begins.
fn for_each<T: Sync, R: Send>(
    twins: &[Twin],
    items: &[T],
    work: impl Fn(&Twin, &T) -> Result<R, String> + Sync,
) -> Result<Vec<R>, String> {
    let next = AtomicUsize::new(0);
    let take_turns = |twin| {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(done) };
            let stop = |_: &String| next.store(items.len(), Ordering::Relaxed);
            done.push((index, work(twin, item).inspect_err(stop)?));
        }
    };
    let done: Vec<Result<Vec<(usize, R)>, String>> = thread::scope(|scope| {
        let turns: Vec<_> = twins.iter().map(|twin| scope.spawn(|| take_turns(twin))).collect();
        turns
            .into_iter()
            .map(|turn| turn.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut done: Vec<(usize, R)> =
        done.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Does every patch still apply?
pub fn check(workspace: &Workspace) -> Result<(), String> {
    let bugs = load_all(workspace)?;
    println!("all {} planted bugs still apply", bugs.len());
    Ok(())
}

/// The bugs of the list, each of which applies.
fn load_all(workspace: &Workspace) -> Result<Vec<Patch>, String> {
    let bugs = load(workspace)?;
    for bug in &bugs {
        bug.apply_to(&read(&workspace.root.join(&bug.file))?)?;
    }
    Ok(bugs)
}

/// Reads the list; names are unique, since they name log files.
fn load(workspace: &Workspace) -> Result<Vec<Patch>, String> {
    let text = read(&workspace.root.join(LIST))?;
    let List { bug: bugs } = toml::from_str(&text).map_err(|error| format!("{LIST}: {error}"))?;
    let mut names = BTreeSet::new();
    match bugs.iter().find(|bug| !names.insert(&bug.name)) {
        Some(twice) => Err(format!("{LIST}: two bugs are called {}", twice.name)),
        None => Ok(bugs),
    }
}

/// A test that fails anyway, or runs nothing, catches nothing.
fn pass_unpatched(twins: &[Twin], bugs: &[&Patch]) -> Result<(), String> {
    let tests: BTreeSet<&str> = bugs.iter().map(|bug| bug.test.as_str()).collect();
    let tests: Vec<&str> = tests.into_iter().collect();
    for_each(twins, &tests, |twin, test| {
        let test_start = Instant::now();
        let outcome = trial(twin, "unpatched", test)?.run(TIME_LIMIT)?;
        let time = test_start.elapsed().as_secs_f64();
        println!("unpatched, `cargo test {test}`: {outcome} ({time:.1} s)");
        if matches!(outcome, Outcome::Passed { tests: 1.. }) {
            return Ok(());
        }
        Err(format!(
            "without any planted bug, `cargo test {test}` must run tests that pass, but: \
             {outcome}, see {}",
            twin.log("unpatched").display()
        ))
    })
    .map(drop)
}

/// Runs the test of `bug` on the patched copy, and takes the patch back.
fn plant(twin: &Twin, bug: &Patch) -> Result<Outcome, String> {
    let broken = bug.apply_to(&twin.read(&bug.file)?)?;
    twin.with_file(&bug.file, &broken, || {
        trial(twin, &bug.name, &bug.test)?.stopped_by_a_failure().run(TIME_LIMIT)
    })
}

/// `cargo test` with the arguments `test` in `twin`; it logs under `name`.
fn trial(twin: &Twin, name: &str, test: &str) -> Result<Trial, String> {
    let environment = ENVIRONMENT.map(|(name, value)| (name.to_string(), value.to_string()));
    Ok(twin.trial(name, test)?.with_environment(environment.to_vec()))
}

fn print_table(head: [&str; 3], rows: &[[&str; 3]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    println!("\n{:<first$}  {:<second$}  {}", head[0], head[1], head[2]);
    for [bug, promise, outcome] in rows {
        println!("{bug:<first$}  {promise:<second$}  {outcome}");
    }
}
