//! `cargo xtask tsan`: the unit and integration tests of the libraries under ThreadSanitizer.
//!
//! `std` is built with the sanitizer too. Without that it would not see that a channel or a join
//! orders two accesses, and report races that are none.
//!
//! Left out are integration tests that start no thread, in which there is nothing to see, and the
//! contract suites, tens of thousands of calls from one; their threaded twins are the targets called
//! `threads…`. Doctests do not run.
//!
//! `--cfg allotrope_tsan` makes `OsPages` do without `mremap`, which the sanitizer does not know.
//!
//! A sanitizer that sees nothing reports nothing. So the command then makes the spin lock wrong in
//! a twin of the workspace, in the ways that [`RACES`] lists, and demands a report for each.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::toolchain::Toolchain;
use crate::twin::Twin;
use crate::workspace::{Target, Workspace};
use crate::{sanitizer, shell, test};

/// Races that must be seen, one by the lock's own tests, one by the threaded scenarios.
const RACES: &[Race] = &[
    Race {
        file: "crates/allotrope-sync/src/spin.rs",
        from: "self.is_locked.store(false, Ordering::Release)",
        to: "self.is_locked.store(false, Ordering::Relaxed)",
        test: &["--package", "allotrope-core", "--test", "threads", "locked_fixed_size"],
    },
    Race {
        file: "crates/allotrope-sync/src/spin.rs",
        from: "self.is_locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)",
        to: "self.is_locked.compare_exchange(false, true, Ordering::Relaxed, Ordering::Relaxed)",
        test: &["--package", "allotrope-sync", "--lib"],
    },
];

/// A race that is made by changing one file.
struct Race {
    file: &'static str,
    /// What it says, once.
    from: &'static str,
    /// What it says then.
    to: &'static str,
    /// The arguments of the `cargo test` that runs into the race.
    test: &'static [&'static str],
}

/// Runs the command; further arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let toolchain = Toolchain::find(&workspace)?;
    let host = shell::rustc_says(toolchain.rustc(&workspace)?, "host")?;
    toolchain.add_thread_sanitizer(&workspace, &host)?;
    let command = || cargo_test(&workspace, &toolchain, &host);

    let mut tests = command()?;
    tests.arg("--lib");
    for library in sanitizer::libraries(&workspace) {
        tests.args(["--package", &library.name]);
        for target in library.test_targets() {
            if !test::is_contract_suite(&target.name) && starts_threads(target)? {
                tests.args(["--test", &target.name]);
            }
        }
    }
    shell::run(tests.args(arguments))?;

    let twin = Twin::new(&workspace, "tsan")?;
    RACES.iter().try_for_each(|race| race.is_seen(&twin, command()?))
}

/// Does a test start threads, by its name, or by what its file says, or those in its folder?
fn starts_threads(test: &Target) -> Result<bool, String> {
    if test.name.contains("threads") {
        return Ok(true);
    }
    let folder = test.src_path.parent().filter(|_| test.src_path.ends_with("main.rs"));
    let files = match folder {
        None => vec![test.src_path.clone()],
        Some(folder) => {
            let entries = folder.read_dir().map_err(|error| format!("{folder:?}: {error}"))?;
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect()
        }
    };
    for file in files {
        let source = fs::read_to_string(&file).map_err(|error| format!("{file:?}: {error}"))?;
        if source.contains("thread::") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `cargo test` with everything instrumented. The first race ends a program: it may loop after it,
/// and reports are slow to write.
fn cargo_test(workspace: &Workspace, toolchain: &Toolchain, host: &str) -> Result<Command, String> {
    let mut command = toolchain.cargo(workspace)?;
    command
        .env("RUSTFLAGS", "-Zsanitizer=thread --cfg allotrope_tsan")
        .env("TSAN_OPTIONS", format!("{}:halt_on_error=1", sanitizer::options("TSAN_OPTIONS")))
        .env("CARGO_TARGET_DIR", workspace.target.join("tsan").join("target"));
    sanitizer::limit_steps(&mut command);
    // With `--target`, build scripts and procedural macros are not instrumented.
    command.args(["test", "-Zbuild-std=std,panic_unwind,test", "--target", host]);
    Ok(command)
}

impl Race {
    /// Makes the race in the twin of the workspace, runs its test there by `cargo`, and takes it
    /// back.
    fn is_seen(&self, twin: &Twin, mut cargo: Command) -> Result<(), String> {
        let file = Path::new(self.file);
        let sound = twin.read(file)?;
        if sound.matches(self.from).count() != 1 {
            return Err(format!("`{}` does not occur once in {}", self.from, self.file));
        }
        cargo.args(self.test).current_dir(twin.folder());
        let run = || cargo.output().map_err(|error| format!("cargo cannot be started: {error}"));
        let output = twin.with_file(file, &sound.replace(self.from, self.to), run)?;
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
