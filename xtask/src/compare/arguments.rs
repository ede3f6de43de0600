//! What the command line asks for.

use super::contestants::{GLOBALS, NOT_UNDER_VALGRIND};
use super::parts::COMPARISONS;

/// The parsed command line.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The comparisons to make, at least one.
    pub programs: Vec<&'static str>,
    /// A quarter of the work, half of the rounds.
    pub quick: bool,
    /// Fat LTO instead of the plain release profile.
    pub lto: bool,
    /// Count under callgrind instead of by the machine.
    pub callgrind: bool,
    /// Show all metrics.
    pub all: bool,
    /// Part of the name of the workloads to run.
    pub only: Option<String>,
    /// How often every contestant runs each workload.
    pub rounds: Option<usize>,
    /// The global allocators to run; all if empty.
    pub contestants: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of the command.
    ///
    /// # Errors
    ///
    /// One of them is unknown or incomplete, or none names a program.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut parsed = Arguments::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("`{argument}` needs a value: {USAGE}"));
            match argument {
                "--quick" => parsed.quick = true,
                "--lto" => parsed.lto = true,
                "--callgrind" => parsed.callgrind = true,
                "--all" => parsed.all = true,
                "--only" => parsed.only = Some(value()?.to_string()),
                "--rounds" => parsed.rounds = Some(number(value()?)?),
                "--contestants" => parsed.contestants = contestants(value()?)?,
                _ => match COMPARISONS.iter().find(|program| **program == argument) {
                    Some(program) => parsed.programs.push(program),
                    None => return Err(format!("`{argument}` is not known: {USAGE}")),
                },
            }
        }
        if parsed.programs.is_empty() {
            return Err(format!("no program is named: {USAGE}"));
        }
        if parsed.globals().is_empty() {
            return Err("none of these allocators can run under valgrind".to_string());
        }
        Ok(parsed)
    }

    /// The cargo profile to build with.
    pub fn profile(&self) -> &'static str {
        if self.lto { "lto" } else { "release" }
    }

    /// The global allocators to run.
    pub fn globals(&self) -> Vec<&str> {
        let mut globals: Vec<&str> = match &self.contestants[..] {
            [] => GLOBALS.to_vec(),
            some => some.iter().map(String::as_str).collect(),
        };
        if self.callgrind {
            globals.retain(|name| !NOT_UNDER_VALGRIND.contains(name));
        }
        globals
    }

    /// Whether `workload` is to run.
    pub fn wants(&self, workload: &str) -> bool {
        self.only.as_deref().is_none_or(|only| workload.contains(only))
    }
}

const USAGE: &str = "cargo xtask compare global|heap|arena|fixedbuf|pools|collections [--quick] \
                     [--lto] [--only WORKLOAD] [--rounds N] [--callgrind] [--all] \
                     [--contestants GLOBAL,GLOBAL]";

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is no number of rounds")),
    }
}

fn contestants(list: &str) -> Result<Vec<String>, String> {
    let unknown = |name: &&str| !GLOBALS.contains(name);
    match list.split(',').find(unknown) {
        Some(name) => Err(format!("`{name}` is no global allocator among {}", GLOBALS.join(", "))),
        None => Ok(list.split(',').map(str::to_string).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&line.split(' ').map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn switches_may_stand_before_and_after_the_program() {
        let parsed = parse("--quick pools --only held --rounds 2").unwrap();
        assert_eq!(parsed.programs, ["pools"]);
        assert!(parsed.quick && parsed.wants("64 held") && !parsed.wants("get+put"));
        assert_eq!(parsed.rounds, Some(2));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("pool").unwrap_err().starts_with("`pool` is not known"));
        assert!(parse("--quick").unwrap_err().starts_with("no program is named"));
        assert!(parse("pools --rounds 0").is_err());
        assert!(parse("pools --only").unwrap_err().starts_with("`--only` needs a value"));
        assert!(parse("global --contestants talc,nobody").unwrap_err().starts_with("`nobody`"));
    }
}
