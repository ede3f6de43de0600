//! `cargo xtask cross`: targets other than the one that we run on.
//!
//! ```text
//! cross windows | i686 | aarch64 ─▶ cargo test  -Zbuild-std ─▶ Wine, QEMU
//! cross check                    ─▶ cargo check -Zbuild-std    nothing runs
//! ```
//!
//! No `std` is downloaded: the toolchain that has its source builds one for each target, which lies
//! in the target folder. `PLATFORM.md` says what this shows and what it does not.

mod check;
mod machine;
mod qemu;
mod wine;

use std::path::PathBuf;
use std::process::Command;

use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

use machine::MACHINES;

/// Runs the command: the first argument says for what.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (what, rest) = arguments.split_first().ok_or_else(usage)?;
    if what == "check" {
        return check::run(&Cross::new()?, rest);
    }
    let machine = MACHINES.iter().find(|machine| machine.name == what).ok_or_else(usage)?;
    machine.test(&Cross::new()?, rest)
}

fn usage() -> String {
    let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
    format!("`cargo xtask cross` takes `check` or one of {}", names.join(", "))
}

/// What all targets need.
struct Cross {
    workspace: Workspace,
    toolchain: Toolchain,
}

impl Cross {
    fn new() -> Result<Self, String> {
        let workspace = Workspace::load()?;
        let toolchain = Toolchain::find(&workspace)?;
        Ok(Self { workspace, toolchain })
    }

    /// Where the builds of this command lie, and all else that it writes.
    fn folder(&self) -> PathBuf {
        self.workspace.target.join("cross")
    }

    /// `cargo VERB` for `triples`, with `parts` of `std` built from source.
    fn cargo(&self, verb: &str, triples: &[&str], parts: &str) -> Result<Command, String> {
        let mut command = self.toolchain.cargo(&self.workspace)?;
        command.env("CARGO_TARGET_DIR", self.folder());
        command.args([verb, &format!("-Zbuild-std={parts}")]);
        for triple in triples {
            command.args(["--target", triple]);
        }
        Ok(command)
    }
}
