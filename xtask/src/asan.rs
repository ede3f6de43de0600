//! `cargo xtask asan`: the unit and integration tests of the libraries under AddressSanitizer.
//!
//! `--cfg allotrope_asan` makes the strategies poison free memory, so that a read of a freed block
//! is caught although the region that it lies in is mapped. It is a `cfg` and no feature: outside
//! of such a build it would not link. Doctests do not run here; `cargo xtask test` runs them.
//!
//! The sanitizer's own `malloc` aborts on a size that no machine has; the contract suites ask for
//! such sizes and expect a refusal, so it is told to refuse. It still reports what it always does.

use std::env;

use crate::shell;
use crate::workspace::Workspace;

/// The library whose tests run allocators that leak and overwrite memory on purpose. Its own code
/// runs under the sanitizer in everybody else's contract suites.
const WRONG_ON_PURPOSE: &str = "allotrope-conformance";

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let host = host(&workspace)?;
    let mut command = shell::nightly("cargo", &workspace.root)?;
    // With `--target`, build scripts and procedural macros are not instrumented.
    command
        .env("RUSTFLAGS", "-Zsanitizer=address --cfg allotrope_asan")
        .env("ASAN_OPTIONS", options())
        .env("CARGO_TARGET_DIR", workspace.target.join("asan"))
        .args(["test", "--lib", "--tests", "--target", &host]);
    let sanitized = workspace.libraries().filter(|library| library.name != WRONG_ON_PURPOSE);
    for library in sanitized {
        command.args(["--package", &library.name]);
    }
    shell::run(command.args(arguments))
}

/// What the environment asks of the sanitizer, and what the [module documentation](self) says.
fn options() -> String {
    let refuse = "allocator_may_return_null=1";
    match env::var("ASAN_OPTIONS") {
        Ok(others) if !others.is_empty() => format!("{others}:{refuse}"),
        _ => refuse.to_string(),
    }
}

/// The target triple of this machine.
fn host(workspace: &Workspace) -> Result<String, String> {
    let version = shell::capture(shell::nightly("rustc", &workspace.root)?.arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_string).ok_or_else(|| "`rustc -vV` does not name its host".to_string())
}
