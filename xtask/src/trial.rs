//! One run of one `cargo test`, with a time limit.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::shell;

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// Every test passed.
    Passed {
        /// How many ran.
        tests: usize,
    },
    /// A test failed, or its process died.
    Failed {
        /// The first test that failed, or how the process died.
        by: String,
    },
    /// The tests did not end in time.
    TimedOut {
        /// The time that they had.
        limit: Duration,
    },
    /// There is nothing to run.
    NotCompiled,
}

/// A `cargo test` that is about to run.
pub struct Trial {
    folder: PathBuf,
    target: PathBuf,
    log_path: PathBuf,
    log: File,
    test: String,
    environment: Vec<(String, String)>,
    stops_early: bool,
}

impl Trial {
    /// `cargo test` with the arguments `test`, in the workspace at `folder`; it builds in `target`
    /// and all its output goes into `log`.
    pub fn new(folder: &Path, target: &Path, log_path: &Path, log: File, test: &str) -> Self {
        Self {
            folder: folder.to_path_buf(),
            target: target.to_path_buf(),
            log_path: log_path.to_path_buf(),
            log,
            test: test.to_string(),
            environment: Vec::new(),
            stops_early: false,
        }
    }

    /// The same with these variables in the environment.
    pub fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// The same, but ended with the first test that fails.
    pub fn stopped_by_a_failure(mut self) -> Self {
        self.stops_early = true;
        self
    }

    /// Builds without a limit, then runs for at most `limit`.
    ///
    /// # Errors
    ///
    /// Cargo cannot be started or watched. That tests fail is no error but an outcome.
    pub fn run(self, limit: Duration) -> Result<Outcome, String> {
        let cannot_run = |error: io::Error| format!("`cargo test {}`: {error}", self.test);
        if !self.build().status().map_err(cannot_run)?.success() {
            return Ok(Outcome::NotCompiled);
        }
        let mut child = self.test(limit).spawn().map_err(cannot_run)?;
        let has_failed = || self.stops_early && first_failure(&self.read_log()).is_some();
        let end = wait(&mut child, limit, has_failed).map_err(cannot_run)?;
        if !matches!(end, End::Exit(_)) {
            kill_group(&mut child).map_err(cannot_run)?;
        }
        let log = self.read_log();
        Ok(match end {
            End::Exit(status) => judge(status, &log),
            End::Failure => Outcome::Failed { by: first_failure(&log).unwrap_or_default() },
            End::Limit => Outcome::TimedOut { limit },
        })
    }

