//! A twin of the workspace: a copy below the target folder whose source may be broken for a while.
//!
//! ```text
//! target/NAME/workspace   the files of the repository as they are now, uncommitted changes included
//!             target      its builds, which are incremental
//!             logs        what each trial wrote
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::shell::cannot;
use crate::trial::Trial;
use crate::workspace::Workspace;

/// The copy, and where its builds and logs lie.
pub struct Twin {
    folder: PathBuf,
    target: PathBuf,
    logs: PathBuf,
}

impl Twin {
    /// The twin called `name`, made the same as the workspace.
    ///
    /// # Errors
    ///
    /// The files cannot be listed or copied.
    pub fn new(workspace: &Workspace, name: &str) -> Result<Self, String> {
        let home = workspace.target.join(name);
        let twin = Self {
            folder: home.join("workspace"),
            target: home.join("target"),
            logs: home.join("logs"),
        };
        mirror(workspace, &twin.folder)?;
        fs::create_dir_all(&twin.logs).map_err(|error| cannot("create", &twin.logs, &error))?;
        Ok(twin)
    }

    /// Where the copy lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of `file`, which is relative to the root of the workspace.
    pub fn read(&self, file: &Path) -> Result<String, String> {
        read(&self.folder.join(file))
    }

    /// Does `work` while `file` holds `text`.
    ///
    /// # Errors
    ///
    /// Those of `work`, and the file cannot be read or written.
    pub fn with_file<T>(
        &self,
        file: &Path,
        text: &str,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let path = self.folder.join(file);
        let sound = read(&path)?;
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
        let result = work();
        fs::write(&path, sound).map_err(|error| cannot("write", &path, &error))?;
        result
    }

    /// Where the trial called `name` writes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// `cargo test` with the arguments `test`; the log of the same name begins anew.
    pub fn trial(&self, name: &str, test: &str) -> Result<Trial, String> {
        let log = self.log(name);
        let file = File::create(&log).map_err(|error| cannot("create", &log, &error))?;
        Ok(Trial::new(&self.folder, &self.target, &log, file, test))
    }
}

/// Makes `copy` the same as the workspace, uncommitted changes included.
///
/// A file that is the same already keeps its time, so that cargo rebuilds nothing for it.
fn mirror(workspace: &Workspace, copy: &Path) -> Result<(), String> {
    let files = workspace.files()?;
    for file in &files {
        let path = workspace.root.join(file);
        let bytes = fs::read(&path).map_err(|error| cannot("read", &path, &error))?;
        let twin = copy.join(file);
        if fs::read(&twin).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = twin.parent() {
            fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
        }
        fs::write(&twin, bytes).map_err(|error| cannot("write", &twin, &error))?;
    }
    let wanted = files.iter().map(|file| copy.join(file)).collect();
    remove_others(copy, &wanted)
}

/// Removes what an earlier run copied and the workspace has no longer.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| cannot("read", folder, &error))?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// The text of the file at `path`.
pub fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, &error))
}
