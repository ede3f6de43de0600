//! `cargo xtask tsan`: the unit and integration tests of the libraries under ThreadSanitizer.
//!
//! `std` is built with the sanitizer too. Without that it would not see that a channel or a join
//! orders two accesses, and report races that are none.
//!
//! Left out are the contract suites, tens of thousands of calls from one thread, in which there is
//! nothing to see; their threaded twins are the targets called `threads…`. Doctests do not run.
//!
//! A sanitizer that sees nothing reports nothing. So the command then makes the spin lock wrong in
//! a copy of the workspace, in the ways that [`RACES`] lists, and demands a report for each.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::cannot;
use crate::toolchain::Toolchain;
use crate::twin::mirror;
use crate::workspace::Workspace;
use crate::{sanitizer, shell, test};

/// How many calls a random script makes, `ALLOTROPE_STEPS`, unless the environment says: each
/// takes some ten times as long as without the sanitizer.
const STEPS: &str = "2000";

/// Races that must be seen: a file, what it says, what it says then, and the library whose unit
/// tests run into the race.
const RACES: &[Race] = &[
    Race {
        file: "crates/allotrope-sync/src/spin.rs",
        from: "self.is_locked.store(false, Ordering::Release)",
        to: "self.is_locked.store(false, Ordering::Relaxed)",
        library: "allotrope-sync",
    },
    Race {
        file: "crates/allotrope-sync/src/spin.rs",
        from: "compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)",
        to: "compare_exchange(false, true, Ordering::Relaxed, Ordering::Relaxed)",
        library: "allotrope-sync",
    },
];

struct Race {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    library: &'static str,
}

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let toolchain = Toolchain::find(&workspace)?;
    let host = shell::rustc_says(toolchain.rustc(&workspace)?, "host")?;
    toolchain.add_thread_sanitizer(&workspace, &host)?;
    let command = || cargo_test(&workspace, &toolchain, &host);

    let mut tests = command()?;
    for library in sanitizer::libraries(&workspace) {
        tests.args(["--package", &library.name]);
        for name in library.tests().filter(|name| !test::is_contract_suite(name)) {
            tests.args(["--test", name]);
        }
    }
    shell::run(tests.args(arguments))?;

    let copy = workspace.target.join("tsan").join("workspace");
    mirror(&workspace, &copy)?;
    RACES.iter().try_for_each(|race| race.is_seen(&copy, command()?))
}

/// `cargo test` of unit tests, with everything instrumented.
fn cargo_test(workspace: &Workspace, toolchain: &Toolchain, host: &str) -> Result<Command, String> {
    let mut command = toolchain.cargo(workspace)?;
    command
        .env("RUSTFLAGS", "-Zsanitizer=thread")
        .env("TSAN_OPTIONS", sanitizer::options("TSAN_OPTIONS"))
        .env("CARGO_TARGET_DIR", workspace.target.join("tsan").join("target"));
    if env::var_os("ALLOTROPE_STEPS").is_none() {
        command.env("ALLOTROPE_STEPS", STEPS);
    }
    // With `--target`, build scripts and procedural macros are not instrumented.
    command.args(["test", "-Zbuild-std=std,panic_unwind,test", "--target", host, "--lib"]);
    Ok(command)
}

impl Race {
    /// Makes the race in the workspace at `copy`, runs `test` there, and takes it back.
    fn is_seen(&self, copy: &Path, mut test: Command) -> Result<(), String> {
        let path = copy.join(self.file);
        let sound = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        if sound.matches(self.from).count() != 1 {
            return Err(format!("`{}` does not occur once in {}", self.from, self.file));
        }
        fs::write(&path, sound.replace(self.from, self.to))
            .map_err(|error| cannot("write", &path, &error))?;
        let output = test.args(["--package", self.library]).current_dir(copy).output();
        fs::write(&path, sound).map_err(|error| cannot("write", &path, &error))?;

        let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !log.contains("WARNING: ThreadSanitizer: data race") {
            return Err(format!(
                "no race was reported with `{}` in {}:\n{log}",
                self.to, self.file
            ));
        }
        println!("{}, `{}`: the race is reported", self.file, self.to);
        Ok(())
    }
}
