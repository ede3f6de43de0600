//! Running the programs, alone or under callgrind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::arguments::Arguments;
use super::build::Binary;
use super::parts::{Meeting, Part, Turns};
use super::rows::Results;
use crate::shell;
use crate::workspace::Workspace;

/// How long one workload of one global allocator may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many times longer it may take under callgrind.
const SLOWER_BY_CALLGRIND: u32 = 20;

/// Runs a part and reads its result lines.
///
/// # Errors
///
/// It cannot be started, or, unless processes take turns, it fails.
pub fn results(
    part: &Part,
    binaries: &[Binary],
    workspace: &Workspace,
    arguments: &Arguments,
    wrong: &mut Vec<String>,
) -> Result<Results, String> {
    let mut results = Results::default();
    let outcome = match part.meeting {
        Meeting::Turns(turns) => {
            let title = part.title;
            take_turns((title, turns), binaries, workspace, arguments, wrong, &mut results)
        }
        Meeting::OneProcess(_) => run_once(&binaries[0].path, workspace, arguments, &mut results),
    };
    fs::remove_dir_all(dumps(workspace)).ok(); // there is none without callgrind
    outcome.map(|()| results)
}

/// One process for all contestants.
fn run_once(
    binary: &Path,
    workspace: &Workspace,
    arguments: &Arguments,
    results: &mut Results,
) -> Result<(), String> {
    let mut command = start(binary, workspace, arguments)?;
    if let Some(only) = &arguments.only {
        command.args(["--only", only]);
    }
    if let Some(rounds) = arguments.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    println!("$ {}", shell::command_line(&command));
    results.read(&shell::capture(&mut command)?);
    Ok(())
}

/// A process for every workload, round and global allocator; each round starts at another one.
fn take_turns(
    (title, turns): (&str, Turns),
    binaries: &[Binary],
    workspace: &Workspace,
    arguments: &Arguments,
    wrong: &mut Vec<String>,
    results: &mut Results,
) -> Result<(), String> {
    let list =
        shell::capture(shell::command(&text(&binaries[0].path), &workspace.root).arg("--list"))?;
    let usual = if arguments.quick { 1 } else { 2 };
    let rounds = if arguments.callgrind { 1 } else { arguments.rounds.unwrap_or(usual) };
    for workload in list.lines().filter(|workload| turns.wants(workload, arguments)) {
        for round in 0..rounds {
            for turn in 0..binaries.len() {
                let binary = &binaries[(turn + round * 4) % binaries.len()];
                let mut command = start(&binary.path, workspace, arguments)?;
                if turns.counts_system_calls {
                    command.arg("--system-calls");
                }
                match capture_in_time(command.arg(workload), arguments) {
                    Ok(lines) => results.read(&lines),
                    Err(error) => wrong.push(format!(
                        "{title}: {} is missing from {workload}: {error}",
                        binary.name
                    )),
                }
            }
        }
        eprintln!("{workload}: done");
    }
    Ok(())
}

/// Callgrind counts one instruction for every byte that `rep movsb` copies, the processor one for all
/// of them; with this, the C library copies and wipes in vectors, whatever the length.
const NO_STRING_INSTRUCTIONS: &str = "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff:\
                                      glibc.cpu.x86_rep_stosb_threshold=0x7fffffff";

/// The command that starts a program with the switches that all of them know.
fn start(binary: &Path, workspace: &Workspace, arguments: &Arguments) -> Result<Command, String> {
    let mut command = shell::command(&text(binary), &workspace.root);
    if arguments.callgrind {
        let folder = dumps(workspace);
        fs::create_dir_all(&folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        let output = folder.join("out");
        command = shell::command("valgrind", &workspace.root);
        command
            .args(["--tool=callgrind", "--quiet", "--instr-atstart=no"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            // Threads take turns, so that one that spins does not spin for ever.
            .arg("--fair-sched=yes")
            .arg(binary)
            .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
            .env("ALLOTROPE_CALLGRIND", output);
    }
    if arguments.quick {
        command.arg("--quick");
    }
    Ok(command)
}

/// Where callgrind's dumps go, of this process alone; each is removed as soon as it is read.
fn dumps(workspace: &Workspace) -> PathBuf {
    workspace.target.join(format!("compare/callgrind-{}", process::id()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The standard output of a command, which is killed when it takes too long.
fn capture_in_time(command: &mut Command, arguments: &Arguments) -> Result<String, String> {
    let slower = if arguments.callgrind { SLOWER_BY_CALLGRIND } else { 1 };
    let deadline = Instant::now() + PATIENCE * slower;
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    // A few lines fit in the pipe, so the child does not wait for us.
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Err(format!("it takes longer than {} s", (PATIENCE * slower).as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("it failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
