//! `cargo xtask planted`: do the tests catch the bugs that we know how to make?
//!
//! `crates/allotrope-conformance/planted.toml` lists one-line patches to the shipped source, each
//! with the promise that it breaks and the test that must notice. They are applied one at a time,
//! to a copy of the workspace below the target folder whose builds are incremental:
//!
//! ```text
//! every patch applies ─▶ every named test passes unpatched ─▶ for each patch: it compiles,
//!                                                             its test fails
//! ```
//!
//! A bug may loop for ever: a test that does not end within [`TIME_LIMIT`] has caught it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::planted::patch::Patch;
use crate::shell::cannot;
use crate::trial::{Outcome, Trial};
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

    let copy = workspace.target.join("planted").join("workspace");
    mirror(&workspace, &copy)?;
    let logs = workspace.target.join("planted").join("logs");
    fs::create_dir_all(&logs).map_err(|error| cannot("create", &logs, &error))?;
    pass_unpatched(&workspace, &copy, &logs, &bugs)?;

    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for bug in bugs {
        let log = logs.join(format!("{}.log", bug.name));
        let outcome = plant(&workspace, &copy, &log, bug)?;
        println!("{}: {outcome}", bug.name);
        if !bug.is_caught_by(&outcome) {
            failures.push(format!("{} ({outcome}, see {})", bug.name, log.display()));
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

/// Makes `copy` the same as the workspace, uncommitted changes included.
///
/// A file that is the same already keeps its time, so that cargo rebuilds nothing for it.
pub fn mirror(workspace: &Workspace, copy: &Path) -> Result<(), String> {
    let files = workspace.files()?;
    for file in &files {
        let path = workspace.root.join(file);
        let bytes = fs::read(&path).map_err(|error| cannot("read", &path, &error))?;
        let twin = copy.join(file);
        if fs::read(&twin).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = twin.parent() {
            fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
        }
        fs::write(&twin, bytes).map_err(|error| cannot("write", &twin, &error))?;
    }
    let wanted = files.iter().map(|file| copy.join(file)).collect();
    remove_others(copy, &wanted)
}

/// Removes what an earlier run copied and the workspace has no longer.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| cannot("read", folder, &error))?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// A test that fails anyway, or runs nothing, catches nothing.
fn pass_unpatched(
    workspace: &Workspace,
    copy: &Path,
    logs: &Path,
    bugs: &[&Patch],
) -> Result<(), String> {
    let log = logs.join("unpatched.log");
    let tests: BTreeSet<&str> = bugs.iter().map(|bug| bug.test.as_str()).collect();
    for test in tests {
        let outcome = trial(workspace, copy, &log, test)?.run(TIME_LIMIT)?;
        println!("unpatched, `cargo test {test}`: {outcome}");
        if !matches!(outcome, Outcome::Passed { tests: 1.. }) {
            return Err(format!(
                "without any planted bug, `cargo test {test}` must run tests that pass, but: \
                 {outcome}, see {}",
                log.display()
            ));
        }
    }
    Ok(())
}

/// Runs the test of `bug` on the patched copy, and takes the patch back.
fn plant(workspace: &Workspace, copy: &Path, log: &Path, bug: &Patch) -> Result<Outcome, String> {
    let path = copy.join(&bug.file);
    let sound = read(&path)?;
    let broken = bug.apply_to(&sound)?;
    fs::write(&path, broken).map_err(|error| cannot("write", &path, &error))?;
    let outcome = trial(workspace, copy, log, &bug.test)?.run(TIME_LIMIT);
    fs::write(&path, sound).map_err(|error| cannot("write", &path, &error))?;
    outcome
}

fn trial(workspace: &Workspace, copy: &Path, log: &Path, test: &str) -> Result<Trial, String> {
    let target = workspace.target.join("planted").join("target");
    let file = File::create(log).map_err(|error| cannot("create", log, &error))?;
    Ok(Trial::new(copy, &target, log, file, test))
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

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, &error))
}
