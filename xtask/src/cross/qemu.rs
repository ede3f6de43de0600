//! QEMU: Linux's programs for 32-bit processors. What one of its system calls lacks lies in the target
//! folder.

use std::fs;
use std::process::Command;

use super::Cross;
use super::wine::Server;
use crate::shell::{self, cannot};

/// Where QEMU sets a program's address space aside, as it does for every 32-bit one, an `mremap` that
/// Linux refuses takes the old mapping away (version 7.2, Debian 12's, does): what was in it is lost.
/// Linux refuses one whose pages it keeps as several mappings, which is nothing unusual. This one does
/// the same with calls that QEMU gets right, and so the tests see regions that move, and those that
/// cannot grow where they are.
const MREMAP: &str = "\
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...) {
  if (flags != MREMAP_MAYMOVE || new_size < old_size) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *new = mmap(NULL, new_size, access, kind, -1, 0);
  if (new == MAP_FAILED) return MAP_FAILED;
  memcpy(new, old, old_size);
  munmap(old, old_size);
  return new;
}
";

/// Has every emulated program that `command` starts load our `mremap` first.
pub fn prepare(
    cross: &Cross,
    linker: &str,
    command: &mut Command,
) -> Result<Option<Server>, String> {
    let folder = cross.folder().join("qemu");
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    let (source, library) = (folder.join("mremap.c"), folder.join(format!("{linker}.so")));
    fs::write(&source, MREMAP).map_err(|error| cannot("write", &source, &error))?;
    let mut compile = cross.workspace.command(linker);
    compile.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    shell::run(&mut compile)?;
    let path = library.display().to_string();
    if path.contains([' ', ':', ',']) {
        return Err(format!(
            "no emulated program can load `{path}`: there is ` `, `:` or `,` in it"
        ));
    }
    command.env("QEMU_SET_ENV", format!("LD_PRELOAD={path}"));
    Ok(None)
}
