//! Prepares the input files below the target directory: a JSON document, and a large Rust source
//! made of the sources of two dependencies, which `cargo metadata` finds.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use bench_kit::data;

const PARTS: [(&str, &str); 6] = [
    ("regex-automata", "dfa/dense.rs"),
    ("regex-automata", "dfa/sparse.rs"),
    ("regex-automata", "hybrid/dfa.rs"),
    ("regex-automata", "meta/regex.rs"),
    ("regex-syntax", "ast/parse.rs"),
    ("regex-syntax", "hir/mod.rs"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("a program in target/PROFILE")?;
    let folder = target.join(data::FOLDER);
    fs::create_dir_all(&folder)?;
    let document = folder.join("doc.json");
    if !document.exists() {
        fs::write(document, data::json(20 << 20))?;
    }
    let source = folder.join("source.rs");
    if !source.exists() {
        fs::write(source, large_source()?)?;
    }
    Ok(())
}

/// The parts, each in a module of its own.
fn large_source() -> Result<String, Box<dyn Error>> {
    let metadata = metadata()?;
    let mut source = String::new();
    for (i, (package, file)) in PARTS.iter().enumerate() {
        let folder = folder_of(package, &metadata)
            .ok_or_else(|| format!("{package} is not among the dependencies"))?;
        let part = fs::read_to_string(folder.join("src").join(file))?;
        source += &format!("mod part{i} {{\n{part}\n}}\n");
    }
    Ok(source)
}

fn metadata() -> Result<String, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The folder `…/package-1.2.3` that holds a package's manifest.
fn folder_of(package: &str, metadata: &str) -> Option<PathBuf> {
    let manifests = metadata.split("\"manifest_path\":\"").skip(1);
    manifests.filter_map(|rest| Path::new(rest.split('"').next()?).parent()).find_map(|folder| {
        let version = folder.file_name()?.to_str()?.strip_prefix(package)?.strip_prefix('-')?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| folder.to_owned())
    })
}
