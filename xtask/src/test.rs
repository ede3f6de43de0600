//! `cargo xtask test`: everything that plain `cargo test` runs, then the contract suites again.
//!
//! The first run has debug assertions and few steps, the second is optimized and long: they find
//! different bugs. Neither needs more than rustup and a C compiler.

use crate::shell;
use crate::workspace::Workspace;

/// How many calls each random script makes in the optimized build, `ALLOTROPE_STEPS`: with the
/// seeds and conditions of the suites this comes to tens of millions, in a minute or two.
const LONG_RUN_STEPS: &str = "100000";

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("test", arguments)?;
    let workspace = Workspace::load()?;
    shell::run(workspace.command("cargo").arg("test"))?;
    shell::run(workspace.command("cargo").args(["build", "--examples", "--bins"]))?;
    if !workspace.default_members().any(|package| package.tests().any(is_contract_suite)) {
        return Err("no integration test has `contract` in its name: the contract suites, which \
                    run long in release, go by that name"
            .to_string());
    }
    shell::run(workspace.command("cargo").env("ALLOTROPE_STEPS", LONG_RUN_STEPS).args([
        "test",
        "--release",
        "--test",
        "*contract*",
    ]))
}

/// What the pattern `*contract*` matches.
pub fn is_contract_suite(test: &str) -> bool {
    test.contains("contract")
}
