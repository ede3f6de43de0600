//! Wine: Windows' programs on Linux. Its files lie in the target folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Cross;
use crate::shell::{self, cannot, cannot_start, command_line};

/// What starts a program.
pub const RUNNER: &str = "wine";

/// Older versions of Wine, Debian 12's for one, lack the library that `std` takes random numbers
/// from. This is it, over the function that it replaced.
const RANDOM_NUMBERS: &str = "\
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
  while (count > 0) {
    ULONG part = count < 0x10000000 ? (ULONG)count : 0x10000000;
    if (!RtlGenRandom(bytes, part)) return FALSE;
    bytes += part;
    count -= part;
  }
  return TRUE;
}
";

/// What Wine's programs share, for as long as this value lives.
///
/// Left to itself, Debian's server ends with the last of the programs, and one that starts at that
/// moment dies of a lost connection: of 300 runs of a test binary, one after another, one did, and of 1,200
/// with a server that stays none.
pub struct Server {
    /// Ends it.
    end: Command,
}

impl Server {
    fn start(cross: &Cross, prefix: &Path) -> Result<Self, String> {
        /// It found that another serves the folder.
        const RUNS_ALREADY: i32 = 2;

        let command = |argument| {
            let mut command = cross.workspace.command("wineserver");
            in_prefix(&mut command, prefix);
            // It goes on by itself, and must not hold what reads our output.
            command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        // So many seconds after the last program, should we be killed.
        let mut start = command("-p3600");
        let status = start.status().map_err(|error| cannot_start("wineserver", &error))?;
        match status.code() {
            Some(0 | RUNS_ALREADY) => Ok(Self { end: command("-k") }),
            _ => Err(format!("`{}` failed ({status})", command_line(&start))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whatever comes of it, the tests have ended.
        _ = self.end.status();
    }
}

/// Makes the folder that stands for the machine, and tells `command` of it.
pub fn prepare(
    cross: &Cross,
    linker: &str,
    command: &mut Command,
) -> Result<Option<Server>, String> {
    let prefix = cross.folder().join("wine");
    fs::create_dir_all(&prefix).map_err(|error| cannot("create", &prefix, &error))?;
    let server = Server::start(cross, &prefix)?;
    let system = prefix.join("drive_c/windows/system32");
    if !system.join("kernel32.dll").exists() {
        let mut boot = cross.workspace.command(RUNNER);
        in_prefix(&mut boot, &prefix);
        shell::run(boot.args(["wineboot", "--init"]))?;
    }
    let library = system.join("bcryptprimitives.dll");
    if !library.exists() {
        let source = prefix.join("bcryptprimitives.c");
        fs::write(&source, RANDOM_NUMBERS).map_err(|error| cannot("write", &source, &error))?;
        let mut compile = cross.workspace.command(linker);
        compile.args(["-O2", "-shared", "-o"]).arg(&library).arg(&source).arg("-ladvapi32");
        shell::run(&mut compile)?;
    }
    in_prefix(command, &prefix);
    Ok(Some(server))
}

/// Neither a desktop nor the libraries that would ask whether they shall be fetched are wanted.
fn in_prefix(command: &mut Command, prefix: &Path) {
    command
        .env("WINEPREFIX", prefix)
        .env("WINEARCH", "win64")
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
}
