//! `cargo xtask asan`: the unit and integration tests of the libraries under AddressSanitizer.
//!
//! `--cfg allotrope_asan` makes the strategies poison free memory, so that a read of a freed block
//! is caught although the region that it lies in is mapped. It is a `cfg` and no feature: outside
//! of such a build it would not link. Doctests do not run here; `cargo xtask test` runs them.

use crate::workspace::Workspace;
use crate::{sanitizer, shell};

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let host = shell::rustc_says(shell::nightly("rustc", &workspace.root)?, "host")?;
    let mut command = shell::nightly("cargo", &workspace.root)?;
    // With `--target`, build scripts and procedural macros are not instrumented.
    command
        .env("RUSTFLAGS", "-Zsanitizer=address --cfg allotrope_asan")
        .env("ASAN_OPTIONS", sanitizer::options("ASAN_OPTIONS"))
        .env("CARGO_TARGET_DIR", workspace.target.join("asan"))
        .args(["test", "--lib", "--tests", "--target", &host]);
    sanitizer::limit_steps(&mut command);
    for library in sanitizer::libraries(&workspace) {
        command.args(["--package", &library.name]);
    }
    shell::run(command.args(arguments))
}