    /// What was written so far.
    fn read_log(&self) -> String {
        let log = fs::read(&self.log_path).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The command that builds the tests.
    fn build(&self) -> Command {
        let mut command = shell::command("cargo", &self.folder);
        command.args(["test", "--no-run"]).args(build_arguments(&self.test));
        self.redirect(&mut command);
        command
    }

    /// The command that runs them, in a process group of its own so that all of it can be killed.
    ///
    /// The shell bounds the processor time of each process: should we ourselves be killed, a bug
    /// that loops does not outlive us for long.
    fn test(&self, limit: Duration) -> Command {
        let seconds = limit.as_secs() * 4;
        let mut command = shell::command("sh", &self.folder);
        command
            .args(["-c", &format!("ulimit -t {seconds}; exec \"$@\""), "sh"])
            .args(["cargo", "test"])
            .args(self.test.split_whitespace());
        self.redirect(&mut command);
        own_group(&mut command);
        command
    }

    /// Where `command` builds, and where its output goes.
    fn redirect(&self, command: &mut Command) {
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_TERM_COLOR", "never");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        match (self.log.try_clone(), self.log.try_clone()) {
            (Ok(first), Ok(second)) => command.stdout(first).stderr(second),
            _ => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
    }
}

/// The arguments that build what `cargo test` with the arguments `test` runs.
///
/// Doctests are compiled as they run, and cargo refuses `--doc` with `--no-run`. Their library is
/// built beforehand, so that a patch that does not compile is told from a doctest that fails.
fn build_arguments(test: &str) -> Vec<&str> {
    let mut arguments: Vec<&str> = test.split_whitespace().collect();
    if let Some(doc) = arguments.iter().position(|argument| *argument == "--doc") {
        arguments.truncate(doc);
        arguments.push("--lib");
    }
    arguments
}

/// Why there is nothing more to wait for.
enum End {
    /// The process has ended.
    Exit(ExitStatus),
    /// It runs, and a test has failed.
    Failure,
    /// It runs, and its time is over.
    Limit,
}

/// Waits for the end of `child`, and asks meanwhile whether a test `has_failed`.
fn wait(child: &mut Child, limit: Duration, has_failed: impl Fn() -> bool) -> io::Result<End> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exit(status));
        }
        if has_failed() {
            return Ok(End::Failure);
        }
        if start.elapsed() > limit {
            return Ok(End::Limit);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

/// Kills `child` and all that it started.
fn kill_group(child: &mut Child) -> io::Result<()> {
    let kill = format!("kill -s KILL -- -{}", child.id());
    if !Command::new("sh").args(["-c", &kill]).status()?.success() {
        return Err(io::Error::other("what it started cannot be killed"));
    }
    child.kill()?;
    child.wait().map(drop)
}

/// How many tests libtest says have passed.
pub fn tests_passed(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    counts.filter_map(|line| line.split(' ').next()?.parse::<usize>().ok()).sum()
}

/// Reads libtest's and cargo's words.
fn judge(status: ExitStatus, log: &str) -> Outcome {
    if status.success() {
        return Outcome::Passed { tests: tests_passed(log) };
    }
    let died = |line: &str| {
        Some(format!("death by signal {}", line.split_once("(signal: ")?.1.trim_end_matches(')')))
    };
    let by = first_failure(log).or_else(|| log.lines().find_map(died));
    Outcome::Failed { by: by.unwrap_or_else(|| status.to_string()) }
}

/// The test that libtest says has failed first.
fn first_failure(log: &str) -> Option<String> {
    let failed = |line: &str| {
        Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.trim().to_string())
    };
    log.lines().find_map(failed)
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { tests } => write!(formatter, "{tests} tests passed"),
            Self::Failed { by } => formatter.write_str(by),
            Self::TimedOut { limit } => write!(formatter, "time limit of {} s", limit.as_secs()),
            Self::NotCompiled => formatter.write_str("the compiler"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_a_killed_test_started_dies_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60"]).stdout(Stdio::piped());
        own_group(&mut command);
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let limit = Duration::from_millis(100);
        assert!(matches!(wait(&mut child, limit, || false).unwrap(), End::Limit));

        let start = Instant::now();
        kill_group(&mut child).unwrap();
        // Ends when nobody can write any more.
        pipe.read_to_end(&mut Vec::new()).unwrap();

        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_failure_need_not_end_the_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let limit = Duration::from_secs(30);
        assert!(matches!(wait(&mut child, limit, || true).unwrap(), End::Failure));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_first_failed_test_is_named() {
        let failed = Command::new("sh").args(["-c", "exit 101"]).status().unwrap();
        let by = |log| match judge(failed, log) {
            Outcome::Failed { by } => by,
            outcome => panic!("{outcome}"),
        };
        assert_eq!(by("test a::b ... ok\ntest a::c ... FAILED\ntest d ... FAILED\n"), "a::c");
        let died =
            "  process didn't exit successfully: `any` (signal: 6, SIGABRT: process abort signal)";
        assert_eq!(by(died), "death by signal 6, SIGABRT: process abort signal");
    }

    #[test]
    fn the_library_is_built_before_its_doctests() {
        assert_eq!(build_arguments("--package any --doc name"), ["--package", "any", "--lib"]);
        let tests = "--package any --test name function";
        assert_eq!(build_arguments(tests), tests.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn tests_that_passed_are_counted() {
        let passed = Command::new("sh").args(["-c", "exit 0"]).status().unwrap();
        let log = "test result: ok. 2 passed; 0 failed\ntest result: ok. 3 passed; 0 failed\n";
        assert!(matches!(judge(passed, log), Outcome::Passed { tests: 5 }));
    }
}
