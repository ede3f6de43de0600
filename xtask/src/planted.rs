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
//! A bug may loop for ever: a test that does not end within [`TIME_LIMIT`] has caught it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::planted::patch::Patch;
use crate::trial::Outcome;
use crate::twin::{Twin, read};
use crate::workspace::Workspace;

mod patch;

/// Where the bugs are listed.
const LIST: &str = "crates/allotrope-conformance/planted.toml";

/// How long one test may run. The sound source has the same limit, on the same machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Patch>,
}

/// Runs the command; arguments restrict it to the bugs whose name contains one of them.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let bugs = load(&workspace)?;
    for bug in &bugs {
        bug.apply_to(&read(&workspace.root.join(&bug.file))?)?;
    }
    let is_wanted = |bug: &&Patch| {
        arguments.is_empty() || arguments.iter().any(|argument| bug.name.contains(argument))
    };
    let bugs: Vec<&Patch> = bugs.iter().filter(is_wanted).collect();
    if bugs.is_empty() {
        return Err(format!("{LIST} has no bug whose name contains {}", arguments.join(" or ")));
    }

    let twin = Twin::new(&workspace, "planted")?;
    pass_unpatched(&twin, &bugs)?;

    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for bug in bugs {
        let outcome = plant(&twin, bug)?;
        println!("{}: {outcome}", bug.name);
        if !bug.is_caught_by(&outcome) {
            failures.push(format!(
                "{} ({outcome}, see {})",
                bug.name,
                twin.log(&bug.name).display()
            ));
        }
        rows.push([bug.name.clone(), bug.promise.clone(), outcome.to_string()]);
    }
    print_table(["bug", "promise", "caught by"], &rows);
    if failures.is_empty() { Ok(()) } else { Err(format!("not caught: {}", failures.join(", "))) }
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
fn pass_unpatched(twin: &Twin, bugs: &[&Patch]) -> Result<(), String> {
    let tests: BTreeSet<&str> = bugs.iter().map(|bug| bug.test.as_str()).collect();
    for test in tests {
        let outcome = twin.trial("unpatched", test)?.run(TIME_LIMIT)?;
        println!("unpatched, `cargo test {test}`: {outcome}");
        if !matches!(outcome, Outcome::Passed { tests: 1.. }) {
            return Err(format!(
                "without any planted bug, `cargo test {test}` must run tests that pass, but: \
                 {outcome}, see {}",
                twin.log("unpatched").display()
            ));
        }
    }
    Ok(())
}

/// Runs the test of `bug` on the patched copy, and takes the patch back.
fn plant(twin: &Twin, bug: &Patch) -> Result<Outcome, String> {
    let broken = bug.apply_to(&twin.read(&bug.file)?)?;
    twin.with_file(&bug.file, &broken, || twin.trial(&bug.name, &bug.test)?.run(TIME_LIMIT))
}

fn print_table(head: [&str; 3], rows: &[[String; 3]]) {
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
