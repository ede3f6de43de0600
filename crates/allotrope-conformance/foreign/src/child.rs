//! A suite in a child process: the test's own binary, started again for this one test.

use std::env;
use std::process::{Command, exit};

use allotrope_conformance::{Failure, Report};

/// What a child process found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Kept,
    /// A broken promise: its name, and the whole failure.
    Broken(String, String),
    /// The process died before it could say, and this was its output.
    Died(String),
}

impl Verdict {
    /// Panics unless the allocator kept all its promises.
    #[track_caller]
    pub fn must_be_kept(&self) {
        assert_eq!(*self, Verdict::Kept, "{self:#?}");
    }

    /// Panics unless the process died, with `words` in what it said.
    #[track_caller]
    pub fn must_die_of(&self, words: &str) {
        let died = matches!(self, Verdict::Died(text) if text.contains(words));
        assert!(died, "expected a death of {words:?}, not {self:#?}");
    }

    /// Panics unless `promise` was found broken, and returns the failure as text.
    #[track_caller]
    pub fn must_be_broken(&self, promise: &str) -> &str {
        match self {
            Verdict::Broken(name, text) if name == promise => text,
            other => panic!("expected a broken {promise}, not {other:#?}"),
        }
    }
}

/// Runs `suite` in a child process, which is this test binary with the name of this very test.
///
/// # Panics
///
/// Where the child cannot be started.
pub fn judged(test: &str, suite: impl FnOnce() -> Result<Report, Box<Failure>>) -> Verdict {
    if env::var_os(CHILD).is_some_and(|child| child == test) {
        match suite() {
            Ok(_) => println!("{KEPT}"),
            Err(failure) => println!("{BROKEN}{:?}\n{failure}", failure.promise),
        }
        exit(0);
    }
    let itself = env::current_exe().expect("a test knows its own path");
    let output = Command::new(itself)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a test can start itself");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Verdict::Died(format!("{}\n{text}\n{errors}", output.status));
    }
    if let Some((_, broken)) = text.split_once(BROKEN) {
        let (name, failure) = broken.split_once('\n').unwrap_or((broken, ""));
        return Verdict::Broken(name.to_owned(), failure.to_owned());
    }
    if text.contains(KEPT) { Verdict::Kept } else { Verdict::Died(text) }
}

const CHILD: &str = "ALLOTROPE_CONFORMANCE_CHILD";
const KEPT: &str = "verdict: kept";
const BROKEN: &str = "verdict: broken ";
