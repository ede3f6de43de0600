//! `cargo xtask valgrind`: tests that start themselves under valgrind, with the feature of this name.

use crate::workspace::Workspace;
use crate::{packages, shell};

/// The package and the test.
const TEST: [&str; 4] = ["--package", "allotrope-scope", "--test", "valgrind"];

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    packages::provide(&workspace, &["valgrind"], &["valgrind"])?;
    let mut command = workspace.command("cargo");
    command.arg("test").args(TEST).args(["--features", "valgrind"]);
    shell::run(command.args(arguments))
}
