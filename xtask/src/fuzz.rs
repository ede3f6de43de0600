//! `cargo xtask fuzz`: random calls that coverage leads, under AddressSanitizer.
//!
//! The targets are the files of `fuzz/src/targets/`; one program, in the workspace `fuzz/`, has all
//! of them. It is built as cargo-fuzz does it: nightly, with the sanitizer's coverage, and
//! libFuzzer, which is C++. Free memory is poisoned as in `cargo xtask asan`.
//!
//! Below `target/fuzz/`: `corpus/TARGET` are inputs found by earlier runs, kept for later ones;
//! `found/TARGET` are inputs on which the target failed; `TARGET.log` is what the engine said. Inputs
//! in `fuzz/seeds/TARGET` are part of the source: a run begins with them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::Workspace;
use crate::{sanitizer, shell};

/// The workspace of the targets.
pub const FOLDER: &str = "fuzz";

/// What cargo-fuzz gives rustc, and the poisoning.
const RUSTFLAGS: &str = "-Zsanitizer=address --cfg fuzzing --cfg allotrope_asan \
     -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How long a target runs, in seconds, unless an argument says.
const SECONDS: u64 = 60;

/// How many lines of the engine's log a failure shows.
const SHOWN_LINES: usize = 60;

/// Runs the command: `TARGET [SECONDS]`, `all [SECONDS]`, or `TARGET FILE`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let targets = targets(&workspace)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, second) = match arguments[..] {
        [] => {
            println!("cargo xtask fuzz TARGET|all [SECONDS], or TARGET FILE to replay an input\n");
            targets.iter().for_each(|target| println!("  {target}"));
            return Ok(());
        }
        [name] => (name, None),
        [name, second] => (name, Some(second)),
        [_, _, third, ..] => {
            return Err(format!("`cargo xtask fuzz` takes no third argument, not `{third}`"));
        }
    };
    let chosen: Vec<&String> =
        targets.iter().filter(|target| name == "all" || name == *target).collect();
    if chosen.is_empty() {
        return Err(format!(
            "there is no target `{name}`: `cargo xtask fuzz` lists those there are"
        ));
    }
    let seconds = second.map_or(Ok(SECONDS), str::parse);
    let fuzzer = Fuzzer::build(&workspace)?;
    match (seconds, second) {
        (Ok(seconds), _) => chosen.into_iter().try_for_each(|name| fuzzer.run(name, seconds)),
        (Err(_), Some(file)) if name != "all" => fuzzer.replay(name, Path::new(file)),
        (Err(_), _) => {
            Err(format!("`all` takes a number of seconds, not `{}`", second.unwrap_or_default()))
        }
    }
}

/// The names of the files of targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join(FOLDER).join("src/targets");
    let cannot_read = |error| shell::cannot("read", &folder, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(cannot_read)? {
        let path = entry.map_err(cannot_read)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.retain(|name| name != "mod");
    names.sort();
    Ok(names)
}

/// The program with all targets.
struct Fuzzer<'a> {
    workspace: &'a Workspace,
    program: PathBuf,
    /// Where everything is written to.
    target: PathBuf,
}

impl<'a> Fuzzer<'a> {
    fn build(workspace: &'a Workspace) -> Result<Self, String> {
        let has_compiler = ["c++", "g++", "clang++"]
            .iter()
            .any(|compiler| workspace.command(compiler).arg("--version").output().is_ok());
        if !has_compiler {
            return Err("there is no C++ compiler, which libFuzzer wants: install one with the \
                        system's package manager"
                .to_string());
        }
        let target = workspace.target.join("fuzz");
        let host = shell::rustc_says(shell::nightly("rustc", &workspace.root)?, "host")?;
        let mut cargo = shell::nightly("cargo", &workspace.root.join(FOLDER))?;
        // With `--target`, build scripts and procedural macros are not instrumented.
        cargo.env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", target.join("build")).args([
            "build",
            "--release",
            "--locked",
            "--features",
            "libfuzzer",
            "--target",
            &host,
        ]);
        shell::run(&mut cargo)?;
        let program = target.join("build").join(host).join("release").join("fuzz");
        Ok(Self { workspace, program, target })
    }

    /// Lets `name` run for so many seconds.
    fn run(&self, name: &str, seconds: u64) -> Result<(), String> {
        let corpus = folder(self.target.join("corpus").join(name))?;
        let found = folder(self.target.join("found").join(name))?;
        let log = self.target.join(format!("{name}.log"));
        let mut command = self.command(name);
        command.arg(&corpus);
        let seeds = self.workspace.root.join(FOLDER).join("seeds").join(name);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", found.display()));
        command.args([
            "-max_len=1024",
            "-len_control=10",
            "-timeout=20",
            "-detect_leaks=0",
            "-print_final_stats=1",
        ]);
        println!("$ {}", shell::command_line(&command));
        let output =
            command.output().map_err(|error| format!("the fuzzer cannot be started: {error}"))?;
        fs::write(&log, &output.stderr).map_err(|error| shell::cannot("write", &log, &error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            println!("{name}: nothing found, {}", summary(&said));
            return Ok(());
        }
        print_end(&said);
        let prefix = "Test unit written to ";
        let input = said.lines().find_map(|line| Some(line.split_once(prefix)?.1));
        Err(match input {
            Some(input) => format!(
                "target `{name}` fails, as said above, on the input {input}: `cargo xtask fuzz \
                 {name} {input}` makes its calls again and prints each"
            ),
            None => {
                format!("target `{name}` ended with {}: {} says why", output.status, log.display())
            }
        })
    }

    /// Runs `name` on one input, every call printed before it is made.
    fn replay(&self, name: &str, file: &Path) -> Result<(), String> {
        fs::metadata(file).map_err(|error| shell::cannot("read", file, &error))?;
        let mut command = self.command(name);
        command.env("ALLOTROPE_FUZZ_TRACE", "1").arg("-detect_leaks=0").arg(file);
        shell::run(&mut command)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = self.workspace.command(&self.program.to_string_lossy());
        command
            .env("ALLOTROPE_FUZZ_TARGET", name)
            .env("ASAN_OPTIONS", sanitizer::options("ASAN_OPTIONS"));
        command
    }
}

/// The folder at `path`, which is made if it is not there.
fn folder(path: PathBuf) -> Result<PathBuf, String> {
    match fs::create_dir_all(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(shell::cannot("create", &path, &error))
        }
        _ => Ok(path),
    }
}

/// How much was run, from what the engine says at the end.
fn summary(said: &str) -> String {
    let number = |what: &str| {
        let line = said.lines().rev().find_map(|line| line.strip_prefix(what));
        line.map_or("?", |line| line.trim_start_matches(':').trim())
    };
    let covered = said.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "cov:");
        words.nth(1)
    });
    format!(
        "{} inputs, {} a second, {} edges covered",
        number("stat::number_of_executed_units"),
        number("stat::average_exec_per_sec"),
        covered.unwrap_or("?")
    )
}

/// Prints the end of what the engine said.
fn print_end(said: &str) {
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('#')).collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_last_figures() {
        let said = "#2\tINITED cov: 10 ft: 11\n#9\tDONE   cov: 12 ft: 13\n\
                    stat::number_of_executed_units: 9\nstat::average_exec_per_sec:     3\n";
        assert_eq!(summary(said), "9 inputs, 3 a second, 12 edges covered");
    }
}
