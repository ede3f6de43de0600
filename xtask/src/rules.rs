//! The rules of the house that neither rustc nor clippy knows.
//!
//! A rule looks at one file and says, in a sentence per place, where it is broken. Paths are
//! relative to the root of the workspace.

use std::path::{Component, Path};

/// A rule for the Rust files below `crates/`.
pub type Rule = fn(&Path, &str) -> Vec<String>;

/// All of them.
pub const RULES: &[Rule] = &[
    only_the_facade_asks_for_loom,
    length,
    layout_is_safe,
    nothing_unfinished,
    pointers_keep_their_provenance,
];

/// The size in bytes that no file of the repository exceeds.
const LARGEST_FILE: u64 = 3_000_000;

/// The lines that a source file may have before its tests.
const LONGEST_FILE: usize = 600;

/// The module that swaps `loom`'s types in: a file or a folder of this name.
const FACADE: [&str; 2] = ["facade.rs", "facade"];

/// The arithmetic without pointers.
const LAYOUT: [&str; 2] =
    ["crates/allotrope-core/src/layout", "crates/allotrope-core/src/layout.rs"];

/// Where pointers are made of addresses, and why that is right. On WebAssembly, the machine gives
/// out addresses.
const PROVENANCE: [&str; 2] = [
    "crates/allotrope-core/src/source/provenance.rs",
    "crates/allotrope-core/src/source/pages/wasm.rs",
];

/// No file is larger than [`LARGEST_FILE`].
pub fn size(file: &Path, bytes: u64) -> Option<String> {
    (bytes > LARGEST_FILE)
        .then(|| format!("{}: {bytes} bytes, but no file exceeds {LARGEST_FILE}", file.display()))
}

/// Nobody but the facade asks `cfg(loom)` or `cfg(shuttle)`; constructors that are `const` without `loom`, files that
/// it switches as a whole, and test modules that do not run under it, are the exceptions.
fn only_the_facade_asks_for_loom(file: &Path, text: &str) -> Vec<String> {
    let in_facade =
        file.components().any(|part| FACADE.iter().any(|name| part.as_os_str() == *name));
    if in_facade || !is_shipped(file) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let asks = |line: &str| {
        let names = ["loom", "shuttle"].iter().any(|name| contains_word(line, name));
        line.contains("cfg") && names && !is_comment(line)
    };
    let excepted = |after: &[&str]| {
        let item = after.iter().find(|line| !line.starts_with("#[") && !is_comment(line));
        item.is_some_and(|line| {
            line.contains("fn new") || (contains_word(line, "mod") && line.ends_with(';'))
        })
    };
    let places = lines.iter().enumerate().filter(|(index, line)| {
        asks(line) && !contains_word(line, "test") && !excepted(&lines[index + 1..])
    });
    places
        .map(|(index, _)| {
            format!("{}:{}: only the facade asks `cfg(loom)`", file.display(), index + 1)
        })
        .collect()
}

/// No source file has more than [`LONGEST_FILE`] lines before its tests.
fn length(file: &Path, text: &str) -> Vec<String> {
    if !is_shipped(file) {
        return Vec::new();
    }
    let is_test = |line: &&str| line.starts_with("#[cfg(") && contains_word(line, "test");
    let lines = text.lines().take_while(|line| !is_test(line)).count();
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines before its tests, of at most {LONGEST_FILE}", file.display())]
}

/// Every file of the layout arithmetic forbids `unsafe`.
fn layout_is_safe(file: &Path, text: &str) -> Vec<String> {
    let is_layout = LAYOUT.iter().any(|place| file.starts_with(place));
    if !is_layout || text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![format!("{}: lacks `#![forbid(unsafe_code)]`", file.display())]
}

/// Nothing that is unfinished or switched off.
fn nothing_unfinished(file: &Path, text: &str) -> Vec<String> {
    let places = text.lines().enumerate().filter(|(_, line)| !is_comment(line.trim_start()));
    places
        .filter_map(|(index, line)| {
            let found = ["todo!", "dbg!", "#[ignore"].iter().find(|word| line.contains(**word))?;
            Some(format!("{}:{}: `{found}`", file.display(), index + 1))
        })
        .collect()
}

