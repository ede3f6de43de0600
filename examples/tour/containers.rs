//! The index in containers: blocks of all sizes, and tables that grow.
//!
//! This is what most programs look like. It needs a strategy for variable sizes.

use allotrope::prelude::*;

use crate::job::{Answer, Entry, Full, Index, Token};

/// A `HashMap` of the words, each a copy in a box of its own; and a `Vec` of the paths.
pub struct Containers<'t, A: Allocator> {
    files: Vec<&'t str, A>,
    words: Words<'t, A>,
    memory: A,
}

type Words<'t, A> = HashMap<Box<[u8], A>, Entry<Box<Token<'t>, A>>, DefaultHashBuilder, A>;

impl<A: Allocator + Copy> Containers<'_, A> {
    pub fn new_in(memory: A) -> Self {
        Self { files: Vec::new_in(memory), words: HashMap::new_in(memory), memory }
    }

    fn copy(&self, word: &str) -> Result<Box<[u8], A>, Full> {
        let mut copy = Vec::new_in(self.memory);
        copy.try_reserve_exact(word.len()).map_err(|_| Full)?;
        copy.extend_from_slice(word.as_bytes());
        Ok(copy.into_boxed_slice())
    }
}

impl<'t, A: Allocator + Copy> Index<'t> for Containers<'t, A> {
    fn add_path(&mut self, path: &'t str) -> Result<(), Full> {
        self.files.try_reserve(1).map_err(|_| Full)?;
        self.files.push(path);
        Ok(())
    }

    fn add_token(&mut self, word: &str, token: Token<'t>) -> Result<(), Full> {
        let token = Box::try_new_in(token, self.memory).map_err(|_| Full)?;
        if let Some(entry) = self.words.get_mut(word.as_bytes()) {
            entry.add(token);
        } else {
            self.words.try_reserve(1).map_err(|_| Full)?;
            self.words.insert(self.copy(word)?, Entry::new(token));
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), Full> {
        self.files.try_reserve(other.files.len()).map_err(|_| Full)?;
        self.files.extend(other.files);
        for (word, entry) in other.words {
            if let Some(known) = self.words.get_mut(&word) {
                known.merge(entry);
            } else {
                self.words.try_reserve(1).map_err(|_| Full)?;
                self.words.insert(word, entry);
            }
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.files.sort_unstable();
    }

    fn answer(&self) -> Answer<'t> {
        let words = self.words.iter();
        let mut words: std::vec::Vec<_> = words
            .map(|(word, entry)| (String::from_utf8_lossy(word).into_owned(), entry.summary()))
            .collect();
        words.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Answer { files: self.files.to_vec(), words }
    }
}
