//! `cargo xtask compare`: our allocators against their peers, by the programs in `benches/`.
//!
//! Builds a program with its peers in C and C++, runs it, prints its tables and writes them to
//! `target/compare/PROGRAM.json`. What is missing, a tool, a peer, a row or the hardware counters,
//! is said after the tables, and the command fails.
//!
//! With `--callgrind` the same programs run under valgrind, which counts their user instructions
//! exactly on any machine. Only instruction rows come from such a run. In the JSON file they take
//! the place of all instruction rows there; the other rows of the last ordinary run stay.

mod arguments;
mod build;
mod contestants;
mod parts;
mod rows;
mod run;
mod table;

use std::fs;

use crate::workspace::Workspace;

use arguments::Arguments;
use parts::{Meeting, Part};
use rows::{Combined, Results};

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let arguments = Arguments::parse(arguments)?;
    let workspace = Workspace::load()?;
    let mut wrong = Vec::new();
    build::tools(&arguments)?;
    build::prepare(&workspace, &arguments)?;
    for program in &arguments.programs {
        // All is built before any of it runs: what does not build is known early.
        let mut built = Vec::new();
        for part in parts::of(program).into_iter().filter(|part| part.is_wanted(&arguments)) {
            let binaries = build::binaries(&part, &workspace, &arguments, &mut wrong)?;
            built.push((part, binaries));
        }
        let mut parts = Vec::new();
        for (part, binaries) in built {
            let results = run::results(&part, &binaries, &workspace, &arguments, &mut wrong)?;
            parts.push((part, results));
        }
        report(program, &parts, &workspace, &arguments, &mut wrong)?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Prints the tables, writes the file, and finds what is missing.
fn report(
    program: &str,
    parts: &[(Part, Results)],
    workspace: &Workspace,
    arguments: &Arguments,
    wrong: &mut Vec<String>,
) -> Result<(), String> {
    let mut rows = Vec::new();
    for (part, results) in parts {
        let of_part = results.combined();
        print!("{}", table::markdown(part.title, &of_part, arguments.all));
        rows.extend(of_part);
        for (workload, contestant, why) in &results.left_out {
            println!("\nLeft out of {workload}: {contestant}, {why}.");
        }
        if arguments.callgrind && matches!(part.meeting, Meeting::Turns(_)) {
            let names = contestants::NOT_UNDER_VALGRIND.join(" and ");
            println!("\nLeft out: {names}, which cannot run under valgrind.");
        }
        for (workload, contestant, why) in &results.missing {
            wrong.push(format!("{}: {contestant} is missing from {workload}: {why}", part.title));
        }
    }
    if rows.is_empty() {
        wrong.push(match &arguments.only {
            Some(only) => format!("{program}: there are no rows of workloads named `{only}`"),
            None => format!("{program}: there are no rows"),
        });
        return Ok(()); // the file of an earlier run stays
    }
    if !rows.iter().any(Combined::counts_instructions) && program_counts(arguments) {
        wrong.push(format!(
            "{program}: there are no instruction rows, because this machine has no hardware \
             counters for us (`--callgrind` counts without them)"
        ));
    }
    let folder = workspace.target.join("compare");
    let file = folder.join(format!("{program}.json"));
    fs::create_dir_all(&folder)
        .and_then(|()| {
            let kept =
                if arguments.callgrind { rows::other_than_instructions(&file) } else { vec![] };
            fs::write(&file, rows::json(kept.into_iter().chain(rows)))
        })
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    println!("\nWritten to {}.", file.display());
    Ok(())
}

/// Whether what was asked for has instruction rows at all: filling a buffer has none.
fn program_counts(arguments: &Arguments) -> bool {
    let only = arguments.only.as_deref().unwrap_or("");
    !["fill", "smallest"].contains(&only)
}
