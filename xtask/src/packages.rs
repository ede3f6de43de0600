//! Programs that neither cargo nor rustup brings: Debian's packages.

use std::env;
use std::path::Path;

use crate::shell;
use crate::workspace::Workspace;

/// Makes sure that all of `files`, programs or paths, are there: installs `packages`, which contain them, where one
/// is missing, this is root, and the system is Debian's or like it.
///
/// # Errors
///
/// One is missing, and the packages cannot be installed. The sentence names them.
pub fn provide(workspace: &Workspace, files: &[&str], packages: &[&str]) -> Result<(), String> {
    let Some(missing) = files.iter().find(|file| !is_there(file)) else { return Ok(()) };
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("`{missing}` is missing: Debian's packages {names} have it"));
    }
    if !is_root(workspace)? {
        return Err(format!("`{missing}` is missing: `apt-get install {names}` installs it"));
    }
    update(workspace)?;
    install(workspace, packages)
}

/// Whether we may install anything.
///
/// # Errors
///
/// The system does not say.
pub fn is_root(workspace: &Workspace) -> Result<bool, String> {
    Ok(shell::capture(workspace.command("id").arg("-u"))?.trim() == "0")
}

/// Asks for the lists of packages, as root.
///
/// # Errors
///
/// They are not to be had.
pub fn update(workspace: &Workspace) -> Result<(), String> {
    shell::run(workspace.command("apt-get").args(["update", "-q"]))
}

/// Installs `packages` with what they depend on, as root.
///
/// # Errors
///
/// They are not to be had.
pub fn install(workspace: &Workspace, packages: &[&str]) -> Result<(), String> {
    let mut install = workspace.command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    shell::run(&mut install)
}

/// Whether `file`, if it is no path, lies in a folder of `PATH`.
fn is_there(file: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(file).is_file())
}
