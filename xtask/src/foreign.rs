//! `cargo xtask foreign`: what the contract suite finds in other people's crates.
//!
//! These crates stand in a workspace of their own: old versions cannot stand beside new ones. The
//! findings differ between builds with debug assertions and without, so both are run.

use crate::shell;
use crate::workspace::Workspace;

/// The workspace of the foreign crates.
const FOLDER: &str = "crates/allotrope-conformance/foreign";

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("foreign", arguments)?;
    let workspace = Workspace::load()?;
    let target = workspace.target.join("foreign");
    for release in [&[][..], &["--release"]] {
        let mut command = workspace.command("cargo");
        command.args(["test", "--workspace"]).args(release).env("CARGO_TARGET_DIR", &target);
        shell::run(command.current_dir(workspace.root.join(FOLDER)))?;
    }
    Ok(())
}
