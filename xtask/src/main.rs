//! `cargo xtask`: the one door to everything the project can check and measure of itself.
//!
//! One file per command. A command gets the arguments that follow its name and answers with one
//! sentence when something is missing or failed; the exit code is then 1.

mod asan;
mod ci;
mod compare;
mod cross;
mod features;
mod foreign;
mod fuzz;
mod lint;
mod loom;
mod packages;
mod paths;
mod planted;
mod rules;
mod sanitizer;
mod shell;
mod test;
mod toolchain;
mod trial;
mod tsan;
mod twin;
mod valgrind;
mod versions;
mod workspace;

use std::env;
use std::process::ExitCode;

/// A command: its name, one line of help, and what it does.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), String>);

/// Every command, in the order in which `help` lists them.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    ("test",     "unit tests, contract suites, doctests; the contract suites once more, long, in release (`test long`: 100 million calls)", test::run),
    ("lint",     "rustfmt, clippy, rustdoc without warnings, and the rules of the house", lint::run),
    ("features", "every feature, every pair of features; without `std` nothing of std is linked", features::run),
    ("versions", "one allocator in containers of every version, std's too (needs a nightly toolchain)", versions::run),
    ("asan",     "the tests of the libraries under AddressSanitizer (needs a nightly toolchain)", asan::run),
    ("valgrind", "misuse of freed memory that valgrind must report", valgrind::run),
    ("fuzz",     "random calls led by coverage, under AddressSanitizer (`fuzz TARGET|all [SECONDS]`; lists them)", fuzz::run),
    ("loom",     "the models of what threads share (`loom NAME`: only those; `--mutants`: are they needed?)", loom::run),
    ("tsan",     "the tests of the libraries under ThreadSanitizer, std instrumented too", tsan::run),
    ("cross",    "the tests on `windows`, `i686`, `aarch64`, emulated; `check`: other targets, type-checked only", cross::run),
    ("foreign",  "what the contract suite finds in other people's crates, as written down there", foreign::run),
    ("planted",  "plants known bugs one at a time: the tests must catch each (`planted NAME`: only those)", planted::run),
    ("compare",  "our allocators against their peers: tables and target/compare/PROGRAM.json", compare::run),
    ("paths",    "the exact instructions of fast paths, held against benches/paths/instructions.txt", paths::run),
    ("toolchain", "fetches a compiler with the source of its std, which `tsan` needs", toolchain::run),
    ("ci",       "all of the above that a merge depends on, each with its time", ci::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        None => {
            print_help();
            Ok(())
        }
        Some((name, _)) if matches!(name.as_str(), "help" | "--help" | "-h") => {
            print_help();
            Ok(())
        }
        Some((name, rest)) => dispatch(name, rest),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command called `name`.
fn dispatch(name: &str, arguments: &[String]) -> Result<(), String> {
    match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((_, _, command)) => command(arguments),
        None => {
            Err(format!("there is no command `{name}`: `cargo xtask help` lists those there are"))
        }
    }
}

fn print_help() {
    println!("cargo xtask COMMAND\n");
    for (name, help, _) in COMMANDS {
        println!("  {name:<10}{help}");
    }
    println!("\nMutants and long fuzzing run by their own commands.");
}