/// Pointers are not cast to pointers or from integers by `as`, and made of addresses in one place
/// alone.
fn pointers_keep_their_provenance(file: &Path, text: &str) -> Vec<String> {
    if !is_shipped(file) || PROVENANCE.iter().any(|place| file == Path::new(place)) {
        return Vec::new();
    }
    let forbidden = ["exposed_provenance", "expose_provenance", "as *mut ", "as *const "];
    let places = text.lines().enumerate().filter(|(_, line)| !is_comment(line.trim_start()));
    places
        .filter_map(|(index, line)| {
            let found = forbidden.iter().find(|word| line.contains(**word))?;
            Some(format!(
                "{}:{}: `{}` is for {} alone",
                file.display(),
                index + 1,
                found.trim_end(),
                PROVENANCE[0]
            ))
        })
        .collect()
}

/// Whether `file` is compiled into what users get: `crates/*/src/**`.
fn is_shipped(file: &Path) -> bool {
    file.components().nth(2) == Some(Component::Normal("src".as_ref()))
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//")
}

/// Whether `word` stands in `line` by itself, not as a part of a longer name.
fn contains_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crates/allotrope-core/src/slab.rs";

    fn broken(file: &str, text: &str) -> Vec<String> {
        RULES.iter().flat_map(|rule| rule(Path::new(file), text)).collect()
    }

    #[test]
    fn a_cfg_of_loom_is_for_the_facade() {
        let asks = "#[cfg(loom)]\nuse loom::thread;\n";
        assert_eq!(broken(FILE, asks), [format!("{FILE}:1: only the facade asks `cfg(loom)`")]);
        assert_eq!(broken(FILE, "if cfg!(loom) { 1 } else { 2 };\n").len(), 1);
        assert_eq!(broken(FILE, "#[cfg(shuttle)]\nuse shuttle::thread;\n").len(), 1);
        assert!(broken("crates/allotrope-sync/src/facade.rs", asks).is_empty());
        assert!(broken("crates/allotrope-sync/src/facade/cell.rs", asks).is_empty());
        assert!(broken("crates/allotrope-sync/tests/loom_list.rs", asks).is_empty());
    }

    #[test]
    fn constructors_and_test_modules_may_ask_for_loom() {
        let constructor =
            "#[cfg(not(loom))]\n/// An empty list.\n#[inline]\npub const fn new() {}\n";
        assert!(broken(FILE, constructor).is_empty());
        assert!(broken(FILE, "#[cfg(all(test, not(loom)))]\nmod tests {}\n").is_empty());
    }

    #[test]
    fn whole_files_may_be_switched_by_loom() {
        let file =
            "#[cfg(any(not(feature = \"std\"), loom))]\n#[path = \"none.rs\"]\npub mod some;\n";
        assert!(broken(FILE, file).is_empty());
        assert_eq!(broken(FILE, "#[cfg(loom)]\nmod some {\n").len(), 1);
    }

    #[test]
    fn length_is_counted_up_to_the_tests() {
        let longest = "//\n".repeat(LONGEST_FILE);
        assert!(broken(FILE, &longest).is_empty());
        assert!(broken(FILE, &format!("{longest}#[cfg(test)]\nmod tests {{}}\n")).is_empty());
        assert_eq!(broken(FILE, &format!("{longest}//\n")).len(), 1);
    }

    #[test]
    fn layout_forbids_unsafe() {
        let file = "crates/allotrope-core/src/layout/bins.rs";
        assert_eq!(broken(file, "//! Bins.\n").len(), 1);
        assert_eq!(broken("crates/allotrope-core/src/layout.rs", "mod bins;\n").len(), 1);
        assert!(broken(file, "//! Bins.\n\n#![forbid(unsafe_code)]\n").is_empty());
        assert!(broken(FILE, "//! A slab.\n").is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        for line in ["todo!()", "dbg!(size);", "#[ignore = \"slow\"]"] {
            assert_eq!(broken("crates/allotrope-core/tests/any.rs", line).len(), 1, "{line}");
        }
        assert!(broken(FILE, "// `todo!` is not for us").is_empty());
    }

    #[test]
    fn pointers_are_made_of_addresses_in_one_file() {
        for line in [
            "let block = ptr::with_exposed_provenance_mut(address);",
            "let address = start.expose_provenance();",
            "let block = address as *mut u8;",
            "let block = (start + 1) as *const Head;",
        ] {
            assert_eq!(broken(FILE, line).len(), 1, "{line}");
            assert!(
                broken(PROVENANCE[0], line).is_empty() && broken("xtask/a.rs", line).is_empty()
            );
            assert!(broken(FILE, &format!("// {line}")).is_empty());
        }
        assert!(broken(FILE, "let block = base.with_addr(address);").is_empty());
    }

    #[test]
    fn large_files_stay_out() {
        assert_eq!(size(Path::new("a.bin"), LARGEST_FILE), None);
        assert!(size(Path::new("a.bin"), LARGEST_FILE + 1).is_some());
    }
}
