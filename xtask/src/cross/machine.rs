//! `cargo xtask cross windows | i686 | aarch64`: the tests of the libraries on an emulated machine.
//!
//! Unit and integration tests run, the contract suites with less of everything
//! (`ALLOTROPE_EMULATED`); doctests do not, nor the tests of the contract suite itself, which are
//! long, and of code that everybody else's contract tests run. Further arguments go to `cargo test`.
//!
//! `cross windows short` runs unit tests, contract suites and [`SHORT`] alone: half the time goes into
//! the compiling of the rest.

use std::env;
use std::process::Command;

use super::{Cross, qemu, wine};
use crate::{packages, sanitizer, shell};

/// A target, and what stands in for a machine of that kind.
pub struct Machine {
    /// What the user calls it.
    pub name: &'static str,
    /// As rustc calls it.
    triple: &'static str,
    /// Links its programs.
    linker: &'static str,
    /// Runs its programs: a command line without quotes.
    runner: &'static str,
    /// Makes what that command needs and no package has, by way of `linker`, and starts what must run
    /// beside it.
    prepare: fn(&Cross, linker: &str, &mut Command) -> Result<Option<wine::Server>, String>,
    /// How many calls a random script makes, `ALLOTROPE_STEPS`, unless the environment says.
    steps: &'static str,
    /// What these need besides.
    files: &'static [&'static str],
    /// Debian's packages with all of it.
    packages: &'static [&'static str],
}

/// The integration tests besides contract suites that a short run takes: what depends most on the
/// system and on the width of a pointer.
const SHORT: &[&str] = &["hostile", "corners", "heap"];

/// All of them.
pub const MACHINES: &[Machine] = &[
    Machine {
        name: "windows",
        triple: "x86_64-pc-windows-gnu",
        linker: "x86_64-w64-mingw32-gcc",
        runner: wine::RUNNER,
        prepare: wine::prepare,
        // The instructions are the processor's own.
        steps: "2000",
        files: &[],
        packages: &["gcc-mingw-w64-x86-64", "wine64", "wine"],
    },
    Machine {
        name: "i686",
        triple: "i686-unknown-linux-gnu",
        linker: "i686-linux-gnu-gcc",
        // With 2 GiB of address space, as 32-bit systems have that share it with their kernel; left
        // to itself, QEMU gives all of 4 GiB, where blocks fit that fit nowhere else.
        runner: "qemu-i386 -R 0x80000000 -L /usr/i686-linux-gnu",
        prepare: qemu::prepare,
        // Each takes some ten times as long as where nothing is emulated.
        steps: "300",
        files: &["/usr/i686-linux-gnu/lib/crti.o"],
        packages: &["gcc-i686-linux-gnu", "libc6-dev-i386-cross", "qemu-user"],
    },
    Machine {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        linker: "aarch64-linux-gnu-gcc",
        runner: "qemu-aarch64 -L /usr/aarch64-linux-gnu",
        prepare: |_, _, _| Ok(None),
        steps: "300",
        files: &["/usr/aarch64-linux-gnu/lib/crti.o"],
        packages: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user"],
    },
];

impl Machine {
    /// Runs the tests, with further `arguments` for `cargo test`.
    pub fn test(&self, cross: &Cross, arguments: &[String]) -> Result<(), String> {
        let emulator = self.runner.split(' ').next().unwrap_or_default();
        let needed = [&[self.linker, emulator], self.files].concat();
        packages::provide(&cross.workspace, &needed, self.packages)?;

        let mut command = cross.cargo("test", &[self.triple], "std,panic_unwind,test")?;
        let variable = |what: &str| {
            format!("CARGO_TARGET_{}_{what}", self.triple.to_uppercase().replace('-', "_"))
        };
        command.env(variable("LINKER"), self.linker).env(variable("RUNNER"), self.runner);
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("ALLOTROPE_EMULATED", "1");
        if env::var_os("ALLOTROPE_STEPS").is_none() {
            command.env("ALLOTROPE_STEPS", self.steps);
        }
        if self.runner != wine::RUNNER {
            // A test that starts itself again needs the emulator, too; Wine sees to that itself.
            command.env("ALLOTROPE_RUNNER", self.runner);
        }
        let _server = (self.prepare)(cross, self.linker, &mut command)?;
        let arguments = match arguments {
            [first, rest @ ..] if first == "short" => {
                command.args(["--lib", "--test", "*contract*"]);
                SHORT.iter().for_each(|test| _ = command.args(["--test", test]));
                rest
            }
            all => {
                command.args(["--lib", "--tests"]);
                all
            }
        };
        for library in sanitizer::libraries(&cross.workspace) {
            command.args(["--package", &library.name]);
        }
        shell::run(command.args(arguments))
    }
}
