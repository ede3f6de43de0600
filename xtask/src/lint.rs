//! `cargo xtask lint`: what can be said of the source without running it.

use std::fs;
use std::path::Path;

use crate::rules::{self, RULES};
use crate::workspace::Workspace;
use crate::{fuzz, planted, shell};

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("lint", arguments)?;
    let workspace = Workspace::load()?;
    check_rules(&workspace)?;
    planted::check(&workspace)?;
    shell::run(workspace.command("cargo").args(["fmt", "--all", "--check"]))
        .map_err(|error| format!("{error}: `cargo fmt --all` formats the source"))?;
    // No feature is named, so that the benches' peers in C and C++ stay out. The threshold of
    // `too_many_lines` stands in clippy.toml.
    shell::run(
        workspace.command("cargo").args(["clippy", "--workspace", "--all-targets", "--"]).args([
            "--deny",
            "warnings",
            "--deny",
            "clippy::too_many_lines",
        ]),
    )?;
    lint_fuzz(&workspace)?;
    shell::run(workspace.command("cargo").env("RUSTDOCFLAGS", "-Dwarnings").args([
        "doc",
        "--workspace",
        "--no-deps",
    ]))
}

/// The fuzz targets are a workspace of their own; without libFuzzer they need nothing special.
fn lint_fuzz(workspace: &Workspace) -> Result<(), String> {
    let folder = workspace.root.join(fuzz::FOLDER);
    let cargo = || {
        let mut command = shell::command("cargo", &folder);
        command.env("CARGO_TARGET_DIR", &workspace.target);
        command
    };
    shell::run(cargo().args(["fmt", "--check"]))?;
    shell::run(cargo().args(["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"]))
}

/// Holds every file of the repository against the rules of the house.
fn check_rules(workspace: &Workspace) -> Result<(), String> {
    let files = workspace.files()?;
    let mut broken = Vec::new();
    for file in &files {
        let path = workspace.root.join(file);
        let cannot_read = |error| format!("{} cannot be read: {error}", path.display());
        let bytes = fs::metadata(&path).map_err(cannot_read)?.len();
        broken.extend(rules::size(file, bytes));
        if is_source_of_a_crate(file) {
            let text = fs::read_to_string(&path).map_err(cannot_read)?;
            broken.extend(RULES.iter().flat_map(|rule| rule(file, &text)));
        }
    }
    if broken.is_empty() {
        println!("the rules of the house hold in {} files", files.len());
        return Ok(());
    }
    for sentence in &broken {
        println!("{sentence}");
    }
    Err(format!("rules of the house broken in {} places, listed above", broken.len()))
}

fn is_source_of_a_crate(file: &Path) -> bool {
    file.starts_with("crates") && file.extension().is_some_and(|extension| extension == "rs")
}
