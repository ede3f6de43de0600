//! `cargo xtask versions`: the trait of a nightly compiler beside those of allocator-api2.
//!
//! `tests/versions` runs with std's containers among its guests, and the doctests of `compat` with
//! those that need nightly. (`cargo test` runs both without.)
//!
//! One combination cannot be: allocator-api2 0.2 has a feature `nightly`, which makes its trait
//! that of `core::alloc`. Beside our own feature `nightly`, one trait would be implemented twice.
//! Our documentation has the compiler's message, so that who meets it finds it: it is held against
//! what the compiler says.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::shell;
use crate::workspace::Workspace;

/// Where the message is documented.
const DOCUMENTED: &str = "crates/allotrope-core/src/compat/mod.rs";

/// How an error of the compiler's begins.
const ERROR: &str = "error[";

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("versions", arguments)?;
    let workspace = Workspace::load()?;
    shell::run(
        cargo(&workspace, "test")?.args(["--package=allotrope-versions", "--features=nightly"]),
    )?;
    shell::run(cargo(&workspace, "test")?.args([
        "--package=allotrope-core",
        "--doc",
        "--features=nightly,allocator-api2-03,allocator-api2-04",
        "compat",
    ]))?;
    conflict(&workspace)
}

/// `cargo SUBCOMMAND` of the nightly toolchain, with the flags and the folder of `cargo xtask
/// features`, which has built most of it.
fn cargo(workspace: &Workspace, subcommand: &str) -> Result<Command, String> {
    let mut command = shell::nightly("cargo", &workspace.root)?;
    command
        .env("RUSTFLAGS", "-Dwarnings")
        .env("CARGO_TARGET_DIR", workspace.target.join("features"))
        .args([subcommand, "--quiet"]);
    Ok(command)
}

/// Both features of that name fail to compile, as documented.
fn conflict(workspace: &Workspace) -> Result<(), String> {
    let mut command = cargo(workspace, "check")?;
    command.args(["--package=allotrope-core", "--features=nightly,allocator-api2/nightly"]);
    let line = shell::command_line(&command);
    println!("$ {line}");
    let output =
        command.output().map_err(|error| format!("`{line}` cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let path = workspace.root.join(DOCUMENTED);
    let text = fs::read_to_string(&path).map_err(|error| shell::cannot("read", &path, &error))?;
    let message = text
        .lines()
        .find_map(|line| line.strip_prefix("//! ").filter(|line| line.starts_with(ERROR)))
        .ok_or_else(|| format!("{DOCUMENTED} has no line `//! {ERROR}…`"))?;
    judge(output.status.success(), &said, message)?;
    println!("fails as documented: {message}");
    Ok(())
}

/// Whether the compiler `said` the documented `message`, and no error of another kind.
fn judge(compiled: bool, said: &str, message: &str) -> Result<(), String> {
    if compiled {
        return Err(format!("{DOCUMENTED} says that it does not compile, and it does"));
    }
    if !said.lines().any(|line| line == message) {
        return Err(format!("the compiler does not say `{message}` any more, but:\n{said}"));
    }
    let code = |line: &str| Some(line.strip_prefix(ERROR)?.split_once(']')?.0.to_string());
    let codes: BTreeSet<String> = said.lines().filter_map(code).collect();
    if codes.len() > 1 {
        return Err(format!("there are errors of other kinds, too: {codes:?}\n{said}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "error[E0119]: twice";

    #[test]
    fn the_documented_error_alone_is_as_it_should_be() {
        assert_eq!(judge(false, "error[E0119]: twice\n  --> here\n", MESSAGE), Ok(()));
        assert_eq!(judge(false, "error[E0119]: once\nerror[E0119]: twice\n", MESSAGE), Ok(()));
    }

    #[test]
    fn success_and_other_errors_are_not() {
        assert!(judge(true, "", MESSAGE).is_err());
        assert!(judge(false, "error[E0119]: once\n", MESSAGE).is_err());
        assert!(judge(false, "error[E0119]: twice\nerror[E0433]: where\n", MESSAGE).is_err());
    }
}
