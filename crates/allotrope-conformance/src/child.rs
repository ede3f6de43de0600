//! A test that starts its own program again, as a child with a role to play, which may die of it.

use std::env;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Names the role that a child has.
const ROLE: &str = "ALLOTROPE_CHILD_ROLE";

/// How long a child may take, also where it is emulated; one that waits for itself never ends.
const LIMIT: Duration = Duration::from_secs(60);

/// What became of a child.
#[derive(Debug)]
pub struct Ended {
    role: String,
    /// Nothing where it was ended at the time limit.
    status: Option<ExitStatus>,
    said: String,
}

/// The role of this process, if it is a child.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Runs the test called `test` again, in a child that has `role`.
///
/// # Panics
///
/// Where the child cannot be started.
pub fn play(test: &str, role: &str) -> Ended {
    let mut child = itself()
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("RUST_BACKTRACE", "0")
        // What a child leaks in its role is no finding.
        .env(
            "ASAN_OPTIONS",
            format!("{}:detect_leaks=0", env::var("ASAN_OPTIONS").unwrap_or_default()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a test can start itself");
    let start = Instant::now();
    let mut status = None;
    while status.is_none() && start.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(1));
        status = child.try_wait().expect("a child can be waited for");
    }
    if status.is_none() {
        child.kill().expect("a child can be ended");
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended { role: role.to_owned(), status, said }
}

/// What starts this program again: where it is emulated, `ALLOTROPE_RUNNER` says by which command.
fn itself() -> Command {
    let program = env::current_exe().expect("a test knows its own path");
    let runner = env::var("ALLOTROPE_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}

impl Ended {
    /// Panics unless the child aborted, and said `sentence` before.
    #[track_caller]
    pub fn must_have_aborted(&self, sentence: &str) {
        // A signal leaves no code, on Unix; on Windows an abort has one of those that are negative.
        let is_abort = self.status.is_some_and(|status| status.code().is_none_or(|code| code < 0));
        let Self { role, status, said } = self;
        assert!(
            is_abort && said.contains(sentence),
            "{role}: no abort by {sentence:?}, but {status:?} and: {said}"
        );
    }

    /// Whether the child came to its end, without a failure.
    pub fn has_succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Panics unless the child came to its end, without a failure.
    #[track_caller]
    pub fn must_have_succeeded(&self) {
        let Self { role, status, said } = self;
        assert!(self.has_succeeded(), "{role}: {status:?} and: {said}");
    }

    /// Panics if the child said `words`.
    #[track_caller]
    pub fn must_not_have_said(&self, words: &str) {
        let Self { role, said, .. } = self;
        assert!(!said.contains(words), "{role}: {said}");
    }
}
