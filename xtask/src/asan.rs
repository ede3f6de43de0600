//! `cargo xtask asan`: the unit and integration tests of the libraries under AddressSanitizer.
//!
//! `--cfg allotrope_asan` makes the strategies poison free memory, so that a read of a freed block
//! is caught although the region that it lies in is mapped. It is a `cfg` and no feature: outside
//! of such a build it would not link. Doctests do not run here; `cargo xtask test` runs them.

use crate::shell;
use crate::workspace::Workspace;

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let host = host(&workspace)?;
    let mut command = shell::nightly("cargo", &workspace.root)?;
    // With `--target`, build scripts and procedural macros are not instrumented.
    command
        .env("RUSTFLAGS", "-Zsanitizer=address --cfg allotrope_asan")
        .env("CARGO_TARGET_DIR", workspace.target.join("asan"))
        .args(["test", "--lib", "--tests", "--target", &host]);
    for library in workspace.libraries() {
        command.args(["--package", &library.name]);
    }
    shell::run(command.args(arguments))
}

/// The target triple of this machine.
fn host(workspace: &Workspace) -> Result<String, String> {
    let version = shell::capture(shell::nightly("rustc", &workspace.root)?.arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_string).ok_or_else(|| "`rustc -vV` does not name its host".to_string())
}
