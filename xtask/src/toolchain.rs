//! `cargo xtask toolchain`: a compiler with the source of the `std` that belongs to it.
//!
//! `-Zbuild-std` needs both, and is what instruments `std` for a sanitizer, and what makes a `std`
//! where none is ready.
//!
//! ```text
//! nightly has its component rust-src ──yes──▶ rustup's nightly
//!        │ no
//!        ▼
//! Debian's packages, unpacked into the cache folder ──▶ that compiler, under our own cargo
//! ```
//!
//! `rustup component add rust-src --toolchain nightly` gives the first. The second is for machines
//! that reach Debian's packages and not rustup's: `rustc-web`, which Debian builds its browsers
//! with, and so keeps recent. It is unpacked and not installed, since it excludes rustup.
//! `RUSTC_BOOTSTRAP` lets it use what is unstable.
//!
//! The folder lies in the user's cache, not in the target folder: neither `cargo clean` nor a
//! fresh clone shall fetch it again (107 MB, 700 MB unpacked). The `std` that is built from it
//! depends on the flags, and lies in the target folder of the command that builds it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;
use crate::shell::{self, cannot};
use crate::workspace::Workspace;

/// How a machine without Debian's packages gets what is missing.
const ELSEWHERE: &str = "`rustup component add rust-src --toolchain nightly` gets the source of \
                         std; Debian's packages, which also have it, are not to be had here";

/// A compiler with the source of its `std`.
pub enum Toolchain {
    /// rustup's nightly.
    Nightly,
    /// Debian's packages, unpacked here.
    Debian(PathBuf),
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    shell::no_arguments("toolchain", arguments)?;
    let workspace = Workspace::load()?;
    let toolchain = Toolchain::find(&workspace)?;
    let release = shell::rustc_says(toolchain.rustc(&workspace)?, "release")?;
    println!(
        "rustc {release}, with the source of std: {}",
        toolchain.sysroot(&workspace)?.display()
    );
    Ok(())
}

impl Toolchain {
    /// The toolchain that this machine has, or else fetches.
    ///
    /// # Errors
    ///
    /// There is none, and it cannot be fetched.
    pub fn find(workspace: &Workspace) -> Result<Self, String> {
        let nightly = Self::Nightly.sysroot(workspace)?;
        if nightly.join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
            return Ok(Self::Nightly);
        }
        let cache = cache_folder()?;
        fs::create_dir_all(&cache).map_err(|error| cannot("create", &cache, &error))?;
        // Workspaces share the folder: one of them fetches, the others wait.
        let lock_path = cache.join("lock");
        let lock = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
        let _lock = lock.map_err(|error| cannot("lock", &lock_path, &error))?;
        let debian = Self::Debian(cache.join("rustc-web"));
        if debian.check(workspace).is_err() {
            fetch(workspace, &cache)?;
            debian.check(workspace)?;
        }
        Ok(debian)
    }

    /// Its `cargo`.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn cargo(&self, workspace: &Workspace) -> Result<Command, String> {
        match self {
            Self::Nightly => shell::nightly("cargo", &workspace.root),
            Self::Debian(folder) => {
                let mut command = workspace.command("cargo");
                command.env("RUSTC", rustc_in(folder)).env("RUSTC_BOOTSTRAP", "1");
                find_libraries_of(&mut command, folder);
                Ok(command)
            }
        }
    }

    /// Its `rustc`.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn rustc(&self, workspace: &Workspace) -> Result<Command, String> {
        match self {
            Self::Nightly => shell::nightly("rustc", &workspace.root),
            Self::Debian(folder) => {
                let mut command = workspace.command(&rustc_in(folder).to_string_lossy());
                find_libraries_of(&mut command, folder);
                Ok(command)
            }
        }
    }

    /// Where its libraries lie below `lib/rustlib`.
    ///
    /// # Errors
    ///
    /// It does not say.
    pub fn sysroot(&self, workspace: &Workspace) -> Result<PathBuf, String> {
        let sysroot = shell::capture(self.rustc(workspace)?.args(["--print", "sysroot"]))?;
        Ok(PathBuf::from(sysroot.trim_end()))
    }

    /// Makes the runtime of ThreadSanitizer its own, for the target `host`: Debian leaves it out,
    /// and rustup's nightly has it.
    ///
    /// # Errors
    ///
    /// The two differ in their LLVM, or a file cannot be copied.
    pub fn add_thread_sanitizer(&self, workspace: &Workspace, host: &str) -> Result<(), String> {
        if let Self::Nightly = self {
            return Ok(());
        }
        let field = "LLVM version";
        let ours = shell::rustc_says(self.rustc(workspace)?, field)?;
        let theirs = shell::rustc_says(Self::Nightly.rustc(workspace)?, field)?;
        if major(&ours) != major(&theirs) {
            return Err(format!(
                "the sanitizer's runtime of LLVM {theirs}, rustup's nightly, does not belong to \
                 LLVM {ours}, Debian's: a nightly of that LLVM is needed"
            ));
        }
        let place = |toolchain: &Self, name: &str| {
            let sysroot = toolchain.sysroot(workspace)?;
            Ok::<_, String>(sysroot.join("lib/rustlib").join(host).join("lib").join(name))
        };
        let from = place(&Self::Nightly, "librustc-nightly_rt.tsan.a")?;
        let to = place(self, "librustc-stable_rt.tsan.a")?;
        fs::copy(&from, to).map(drop).map_err(|error| cannot("copy", &from, &error))
    }

    /// Whether it starts, and is as new as the workspace asks.
    fn check(&self, workspace: &Workspace) -> Result<(), String> {
        let Self::Debian(folder) = self else { return Ok(()) };
        if !rustc_in(folder).exists() {
            return Err(format!("{} holds no rustc", folder.display()));
        }
        let release = shell::rustc_says(self.rustc(workspace)?, "release")?;
        let oldest = workspace.oldest_rustc().unwrap_or("0");
        if numbers(&release) < numbers(oldest) {
            return Err(format!(
                "the workspace needs rustc {oldest}, and Debian's rustc-web is {release}: {ELSEWHERE}"
            ));
        }
        Ok(())
    }
}

