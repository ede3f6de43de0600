//! `cargo xtask loom --mutants`: do the models need every ordering?
//!
//! Each ordering in shipped code is weakened, one at a time, in a [twin](crate::twin) of the
//! workspace, and a model must fail:
//!
//! ```text
//! every model passes as it is ─▶ for each mutant: it compiles; of the targets, in this order:
//!                                  1. the file's own crate's, called as the file or its folder
//!                                  2. the other ones of that crate
//!                                  3. those of crates that use that crate
//!                                one fails, and the next mutant's turn has come
//! ```
//!
//! A weaker ordering may let a model wait for ever: `loom` gives up after some steps, which is a
//! failure, and a target that does not end within [`TIME_LIMIT`] has caught its mutant, too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mutator::{self, Mutant};
use super::{Target, environment};
use crate::trial::{Outcome, Trial};
use crate::twin::{Twin, read};
use crate::workspace::Workspace;

/// How long one target may run. The sound source has the same limit, on the same machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How long all mutants together may take, builds included, on two processors.
const BUDGET: Duration = Duration::from_secs(20 * 60);

/// A mutant of a file.
struct Case {
    file: PathBuf,
    mutant: Mutant,
}

/// Runs the command; `filters` restrict it to the mutants whose place contains one of them.
pub fn run(workspace: &Workspace, targets: &[Target], filters: &[String]) -> Result<(), String> {
    let start = Instant::now();
    let mut cases = cases(workspace)?;
    cases.retain(|case| {
        filters.is_empty() || filters.iter().any(|filter| case.place().contains(filter.as_str()))
    });
    if cases.is_empty() {
        return Err("there is no ordering to weaken".to_string());
    }
    // `shuttle` knows no weak memory: its models need no ordering at all.
    let mut targets = targets.to_vec();
    targets.retain(|target| target.explorer == "loom");
    let needed: BTreeSet<Target> =
        cases.iter().flat_map(|case| in_order(workspace, &targets, &case.file)).cloned().collect();
    let twin = Twin::new(workspace, "mutants")?;
    pass_unweakened(workspace, &twin, &needed)?;

    let mut survivors = Vec::new();
    for case in &cases {
        let case_start = Instant::now();
        let caught = weaken(workspace, &twin, case, &in_order(workspace, &targets, &case.file))?;
        let time = case_start.elapsed().as_secs_f64();
        let outcome =
            caught.as_deref().map_or("SURVIVED".to_string(), |by| format!("caught by {by}"));
        println!("{}: {}: {outcome} ({time:.1} s)", case.place(), case.mutant.change);
        if caught.is_none() {
            survivors.push(format!("{} ({})", case.place(), case.mutant.change));
        }
    }
    let time = start.elapsed();
    println!(
        "\n{} mutants, {} survived, {:.0} s",
        cases.len(),
        survivors.len(),
        time.as_secs_f64()
    );
    if !survivors.is_empty() {
        return Err(format!(
            "no model fails with these orderings weakened, so add one, or weaken them: {}",
            survivors.join(", ")
        ));
    }
    if time > BUDGET {
        return Err(format!("the mutants may take {} s", BUDGET.as_secs()));
    }
    Ok(())
}

/// Every mutant of shipped code.
fn cases(workspace: &Workspace) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for file in workspace.files()? {
        if !is_source(&file) || workspace.library_of(&file).is_none() {
            continue;
        }
        let mutants = mutator::mutants(&read(&workspace.root.join(&file))?)
            .map_err(|error| format!("{}, {error}", file.display()))?;
        cases.extend(mutants.into_iter().map(|mutant| Case { file: file.clone(), mutant }));
    }
    Ok(cases)
}

/// Whether `file` is Rust that is not a module of tests.
fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
        && !file.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The targets that may catch a mutant of `file`, those first that most likely do.
fn in_order<'a>(workspace: &Workspace, targets: &'a [Target], file: &Path) -> Vec<&'a Target> {
    let Some(own) = workspace.library_of(file) else { return Vec::new() };
    let rank = |target: &&Target| {
        let is_own = target.package == own.name;
        let subject = target.test.trim_start_matches("loom_");
        let is_named = file.with_extension("").iter().any(|part| part == subject);
        (!is_own, !is_named)
    };
    let users = workspace.libraries().filter(|library| workspace.is_above(library, own));
    let users: Vec<&str> = users.map(|library| library.name.as_str()).collect();
    let mut order: Vec<&Target> =
        targets.iter().filter(|target| users.contains(&target.package.as_str())).collect();
    order.sort_by_key(rank);
    order
}

