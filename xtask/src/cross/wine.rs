//! Wine: Windows' programs on Linux. Its files lie in the target folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Cross;
use crate::shell::{self, cannot};

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

/// Makes the folder that stands for the machine, and tells `command` of it.
pub fn prepare(cross: &Cross, linker: &str, command: &mut Command) -> Result<(), String> {
    let prefix = cross.folder().join("wine");
    fs::create_dir_all(&prefix).map_err(|error| cannot("create", &prefix, &error))?;
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
    Ok(())
}

/// Neither a desktop nor the libraries that would ask whether they shall be fetched are wanted.
fn in_prefix(command: &mut Command, prefix: &Path) {
    command
        .env("WINEPREFIX", prefix)
        .env("WINEARCH", "win64")
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
}
