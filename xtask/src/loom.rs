//! `cargo xtask loom`, in short `cargo loom`: the models of what threads share.
//!
//! The models are integration tests of the libraries: `loom_*` run in every interleaving that there
//! is, `shuttle_*` are too big for that and run in many random ones. They exist under `--cfg loom` and
//! `--cfg shuttle` only, and an empty test passes: so the flag is added here to whatever `RUSTFLAGS`
//! hold, and a target in which nothing ran is a failure.
//!
//! `--mutants` asks whether the models would notice a weaker ordering: see [`mutants`].

use std::collections::BTreeSet;
use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::shell;
use crate::trial::tests_passed;
use crate::workspace::Workspace;

mod mutants;
mod mutator;

/// What runs models: the `cfg` that swaps its types in, and the prefix of the integration tests.
const EXPLORERS: [(Explorer, &str); 2] = [("loom", "loom_"), ("shuttle", "shuttle_")];

/// The name of a `cfg`.
type Explorer = &'static str;

/// How long all models together may run, built as they are, on two processors.
const BUDGET: Duration = Duration::from_secs(5 * 60);

/// An integration test with models.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    explorer: Explorer,
    package: String,
    test: String,
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let targets = targets(&workspace);
    if !targets.iter().any(|target| target.explorer == "loom") {
        return Err("no library has an integration test called `loom_*`".to_string());
    }
    match arguments.split_first() {
        Some((first, filters)) if first == "--mutants" => {
            mutants::run(&workspace, &targets, filters)
        }
        _ => run_models(&workspace, &targets, arguments),
    }
}

/// Runs the targets, or else the models, whose name contains one of `filters`.
fn run_models(workspace: &Workspace, targets: &[Target], filters: &[String]) -> Result<(), String> {
    let is_named = |target: &Target| filters.iter().any(|filter| target.test.contains(filter));
    if targets.iter().any(is_named) {
        let named: Vec<Target> = targets.iter().filter(|&t| is_named(t)).cloned().collect();
        return run_models(workspace, &named, &[]);
    }
    build(workspace, targets)?;

    let start = Instant::now();
    let mut ran = 0;
    let mut failures = Vec::new();
    for target in targets {
        match run_target(workspace, target, filters) {
            Ok(0) if filters.is_empty() => failures.push(format!("{target} has no model in it")),
            Ok(models) => ran += models,
            Err(error) => failures.push(format!("{target}: {error}")),
        }
    }
    let time = start.elapsed();
    println!("\n{ran} models of {} targets in {:.1} s", targets.len(), time.as_secs_f64());
    if !failures.is_empty() {
        return Err(failures.join("; "));
    }
    if ran == 0 {
        return Err(format!("no model's name contains {}", filters.join(" or ")));
    }
    if time > BUDGET {
        return Err(format!("the models may take {} s", BUDGET.as_secs()));
    }
    Ok(())
}

/// Builds `targets`, so that what follows only runs them.
fn build(workspace: &Workspace, targets: &[Target]) -> Result<(), String> {
    for (explorer, _) in EXPLORERS {
        let targets = || targets.iter().filter(|target| target.explorer == explorer);
        let packages: BTreeSet<&str> = targets().map(|target| target.package.as_str()).collect();
        if packages.is_empty() {
            continue;
        }
        let mut command = cargo_test(workspace, explorer);
        for package in packages {
            command.args(["--package", package]);
        }
        for target in targets() {
            command.args(["--test", &target.test]);
        }
        shell::run(command.arg("--no-run"))?;
    }
    Ok(())
}

/// Every target with models.
fn targets(workspace: &Workspace) -> Vec<Target> {
    let mut targets = Vec::new();
    for library in workspace.libraries() {
        for test in library.tests() {
            if let Some((explorer, _)) =
                EXPLORERS.iter().find(|(_, prefix)| test.starts_with(prefix))
            {
                let (package, test) = (library.name.clone(), test.to_string());
                targets.push(Target { explorer, package, test });
            }
        }
    }
    targets
}

/// Runs the models of `target` that `filters` select, and says how many there were.
///
/// # Errors
///
/// A model fails.
fn run_target(workspace: &Workspace, target: &Target, filters: &[String]) -> Result<usize, String> {
    let mut command = cargo_test(workspace, target.explorer);
    command.args(["--package", &target.package, "--test", &target.test, "--"]).args(filters);
    let output = shell::tee(&mut command)?;
    Ok(tests_passed(&output))
}

/// `cargo test` of models that `explorer` runs.
fn cargo_test(workspace: &Workspace, explorer: Explorer) -> Command {
    let mut command = workspace.command("cargo");
    command.envs(environment(workspace, explorer)).arg("test");
    command
}

/// What makes a `cargo test` one of models: a target folder of its own, since the flags are others,
/// and an optimized build, since there are many interleavings.
fn environment(workspace: &Workspace, explorer: Explorer) -> Vec<(String, String)> {
    let target = workspace.target.join("loom");
    let (name, flags) = flags(explorer);
    let settings = [
        (name, flags.as_str()),
        ("CARGO_TARGET_DIR", &target.display().to_string()),
        ("CARGO_PROFILE_TEST_OPT_LEVEL", "2"),
        ("CARGO_PROFILE_TEST_DEBUG", "line-tables-only"),
    ];
    settings.map(|(name, value)| (name.to_string(), value.to_string())).into()
}

/// The variable from which cargo takes the compiler's flags, and its value with `explorer`'s added.
fn flags(explorer: Explorer) -> (&'static str, String) {
    // Cargo reads only the first of these that is set.
    match env::var("CARGO_ENCODED_RUSTFLAGS") {
        Ok(others) => ("CARGO_ENCODED_RUSTFLAGS", added(&others, "\x1f", explorer)),
        Err(_) => ("RUSTFLAGS", added(&env::var("RUSTFLAGS").unwrap_or_default(), " ", explorer)),
    }
}

fn added(others: &str, separator: &str, explorer: Explorer) -> String {
    let others = (!others.is_empty()).then_some(others);
    others.into_iter().chain(["--cfg", explorer]).collect::<Vec<_>>().join(separator)
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.test, self.package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_added_to_those_that_are_set() {
        assert_eq!(added("", " ", "loom"), "--cfg loom");
        assert_eq!(added("-D warnings", " ", "shuttle"), "-D warnings --cfg shuttle");
        assert_eq!(added("-D\x1fwarnings", "\x1f", "loom"), "-D\x1fwarnings\x1f--cfg\x1floom");
    }
}
