//! Everything that is exported is named in this folder.
//!
//! Goal: an item, a macro or a method that somebody exports, hidden or not, and that no crate without
//! `unsafe` code has been tried on.
//!
//! Method: the sources of the libraries are read, from each `lib.rs` into its public modules, and
//! every name that they export is looked for in the tests beside this one. Of methods, those that
//! are not `unsafe` are; they are found in all files, for what a file is reached by does not say of
//! which types a user has values.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The libraries.
const LIBRARIES: [&str; 6] = [
    "allotrope",
    "allotrope-conformance",
    "allotrope-core",
    "allotrope-heap",
    "allotrope-scope",
    "allotrope-sync",
];

/// What is not there on the machine that runs this, without a nightly compiler, or without `loom`.
const ELSEWHERE: &[&str] = &["FromNightly", "NoLock", "lazy_static", "nightly"];

/// Methods of what only `unsafe` code makes or only a target without compare-and-swap has, and those
/// of private types that are `pub` for their own crate.
const OUT_OF_REACH: &[&str] = &[
    // Of modules that are private.
    "GRANULE_SIZE",
    "expose",
    "within",
    // Of `Edges` and `Space`.
    "allocate_anywhere",
    "allocate_aligned",
    "free_at_end",
    "free_block_from",
    "free_blocks",
    "free_granules",
    "free_runs",
    "granules",
    "has_tail",
    "is_tail",
    "largest",
    "settle",
    "touched",
    "try_validate",
    "valid",
    // Of provenance, within core.
    "expose",
    "within",
    // Of cells that stand for atomics.
    "compare_exchange",
    "compare_exchange_weak",
    "fetch_add",
    "fetch_sub",
    "store",
    "swap",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file without comments, and without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let lines = lines.take_while(|line| !line.starts_with("mod tests {"));
    lines.collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// Puts the names that a public module exports into `names`, and those of its public modules.
fn exports(file: &Path, names: &mut BTreeSet<String>) {
    let text = code(file);
    for statement in text.split_inclusive([';', '{', '}']) {
        let Some(start) = statement.find("pub ") else { continue };
        let rest = statement[start + 4..].trim();
        let mut parts = words(rest).filter(|word| !["const", "unsafe"].contains(word));
        match parts.next() {
            Some("mod") => {
                let Some(name) = parts.next() else { continue };
                names.insert(name.into());
                let module = file_of(file, name);
                // The facade's files lie elsewhere, and hold what stands for what it names.
                if rest.ends_with(';') && (module.exists() || !text.contains("#[path")) {
                    exports(&module, names);
                }
            }
            Some("struct" | "enum" | "trait" | "type" | "static") => {
                names.extend(parts.next().map(String::from));
            }
            _ => {}
        }
    }
    for used in text.split("pub use ").skip(1) {
        let used = used.split(';').next().unwrap_or_default();
        let list = used.rsplit_once("::{").map_or(used, |(_, list)| list.trim_end_matches('}'));
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let name = words(item).last().unwrap_or_default();
            if let Some(module) = item.strip_suffix("::*") {
                // `crate::` and other crates' names are found where they are declared.
                if !module.contains("::") && !module.starts_with("allotrope") {
                    exports(&file_of(file, module), names);
                }
            } else {
                names.insert(name.into());
            }
        }
    }
}

