//! `cargo xtask features`: each library builds without warnings with no feature, with each feature
//! alone, with each pair, and with all of them; and what says that it needs no `std` needs none.
//!
//! The proof of the latter: a program without `std` brings its own panic handler, and there can be
//! only one. So a library that links `std`, itself or by a dependency, does not compile into a
//! `#![no_std]` archive with a handler. It brings a global allocator, too, for libraries that use the
//! crate `alloc`. This needs no second target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::shell;
use crate::workspace::{Package, Workspace};

/// The libraries that must say `#![no_std]`.
const NO_STD: &[&str] = &["allotrope", "allotrope-core", "allotrope-sync"];

/// The feature that a library may have for what needs `std`.
const STD: &str = "std";

/// The feature that needs a nightly compiler.
const NIGHTLY: &str = "nightly";

/// Each feature, with what it switches on.
type Features = BTreeMap<String, Vec<String>>;

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("features", arguments)?;
    let workspace = Workspace::load()?;
    for library in workspace.libraries() {
        let no_std = says_no_std(library)?;
        if !no_std && NO_STD.contains(&library.name.as_str()) {
            return Err(format!("{} does not say `#![no_std]`", library.name));
        }
        for features in combinations(&library.features) {
            let build = Build::new(&workspace, library, &features);
            let archive = build.run()?;
            let proven = no_std && !build.has(STD);
            if proven {
                build.prove_no_std(&archive)?;
            }
            let builds = if proven { "builds, links nothing of std" } else { "builds" };
            println!("{} [{}]: {builds}", library.name, features.join(", "));
        }
    }
    Ok(())
}

/// Whether the library says that it needs no `std`, at least without its feature `std`.
fn says_no_std(library: &Package) -> Result<bool, String> {
    let Some(target) = library.library() else { return Ok(false) };
    let text = fs::read_to_string(&target.src_path)
        .map_err(|error| format!("{} cannot be read: {error}", target.src_path.display()))?;
    let conditional = r#"#![cfg_attr(not(feature = "std"), no_std)]"#;
    Ok(text.lines().any(|line| line == "#![no_std]" || line == conditional))
}

/// No feature, each alone, each pair, all that stable Rust has, and all.
///
/// Two combinations that switch on the same features are one.
fn combinations(features: &Features) -> Vec<Vec<&str>> {
    let names: Vec<&str> =
        features.keys().map(String::as_str).filter(|name| *name != "default").collect();
    let mut combinations = vec![vec![]];
    combinations.extend(names.iter().map(|name| vec![*name]));
    for (index, first) in names.iter().enumerate() {
        combinations.extend(names[index + 1..].iter().map(|second| vec![*first, *second]));
    }
    combinations.push(names.iter().copied().filter(|name| *name != NIGHTLY).collect());
    combinations.push(names);
    let mut seen = BTreeSet::new();
    combinations.retain(|combination| seen.insert(closure(features, combination)));
    combinations
}

/// The features of the package that `combination` switches on, directly or through others.
fn closure(features: &Features, combination: &[&str]) -> BTreeSet<String> {
    let mut on = BTreeSet::new();
    let mut pending: Vec<&str> = combination.to_vec();
    while let Some(name) = pending.pop() {
        if let Some(implied) = features.get(name)
            && on.insert(name.to_string())
        {
            pending.extend(implied.iter().map(String::as_str));
        }
    }
    on
}

/// A build of one library with one combination of features.
struct Build<'a> {
    workspace: &'a Workspace,
    library: &'a Package,
    named: &'a [&'a str],
    /// With what the named ones imply.
    on: BTreeSet<String>,
}

