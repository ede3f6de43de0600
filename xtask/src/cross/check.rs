//! `cargo xtask cross check`: the libraries compile, without warnings, for targets that nothing of
//! ours runs on. `cross check TRIPLE` takes only those whose name contains TRIPLE.

use super::Cross;
use crate::shell;

/// Targets of which the same is checked, in one run of cargo: checking `core` keeps one processor
/// busy, and so two targets are done in the time of one.
struct Group {
    /// As rustc calls them.
    triples: &'static [&'static str],
    /// What is built of `std`, as `-Zbuild-std` takes it.
    parts: &'static str,
    /// The packages, each with its features; the default ones are not included.
    builds: &'static [Build],
}

type Build = (&'static str, &'static [&'static str]);

/// All of them.
const GROUPS: &[Group] = &[
    // With an operating system, or what `std` takes for one.
    Group {
        triples: &["aarch64-apple-darwin"],
        parts: "std,panic_abort",
        builds: &[("allotrope", &["std"])],
    },
    Group {
        triples: &["wasm32-unknown-unknown"],
        parts: "std,panic_abort",
        builds: &[("allotrope", &["std"]), ("allotrope-wasm", &[])],
    },
    // Pages without `std`.
    Group {
        triples: &["x86_64-apple-darwin", "x86_64-unknown-freebsd"],
        parts: "core,alloc",
        builds: &[("allotrope", &["alloc", "os-pages"])],
    },
    // Compare-and-swap of 32 bits, and none.
    Group {
        triples: &["thumbv7em-none-eabihf", "thumbv6m-none-eabi"],
        parts: "core,alloc",
        builds: &[
            ("allotrope", &[]),
            ("allotrope", &["allocator-api2-02"]),
            ("allotrope", &["alloc", "os-pages"]),
            ("allotrope-bare-metal", &[]),
        ],
    },
];

/// Runs the command.
pub fn run(cross: &Cross, arguments: &[String]) -> Result<(), String> {
    let part = match arguments {
        [] => "",
        [part] => part.as_str(),
        _ => return Err("`cargo xtask cross check` takes one part of a triple".to_string()),
    };
    let mut is_known = false;
    for group in GROUPS {
        let all = group.triples.iter().copied();
        let triples: Vec<&str> = all.filter(|triple| triple.contains(part)).collect();
        if !triples.is_empty() {
            is_known = true;
            group.check(cross, &triples)?;
        }
    }
    if is_known { Ok(()) } else { Err(format!("no target's name contains `{part}`")) }
}

impl Group {
    fn check(&self, cross: &Cross, triples: &[&str]) -> Result<(), String> {
        for (package, features) in self.builds {
            let mut command = cross.cargo("check", triples, self.parts)?;
            command.env("RUSTFLAGS", "-Dwarnings").env("CARGO_PROFILE_DEV_DEBUG", "0");
            command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
            command.args(["--package", package, "--lib", "--no-default-features"]);
            if !features.is_empty() {
                command.args(["--features", &features.join(",")]);
            }
            shell::run(&mut command)?;
        }
        Ok(())
    }
}