/// The file of the module `name` that `parent` declares.
fn file_of(parent: &Path, name: &str) -> PathBuf {
    let stem = parent.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut folder = parent.parent().unwrap_or(parent).to_path_buf();
    if !["lib", "mod"].contains(&stem) {
        folder.push(stem);
    }
    let file = folder.join(name).with_extension("rs");
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Macros that are exported, and public functions and constants that are not `unsafe`, those of public
/// traits included.
fn macros_and_values(text: &str, names: &mut BTreeSet<String>) {
    for exported in text.split("#[macro_export]").skip(1) {
        names.extend(
            exported
                .split("macro_rules!")
                .nth(1)
                .and_then(|rest| words(rest).next())
                .map(String::from),
        );
    }
    let mut tokens = text.split_whitespace();
    while let Some(token) = tokens.next() {
        if token != "pub" {
            continue;
        }
        let is_qualifier =
            |token: &&str| ["const", "async", "extern"].contains(token) || token.starts_with('"');
        let rest: Vec<_> = tokens.clone().take(5).collect();
        let item = rest.iter().find(|token| !is_qualifier(token)).copied().unwrap_or_default();
        let name = match item {
            "fn" => rest.iter().skip_while(|token| **token != "fn").nth(1).copied(),
            // A constant's name, with its colon.
            name if rest[0] == "const" && name.ends_with(':') => Some(name),
            _ => None,
        };
        // Names that a macro puts in are those of its calls.
        let name = name.filter(|name| !name.starts_with('$'));
        names.extend(name.and_then(|name| words(name).next()).map(String::from));
    }
    for of_trait in
        ["pub trait ", "pub unsafe trait "].iter().flat_map(|word| text.split(word).skip(1))
    {
        let (mut depth, mut body) = (0, String::new());
        for part in of_trait.split_inclusive(['{', '}']) {
            body += part;
            depth += if part.ends_with('{') { 1 } else { -1 };
            if depth == 0 {
                break;
            }
        }
        let mut before = "";
        for token in body.split_whitespace() {
            if before == "fn" && !body.contains(&format!("unsafe fn {token}")) {
                names.extend(words(token).next().map(String::from));
            }
            before = token;
        }
    }
}

#[test]
fn every_exported_name_is_in_a_test_without_unsafe_code() {
    let mut names = BTreeSet::new();
    for library in LIBRARIES {
        let source = root().join("crates").join(library).join("src");
        exports(&source.join("lib.rs"), &mut names);
        let mut files = Vec::new();
        sources(&source, &mut files);
        files.iter().for_each(|file| macros_and_values(&code(file), &mut names));
    }
    assert!(
        ["BestFit", "impl_allocator_02", "Edges", "alloc_fmt", "with_first", "bytes_used"]
            .iter()
            .all(|name| names.contains(*name))
    );
    let excepted: BTreeSet<_> = ELSEWHERE.iter().chain(OUT_OF_REACH).copied().collect();
    let gone: Vec<_> = excepted.iter().filter(|name| !names.contains(**name)).collect();
    assert!(gone.is_empty(), "excepted, and not exported: {gone:?}");

    let mut tests = Vec::new();
    sources(&root().join("tests/forbidden"), &mut tests);
    let tests: Vec<_> =
        tests.iter().filter(|file| !file.ends_with("complete.rs")).map(|file| code(file)).collect();
    assert!(tests.iter().all(|test| test.starts_with("\n") || !test.is_empty()));
    let known: BTreeSet<_> = tests.iter().flat_map(|test| words(test)).collect();
    let missing: Vec<_> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !known.contains(name) && !excepted.contains(name))
        .collect();
    assert!(missing.is_empty(), "exported, and named in no test here: {missing:?}");
}

#[test]
fn no_way_of_writing_an_export_is_overlooked() {
    let text = r#"
        #[macro_export] #[doc(hidden)] macro_rules! a { () => { pub fn $name() {} } }
        pub const B: fn() = c; pub(crate) const C: u8 = 1;
        pub const fn d() {} pub extern "C" fn e() {} pub const extern "C" fn f() {} pub async fn g() {}
        pub unsafe fn h() {} pub(crate) fn i() {}
        pub unsafe trait Trait { fn j(&self) { if true {} } unsafe fn k(&self); fn l(); }
        trait Hidden { fn m(); }
    "#;
    let mut names = BTreeSet::new();
    macros_and_values(text, &mut names);
    assert_eq!(
        names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["B", "a", "d", "e", "f", "g", "j", "l"]
    );
}

#[test]
fn every_file_here_forbids_unsafe_code() {
    let mut tests = Vec::new();
    sources(&root().join("tests/forbidden"), &mut tests);
    for file in tests {
        let forbids = code(&file).contains("#![forbid(unsafe_code)]");
        assert!(forbids || file.ends_with("lodgers.rs"), "{file:?}");
    }
}