/// A model that fails anyway, or none at all, catches nothing.
fn pass_unweakened(
    workspace: &Workspace,
    twin: &Twin,
    targets: &BTreeSet<Target>,
) -> Result<(), String> {
    for target in targets {
        let log = "unweakened";
        let outcome = trial(workspace, twin, log, target)?.run(TIME_LIMIT)?;
        println!("as it is, {target}: {outcome}");
        if !matches!(outcome, Outcome::Passed { tests: 1.. }) {
            let log = twin.log(log);
            return Err(format!("the models must pass as they are, see {}", log.display()));
        }
    }
    Ok(())
}

/// Runs the targets on the mutant until one catches it, and says which model did.
///
/// # Errors
///
/// The mutant does not compile, which is the mutator's fault.
fn weaken(
    workspace: &Workspace,
    twin: &Twin,
    case: &Case,
    targets: &[&Target],
) -> Result<Option<String>, String> {
    let log = format!(
        "{}-{}-{}",
        case.file.display().to_string().replace(['/', '\\'], "-"),
        case.mutant.line,
        case.mutant.change.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
    );
    let weakened = case.mutant.apply_to(&twin.read(&case.file)?);
    twin.with_file(&case.file, &weakened, || {
        for target in targets {
            match trial(workspace, twin, &log, target)?.run(TIME_LIMIT)? {
                Outcome::Passed { .. } => {}
                Outcome::NotCompiled => {
                    return Err(format!(
                        "{}: {} does not compile, see {}",
                        case.place(),
                        case.mutant.change,
                        twin.log(&log).display()
                    ));
                }
                outcome => return Ok(Some(format!("{outcome} in {}", target.test))),
            }
        }
        Ok(None)
    })
}

/// A run of the models of `target`, up to the first that fails. It builds where the models always do:
/// what they depend on is built already.
fn trial(workspace: &Workspace, twin: &Twin, log: &str, target: &Target) -> Result<Trial, String> {
    let test = format!("--package {} --test {}", target.package, target.test);
    let mut environment = environment(workspace, target.explorer);
    // Nobody reads it, and to find its names takes longer than most models do.
    environment.push(("RUST_BACKTRACE".to_string(), "0".to_string()));
    Ok(twin.trial(log, &test)?.with_environment(environment).stopped_by_a_failure())
}

impl Case {
    /// Where the ordering is, as compilers say it.
    fn place(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.mutant.line, self.mutant.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of a library `sync`, a library `core` that uses it, and one that does not.
    fn workspace() -> Workspace {
        let package = |name: &str, dependencies: &str| {
            format!(
                r#"{{"id": "{name}", "name": "{name}", "manifest_path": "/w/crates/{name}/Cargo.toml",
                    "features": {{}}, "dependencies": [{dependencies}],
                    "targets": [{{"name": "{name}", "kind": ["lib"], "src_path": "lib.rs"}}]}}"#
            )
        };
        let packages = [
            package("core", r#"{"name": "sync"}, {"name": "libc"}"#),
            package("other", ""),
            package("sync", ""),
        ];
        let metadata = format!(
            r#"{{"workspace_root": "/w", "target_directory": "/t", "packages": [{}],
                "workspace_default_members": []}}"#,
            packages.join(",")
        );
        serde_json::from_str(&metadata).unwrap()
    }

    fn target(package: &str, test: &str) -> Target {
        Target { explorer: "loom", package: package.to_string(), test: test.to_string() }
    }

    #[test]
    fn a_mutant_meets_its_own_models_first_and_those_of_users_last() {
        let targets = [
            target("core", "loom_pool"),
            target("other", "loom_slots"),
            target("sync", "loom_list"),
            target("sync", "loom_slots"),
        ];
        let order = |file: &str| {
            let order = in_order(&workspace(), &targets, Path::new(file));
            order.into_iter().map(|target| target.test.clone()).collect::<Vec<_>>()
        };
        let sync = ["loom_slots", "loom_list", "loom_pool"];
        assert_eq!(order("crates/sync/src/slots/registry.rs"), sync);
        assert_eq!(order("crates/sync/src/slots.rs"), sync);
        assert_eq!(order("crates/core/src/pool.rs"), ["loom_pool"]);
        assert_eq!(order("examples/pool.rs"), [""; 0]);
    }

    #[test]
    fn modules_of_tests_are_no_source() {
        assert!(is_source(Path::new("crates/sync/src/slots.rs")));
        for file in ["crates/sync/src/tests.rs", "crates/sync/tests/a.rs", "crates/sync/a.md"] {
            assert!(!is_source(Path::new(file)), "{file}");
        }
    }
}
