//! The job that every strategy does: an index of the words of a source tree.
//!
//! ```text
//! file ──▶ its path, into a sorted list
//!   └───▶ tokens ──▶ each in a block of its own ──▶ index: word ▶ count, first token, last token
//!                                                     └─▶ tokens in between are freed at once
//! ```
//!
//! So there are blocks that stay (paths, words, the first token of each) among blocks that come and
//! go (all other tokens), as in any program that reads something and remembers some of it.
//!
//! With threads, each indexes some of the files; then the indices are merged into one, and what
//! one thread allocated is freed by another.

use std::mem;
use std::ops::Deref;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::tree::{File, Tree};

/// Longer words are data, not words; they are skipped.
pub const LONGEST_WORD: usize = 40;

/// Memory is exhausted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// Where a word stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Token<'t> {
    pub path: &'t str,
    pub line: u32,
    pub column: u32,
}

/// The words of a file, and where they stand.
pub fn tokens(file: &File) -> impl Iterator<Item = (&str, Token<'_>)> {
    (1..).zip(file.text.lines()).flat_map(move |(line, text)| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        text.split(move |letter| !is_part(letter))
            .filter(|word| word.starts_with(|letter: char| letter.is_alphabetic()))
            .filter(|word| word.len() <= LONGEST_WORD)
            .map(move |word| {
                let column = word.as_ptr().addr() - text.as_ptr().addr();
                (word, Token { path: &file.path, line, column: column as u32 })
            })
    })
}

/// What is known of a word. `T` owns the block of a token.
#[derive(Debug)]
pub struct Entry<T> {
    count: usize,
    first: T,
    last: Option<T>,
}

impl<'t, T: Deref<Target = Token<'t>>> Entry<T> {
    pub fn new(token: T) -> Self {
        Self { count: 1, first: token, last: None }
    }

    /// Counts a token, and keeps it if it is the first or the last so far.
    pub fn add(&mut self, token: T) {
        self.count += 1;
        self.keep_first_and_last(token);
    }

    /// Adds what another thread knows of the same word.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.keep_first_and_last(other.first);
        if let Some(token) = other.last {
            self.keep_first_and_last(token);
        }
    }

    pub fn summary(&self) -> Summary<'t> {
        let last = self.last.as_ref().unwrap_or(&self.first);
        Summary { count: self.count, first: *self.first, last: **last }
    }

    fn keep_first_and_last(&mut self, mut token: T) {
        if *token < *self.first {
            mem::swap(&mut token, &mut self.first);
        }
        if self.last.as_ref().is_none_or(|last| **last < *token) {
            self.last = Some(token);
        }
    }
}

/// What is known of a word, in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary<'t> {
    pub count: usize,
    pub first: Token<'t>,
    pub last: Token<'t>,
}

/// What the job finds out, in ordinary memory and in order, to be compared.
#[derive(Debug, Eq, PartialEq)]
pub struct Answer<'t> {
    pub files: Vec<&'t str>,
    pub words: Vec<(String, Summary<'t>)>,
}

/// An index under construction: one in containers, one in nodes of one size.
///
/// Each method may run out of memory.
pub trait Index<'t>: Sized {
    fn add_path(&mut self, path: &'t str) -> Result<(), Full>;
    fn add_token(&mut self, word: &str, token: Token<'t>) -> Result<(), Full>;
    /// Takes over all of another index.
    fn merge(&mut self, other: Self) -> Result<(), Full>;
    /// Puts the paths in order.
    fn sort(&mut self);
    /// Everything in order; called after `sort`.
    fn answer(&self) -> Answer<'t>;

    fn add_file(&mut self, file: &'t File) -> Result<(), Full> {
        self.add_path(&file.path)?;
        tokens(file).try_for_each(|(word, token)| self.add_token(word, token))
    }
}

/// Does the job in one thread.
pub fn build<'t, I: Index<'t>>(tree: &'t Tree, mut index: I) -> Result<I, Full> {
    tree.files.iter().try_for_each(|file| index.add_file(file))?;
    index.sort();
    Ok(index)
}

/// Does the job in `threads` threads, each with an index that `make` makes.
pub fn build_shared<'t, I: Index<'t> + Send>(
    tree: &'t Tree,
    threads: usize,
    make: impl Fn() -> I + Sync,
) -> Result<I, Full> {
    // Counts the files that were taken; it orders nothing else.
    let taken = AtomicUsize::new(0);
    let index_some = || {
        let mut index = make();
        while let Some(file) = tree.files.get(taken.fetch_add(1, Ordering::Relaxed)) {
            index.add_file(file)?;
        }
        Ok(index)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(index_some)).collect();
        let mut merged = make();
        for thread in threads {
            let index = thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
            merged.merge(index?)?;
        }
        merged.sort();
        Ok(merged)
    })
}