impl<'a> Build<'a> {
    fn new(workspace: &'a Workspace, library: &'a Package, named: &'a [&'a str]) -> Self {
        Self { workspace, library, named, on: closure(&library.features, named) }
    }

    fn has(&self, feature: &str) -> bool {
        self.on.contains(feature)
    }

    /// Where the builds of this command lie: the flags differ from everybody else's.
    fn folder(&self) -> PathBuf {
        self.workspace.target.join("features")
    }

    /// A tool of the toolchain that the features need.
    fn tool(&self, name: &str) -> Result<Command, String> {
        if self.has(NIGHTLY) {
            shell::nightly(name, &self.workspace.root)
        } else {
            Ok(self.workspace.command(name))
        }
    }

    /// Builds the library and returns its archive, an `.rlib`.
    fn run(&self) -> Result<PathBuf, String> {
        let mut command = self.tool("cargo")?;
        command
            .env("RUSTFLAGS", "-Dwarnings")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_TARGET_DIR", self.folder())
            .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
            .args(["--package", &self.library.name, "--lib", "--no-default-features"]);
        if !self.named.is_empty() {
            command.args(["--features", &self.named.join(",")]);
        }
        let messages = shell::capture(&mut command)?;
        archive(&messages, self.library)
            .ok_or_else(|| format!("{} builds, but leaves no `.rlib`", self.library.name))
    }

    /// Compiles the proof of the [module documentation](self) against `archive`.
    fn prove_no_std(&self, archive: &Path) -> Result<(), String> {
        let proof = self.folder().join("no_std_proof.rs");
        fs::write(&proof, PROOF)
            .map_err(|error| format!("{} cannot be written: {error}", proof.display()))?;
        let dependencies = self.folder().join("debug").join("deps");
        let mut command = self.tool("rustc")?;
        command
            .args(["--edition=2024", "--crate-type=staticlib", "-Cpanic=abort", "-Dwarnings"])
            .arg(format!("-Ldependency={}", dependencies.display()))
            .arg(format!("--extern=library={}", archive.display()))
            .arg(format!("--out-dir={}", self.folder().display()))
            .arg(&proof);
        shell::capture(&mut command).map(drop).map_err(|error| {
            let (name, features) = (&self.library.name, self.named.join(", "));
            format!("{name} [{features}] says `#![no_std]` but links std, see above: {error}")
        })
    }
}

/// An archive that is complete only if nothing in it has a panic handler yet, as `std` has.
const PROOF: &str = "\
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use library as _;

struct Nothing;

unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
";

/// The archive of `library` among cargo's messages, one JSON object a line.
fn archive(messages: &str, library: &Package) -> Option<PathBuf> {
    let source = library.library()?.src_path.to_str()?;
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifact = messages.rfind(|message| message["target"]["src_path"] == source)?;
    let files = artifact["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|name| name == "rlib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(list: &[(&str, &[&str])]) -> Features {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        list.iter().map(|(name, implied)| (name.to_string(), owned(implied))).collect()
    }

    #[test]
    fn every_feature_and_every_pair_is_built() {
        let features = features(&[("default", &["a"]), ("a", &[]), ("b", &[]), ("c", &[])]);
        let combinations = combinations(&features);
        let expected: [&[&str]; 8] =
            [&[], &["a"], &["b"], &["c"], &["a", "b"], &["a", "c"], &["b", "c"], &["a", "b", "c"]];
        assert_eq!(combinations, expected);
    }

    #[test]
    fn pairs_that_are_one_feature_are_built_once() {
        let features = features(&[("a", &["b", "dep:c"]), ("b", &[])]);
        assert_eq!(combinations(&features), [vec![], vec!["a"], vec!["b"]]);
    }

    #[test]
    fn features_come_with_what_they_imply() {
        let features = features(&[("a", &["b"]), ("b", &["std"]), ("std", &["dep:libc"])]);
        let on = closure(&features, &["a"]);
        assert!(on.iter().eq(["a", "b", "std"]), "{on:?}");
    }

    #[test]
    fn all_features_of_stable_rust_are_built_together() {
        let features = features(&[("a", &[]), ("b", &[]), ("c", &[]), ("nightly", &[])]);
        let combinations = combinations(&features);
        assert!(combinations.contains(&vec!["a", "b", "c"]));
        assert!(combinations.contains(&vec!["a", "b", "c", "nightly"]));
    }
}