/// Unpacks Debian's packages into `cache/rustc-web`, which appears complete or not at all.
fn fetch(workspace: &Workspace, cache: &Path) -> Result<(), String> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(ELSEWHERE.to_string());
    }
    let is_root = packages::is_root(workspace)?;
    if is_root {
        packages::update(workspace)?;
    }
    let library = dependency(workspace, "libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = dependency(workspace, &library, "libllvm")?;
    install(workspace, &llvm, is_root)?;

    let part = cache.join("part");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(|error| cannot("remove", &part, &error))?;
    }
    let (packed, unpacked) = (part.join("packed"), part.join("unpacked"));
    fs::create_dir_all(&packed).map_err(|error| cannot("create", &packed, &error))?;
    let mut download = shell::command("apt-get", &packed);
    // As root, apt would fetch as a user of its own, who may not write here.
    download.args(["download", "-q", "-o", "APT::Sandbox::User=root"]);
    download.args(["rustc-web", "rust-web-src", "libstd-rust-web-dev", &library]);
    shell::run(&mut download).map_err(|error| {
        format!("{error}: is the machine offline, or are its lists of packages old?")
    })?;
    let packages = fs::read_dir(&packed).map_err(|error| cannot("read", &packed, &error))?;
    for package in packages {
        let package = package.map_err(|error| cannot("read", &packed, &error))?.path();
        let mut unpack = workspace.command("dpkg-deb");
        shell::run(unpack.arg("--extract").arg(package).arg(&unpacked))?;
    }

    let folder = cache.join("rustc-web");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| cannot("remove", &folder, &error))?;
    }
    fs::rename(&unpacked, &folder).map_err(|error| cannot("rename", &unpacked, &error))?;
    fs::remove_dir_all(&part).map_err(|error| cannot("remove", &part, &error))
}

/// What `package` depends on that begins with `prefix`; its version is part of its name.
fn dependency(workspace: &Workspace, package: &str, prefix: &str) -> Result<String, String> {
    let list = shell::capture(workspace.command("apt-cache").args(["depends", package]))
        .map_err(|error| format!("{error}: Debian's {package} is not known here; {ELSEWHERE}"))?;
    let mut names = list.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
    let name = names.find(|name| name.starts_with(prefix));
    name.map(str::to_string)
        .ok_or_else(|| format!("Debian's {package} depends on nothing called `{prefix}…`"))
}

/// Installs `package`, with what it depends on, where it is missing.
fn install(workspace: &Workspace, package: &str, is_root: bool) -> Result<(), String> {
    let mut query = workspace.command("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    let state =
        query.output().map_err(|error| format!("`dpkg-query` cannot be started: {error}"))?;
    if state.stdout == b"installed" {
        return Ok(());
    }
    if !is_root {
        return Err(format!(
            "the package {package} is missing: `apt-get install {package}` as root installs it"
        ));
    }
    packages::install(workspace, &[package])
}

/// The folder in which the user's programs keep what can be fetched again.
fn cache_folder() -> Result<PathBuf, String> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    cache.map(|cache| cache.join("allotrope")).ok_or_else(|| "there is no home folder".to_string())
}

fn rustc_in(folder: &Path) -> PathBuf {
    folder.join("usr/bin/rustc")
}

/// Debian's compiler looks for its libraries where it would be installed.
fn find_libraries_of(command: &mut Command, folder: &Path) {
    let multiarch = format!("usr/lib/{}-linux-gnu", env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", folder.join(multiarch));
}

fn major(version: &str) -> Option<u32> {
    numbers(version).first().copied()
}

/// The numbers of a version, up to the first part that is none.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.85.0") < numbers("1.95"));
        assert!(numbers("1.100.0") > numbers("1.95"));
        assert!(numbers("1.95.0") >= numbers("1.95"));
        assert_eq!(major("22.1.8"), Some(22));
    }
}
