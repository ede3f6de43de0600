//! The programs' binaries, and what is needed to build and run them.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use super::arguments::Arguments;
use super::parts::{Meeting, Part};
use crate::shell;
use crate::workspace::Workspace;

/// A program's binary, and who runs in it.
#[derive(Debug)]
pub struct Binary {
    /// The global allocator, or the program itself.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Finds the tools that the comparison needs.
///
/// # Errors
///
/// One of them is missing.
pub fn tools(arguments: &Arguments) -> Result<(), String> {
    let has = |name: &str| takes_turns(arguments) && arguments.globals().contains(&name);
    let needs = [
        ("cc", "the peers written in C", true),
        ("c++", "snmalloc, which is written in C++", has("snmalloc")),
        ("cmake", "snmalloc, whose build asks for it", has("snmalloc")),
        ("make", "jemalloc, whose build asks for it", has("jemalloc")),
        ("valgrind", "counting with `--callgrind`", arguments.callgrind),
    ];
    for (tool, purpose, is_needed) in needs {
        if is_needed && !is_there(tool) {
            return Err(format!(
                "`{tool}` is missing, needed for {purpose}: install it with the system's package \
                 manager"
            ));
        }
    }
    Ok(())
}

/// Whether global allocators take turns in any of what is compared.
fn takes_turns(arguments: &Arguments) -> bool {
    ["global", "heap"].iter().any(|comparison| arguments.programs.contains(comparison))
}

fn is_there(tool: &str) -> bool {
    let mut probe = shell::command(tool, ".".as_ref());
    let status = probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Prepares the inputs that are not in the repository.
///
/// # Errors
///
/// They cannot be made.
pub fn prepare(workspace: &Workspace, arguments: &Arguments) -> Result<(), String> {
    if !takes_turns(arguments) {
        return Ok(());
    }
    let mut command = workspace.command("cargo");
    command.args(["run", "--quiet", "--profile", arguments.profile(), "-p", "bench-kit"]);
    shell::run(&mut command)
}

/// Builds the binaries of a part. A global allocator that does not build is missing.
///
/// # Errors
///
/// The program does not build.
pub fn binaries(
    part: &Part,
    workspace: &Workspace,
    arguments: &Arguments,
    wrong: &mut Vec<String>,
) -> Result<Vec<Binary>, String> {
    let Part { title, package, binary, meeting } = part;
    let built = workspace.target.join(arguments.profile()).join(binary);
    let turns = match meeting {
        Meeting::OneProcess(feature) => {
            build(package, feature, workspace, arguments)?;
            return Ok(vec![Binary { name: title.to_string(), path: built }]);
        }
        Meeting::Turns(turns) => turns,
    };
    let folder = workspace.target.join(format!("compare/{binary}-{}", arguments.profile()));
    let mut binaries = Vec::new();
    for name in turns.contestants(arguments) {
        // Each feature is a build of its own; but for the peer itself only the binary is linked.
        if let Err(error) = build(package, name, workspace, arguments) {
            wrong.push(format!("{title}: {name} is missing, it does not build: {error}"));
            continue;
        }
        let path = folder.join(name);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::copy(&built, &path))
            .map_err(|error| format!("{} cannot be copied: {error}", built.display()))?;
        binaries.push(Binary { name: name.to_string(), path });
    }
    match (binaries.is_empty(), wrong.is_empty()) {
        (false, _) => Ok(binaries),
        (true, true) => Err(format!("{title}: none of these allocators takes part")),
        (true, false) => Err(wrong.join("; ")),
    }
}

fn build(
    package: &str,
    feature: &str,
    workspace: &Workspace,
    arguments: &Arguments,
) -> Result<(), String> {
    let mut command = workspace.command("cargo");
    command.args(["build", "--quiet", "--profile", arguments.profile(), "-p", package]);
    shell::run(command.args(["--features", &format!("{package}/{feature}")]))
}
