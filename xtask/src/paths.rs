//! `cargo xtask paths [--write]`: the exact instructions of fast paths.
//!
//! `bench-paths` has one function for each path, and callgrind counts what a call of it takes. The
//! counts are compared with `benches/paths/instructions.txt`; `--write` writes them there.

use std::{fs, process};

use crate::shell;
use crate::workspace::Workspace;

const FILE: &str = "benches/paths/instructions.txt";

/// Names and instructions, in the order of the file.
type Counts = Vec<(String, u64)>;

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let writes = match arguments {
        [] => false,
        [only] if only == "--write" => true,
        _ => return Err("`cargo xtask paths` knows no argument but `--write`".to_string()),
    };
    let workspace = Workspace::load()?;
    let counts = count(&workspace)?;
    for (name, instructions) in &counts {
        println!("{name} = {instructions}");
    }
    let file = workspace.root.join(FILE);
    if writes {
        return fs::write(file, text_of(&counts))
            .map_err(|error| format!("{FILE} cannot be written: {error}"));
    }
    let text = fs::read_to_string(file).map_err(|error| {
        format!("{FILE} cannot be read: {error}; run `cargo xtask paths --write`")
    })?;
    let wrong = differences(&parse(&text)?, &counts);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Builds and runs `bench-paths` under callgrind.
fn count(workspace: &Workspace) -> Result<Counts, String> {
    let mut build = workspace.command("cargo");
    shell::run(build.args(["build", "--quiet", "--release", "-p", "bench-paths"]))?;
    let folder = workspace.target.join(format!("paths-{}", process::id()));
    fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let output = folder.join("out");
    let mut valgrind = workspace.command("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--instr-atstart=no"])
        .args(["--toggle-collect=path_*"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(workspace.target.join("release/bench-paths"))
        .env("ALLOTROPE_CALLGRIND", output);
    let counts = shell::capture(&mut valgrind);
    fs::remove_dir_all(folder).ok();
    parse(&counts?)
}

/// Lines of `name = instructions`; those that begin with `#` are comments.
fn parse(text: &str) -> Result<Counts, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, instructions) = line.split_once(" = ")?;
            Some((name.to_string(), instructions.parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or(format!("{FILE} holds lines of `name = instructions`, or comments"))
}

fn text_of(counts: &Counts) -> String {
    let head = "# Instructions of a call, `ret` included, counted by `cargo xtask paths`.\n";
    let line = |(name, instructions): &(String, u64)| format!("{name} = {instructions}\n");
    head.to_string() + &counts.iter().map(line).collect::<String>()
}

/// A sentence for every path whose count is not the expected one.
fn differences(expected: &Counts, counted: &Counts) -> Vec<String> {
    let find = |counts: &Counts, name: &str| {
        counts.iter().find(|(known, _)| known == name).map(|(_, instructions)| *instructions)
    };
    let gone = expected.iter().filter(|(name, _)| find(counted, name).is_none());
    let mut wrong: Vec<String> =
        gone.map(|(name, _)| format!("{name} is in {FILE}, but there is no such path")).collect();
    wrong.extend(counted.iter().filter_map(|(name, now)| match find(expected, name) {
        None => Some(format!("{name} is not in {FILE}: `cargo xtask paths --write` adds it")),
        Some(before) if *now > before => Some(format!(
            "{name} takes {now} instructions instead of {before}: an increase needs a line in \
             DESIGN.md that says why, and then `cargo xtask paths --write`"
        )),
        Some(before) if *now < before => Some(format!(
            "{name} takes {now} instructions instead of {before}: `cargo xtask paths --write` \
             keeps the gain"
        )),
        Some(_) => None,
    }));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_a_sentence() {
        let expected = parse("# head\na = 9\nb = 9\nc = 9\nd = 9\n").unwrap();
        let counted = parse("a = 9\nb = 10\nc = 8\ne = 1\n").unwrap();
        let wrong = differences(&expected, &counted);
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].starts_with("d is in"));
        assert!(wrong[1].contains("an increase needs a line in DESIGN.md"));
        assert!(wrong[2].contains("keeps the gain"));
        assert!(wrong[3].starts_with("e is not in"));
    }

    #[test]
    fn the_file_is_read_back() {
        let counts = vec![("a".to_string(), 9), ("b_c".to_string(), 12)];
        assert_eq!(parse(&text_of(&counts)).unwrap(), counts);
        assert!(parse("a 9").is_err());
    }
}
