//! Reads a source tree: every text file below a directory.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// The text files below a directory, in no order, and how many were left out.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: Vec<File>,
    /// Files that are not UTF-8.
    pub binary: usize,
    /// Files and directories that could not be read.
    pub unreadable: usize,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// Relative to the tree's root.
    pub path: String,
    pub text: String,
}

impl Tree {
    /// Reads everything below `root` but hidden files, links, and directories named `target`.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut directories = Vec::new();
        tree.read_directory(root, root, &mut directories)?;
        while let Some(directory) = directories.pop() {
            if tree.read_directory(root, &directory, &mut directories).is_err() {
                tree.unreadable += 1;
            }
        }
        Ok(tree)
    }

    pub fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.text.len()).sum()
    }

    fn read_directory(
        &mut self,
        root: &Path,
        directory: &Path,
        further: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((_, entry)) if is_skipped(&entry) => {}
                Ok((kind, entry)) if kind.is_dir() => further.push(entry.path()),
                Ok((kind, entry)) if kind.is_file() => self.read_file(root, &entry.path()),
                Ok(_) => {}
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }

    fn read_file(&mut self, root: &Path, path: &Path) {
        match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                let path = path.strip_prefix(root).unwrap_or(path);
                self.files.push(File { path: path.to_string_lossy().into_owned(), text });
            }
            Ok(Err(_)) => self.binary += 1,
            Err(_) => self.unreadable += 1,
        }
    }
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name == "target" || name.as_encoded_bytes().starts_with(b".")
}
