//! `cargo xtask test`: everything that plain `cargo test` runs, then the contract suites again.
//!
//! The first run has debug assertions, all sweeps and short scripts, the second is optimized and has
//! long scripts: they find different bugs. Neither needs more than rustup and a C compiler.
//!
//! `cargo xtask test long` is another thing: 100 million calls of best fit, checked as they are made,
//! and 100,000 heaps at once.

use crate::shell;
use crate::workspace::Workspace;

/// How many calls each random script makes in the optimized build, `ALLOTROPE_STEPS`: with the
/// seeds and conditions of the suites this comes to tens of millions, in a minute or two. The sweeps
/// of that build are samples, `ALLOTROPE_SAMPLED`.
const LONG_RUN_STEPS: &str = "30000";

/// How many calls the long run makes, `ALLOTROPE_CALLS`.
const LONG_RUN_CALLS: &str = "100000000";

/// How many heaps there are at once in the long run, `ALLOTROPE_HEAPS`: 10 GB of memory.
const LONG_RUN_HEAPS: &str = "100000";

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    if arguments == ["long"] {
        for (package, test) in [("allotrope-core", "long_run"), ("allotrope-heap", "mappings")] {
            let mut cargo = workspace.command("cargo");
            cargo.env("ALLOTROPE_CALLS", LONG_RUN_CALLS).env("ALLOTROPE_HEAPS", LONG_RUN_HEAPS);
            let test = ["test", "--release", "--package", package, "--test", test];
            shell::run(cargo.args(test).args(["--", "--nocapture"]))?;
        }
        return Ok(());
    }
    shell::no_arguments("test", arguments)?;
    shell::run(workspace.command("cargo").arg("test"))?;
    if !workspace.default_members().any(|package| package.tests().any(is_contract_suite)) {
        return Err("no integration test has `contract` in its name: the contract suites, which \
                    run long in release, go by that name"
            .to_string());
    }
    let mut long_run = workspace.command("cargo");
    // The sweeps were made by the first run.
    long_run.env("ALLOTROPE_STEPS", LONG_RUN_STEPS).env("ALLOTROPE_SAMPLED", "1");
    // One unit, as the release profile has it for figures that repeat, would keep one processor busy.
    long_run.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    shell::run(long_run.args(["test", "--release", "--test", "*contract*"]))
}

/// What the pattern `*contract*` matches.
pub fn is_contract_suite(test: &str) -> bool {
    test.contains("contract")
}
