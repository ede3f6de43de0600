//! What cargo knows of the workspace.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::shell;

/// The workspace that we were started in.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// Where its `Cargo.toml` lies.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Where cargo builds; everything that we write goes below.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
    packages: Vec<Package>,
    #[serde(rename = "workspace_default_members")]
    default_members: Vec<String>,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    id: String,
    /// The name in its manifest.
    pub name: String,
    manifest_path: PathBuf,
    rust_version: Option<String>,
    /// Each feature, with what it switches on.
    pub features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

/// What a package names in its manifest.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

/// Something that cargo can build.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// As cargo calls it.
    pub name: String,
    kind: Vec<String>,
    /// Its first source file.
    pub src_path: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// Cargo does not find the workspace, or cannot read it.
    pub fn load() -> Result<Self, String> {
        let folder = env::current_dir()
            .map_err(|error| format!("the current folder cannot be read: {error}"))?;
        let mut command = shell::command("cargo", &folder);
        command.args(["metadata", "--no-deps", "--format-version=1"]);
        let metadata = shell::capture(&mut command)?;
        serde_json::from_str(&metadata)
            .map_err(|error| format!("`cargo metadata` wrote something unexpected: {error}"))
    }

    /// The packages below `crates/` that are libraries.
    pub fn libraries(&self) -> impl Iterator<Item = &Package> {
        let crates = self.root.join("crates");
        self.packages.iter().filter(move |package| {
            package.manifest_path.starts_with(&crates) && package.library().is_some()
        })
    }

    /// The oldest compiler that builds every library, where they name one.
    pub fn oldest_rustc(&self) -> Option<&str> {
        self.libraries().find_map(|library| library.rust_version.as_deref())
    }

    /// The library whose sources `file` belongs to; `file` is relative to the root.
    pub fn library_of(&self, file: &Path) -> Option<&Package> {
        let path = self.root.join(file);
        let folder = |package: &Package| Some(package.manifest_path.parent()?.join("src"));
        self.libraries().find(|package| folder(package).is_some_and(|src| path.starts_with(src)))
    }

    /// Whether `package` is `other`, or uses it, directly or through others.
    pub fn is_above(&self, package: &Package, other: &Package) -> bool {
        let is_used = |library: &&Package| {
            package.id != library.id && package.dependencies.iter().any(|d| d.name == library.name)
        };
        package.id == other.id
            || self.libraries().filter(is_used).any(|library| self.is_above(library, other))
    }

    /// The packages that plain `cargo test` tests.
    pub fn default_members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.default_members.contains(&package.id))
    }

    /// The command that starts `program` in the root of the workspace.
    pub fn command(&self, program: &str) -> std::process::Command {
        shell::command(program, &self.root)
    }

    /// The files of the repository, tracked or about to be, relative to the root.
    ///
    /// # Errors
    ///
    /// There is no git, or this is no repository.
    pub fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut command = self.command("git");
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let list = shell::capture(&mut command)?;
        let mut files: Vec<PathBuf> = list
            .split_terminator('\0')
            .map(PathBuf::from)
            .filter(|file| self.is_file(file))
            .collect();
        // A file in conflict is listed once per version.
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Whether `file` is there: git also lists what was deleted since the last commit.
    fn is_file(&self, file: &Path) -> bool {
        self.root.join(file).is_file()
    }
}

impl Package {
    /// The library of the package.
    pub fn library(&self) -> Option<&Target> {
        self.targets.iter().find(|target| {
            target
                .kind
                .iter()
                .any(|kind| matches!(kind.as_str(), "lib" | "rlib" | "cdylib" | "staticlib"))
        })
    }

    /// The names of its integration tests.
    pub fn tests(&self) -> impl Iterator<Item = &str> {
        self.test_targets().map(|target| target.name.as_str())
    }

    /// Its integration tests.
    pub fn test_targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test"))
    }
}
