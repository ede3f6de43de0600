//! The index in search trees: every node of a tree is a block of the same size.
//!
//! This is what pools of fixed size are for: words, paths and tokens have a pool each. A node has
//! room for the longest word, so short ones waste some; in exchange, each block is found and freed
//! in O(1).

use std::mem;
use std::ops::Deref;

use allotrope::Policy;
use allotrope::prelude::*;

use crate::job::{Answer, Entry, Full, Index, LONGEST_WORD, Token};

/// Where tokens are kept: in boxes of any allocator, or in an object pool.
pub trait Tokens<'t>: Copy {
    /// Owns a token's block.
    type Kept: Deref<Target = Token<'t>>;

    fn keep(self, token: Token<'t>) -> Result<Self::Kept, Full>;
}

/// Tokens in boxes.
#[derive(Clone, Copy, Debug)]
pub struct Boxes<A>(pub A);

impl<'t, A: Allocator + Copy> Tokens<'t> for Boxes<A> {
    type Kept = Box<Token<'t>, A>;

    fn keep(self, token: Token<'t>) -> Result<Self::Kept, Full> {
        Box::try_new_in(token, self.0).map_err(|_| Full)
    }
}

impl<'t, 'p, S: Source, P: Policy> Tokens<'t> for &'p ObjectPool<Token<'t>, S, P> {
    type Kept = PoolBox<'p, Token<'t>, ObjectPool<Token<'t>, S, P>>;

    fn keep(self, token: Token<'t>) -> Result<Self::Kept, Full> {
        self.try_insert(token).map_err(|_| Full)
    }
}

/// A tree of words and a tree of paths.
pub struct Nodes<'t, W: Allocator, F: Allocator, T: Tokens<'t>> {
    words: Tree<Word, Entry<T::Kept>, W>,
    files: Tree<&'t str, (), F>,
    tokens: T,
}

impl<'t, W: Allocator + Copy, F: Allocator + Copy, T: Tokens<'t>> Nodes<'t, W, F, T> {
    pub fn new_in(words: W, files: F, tokens: T) -> Self {
        Self { words: Tree::new_in(words), files: Tree::new_in(files), tokens }
    }
}

/// How large the blocks are for a word, a path and a token, with allocators by reference.
pub const WORD_SIZE: usize =
    size_of::<Node<Word, Entry<Box<Token<'static>, &'static Global>>, &'static Global>>();
pub const PATH_SIZE: usize = size_of::<Node<&'static str, (), &'static Global>>();
pub const TOKEN_SIZE: usize = size_of::<Token<'static>>();

impl<'t, W, F, T> Index<'t> for Nodes<'t, W, F, T>
where
    W: Allocator + Copy,
    F: Allocator + Copy,
    T: Tokens<'t>,
{
    fn add_path(&mut self, path: &'t str) -> Result<(), Full> {
        self.files.insert(path, ())
    }

    fn add_token(&mut self, word: &str, token: Token<'t>) -> Result<(), Full> {
        let token = self.tokens.keep(token)?;
        let word = Word::new(word);
        match self.words.get_mut(&word) {
            Some(entry) => entry.add(token),
            None => self.words.insert(word, Entry::new(token))?,
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), Full> {
        other.files.drain(&mut |path, ()| self.files.insert(path, ()))?;
        other.words.drain(&mut |word, entry| match self.words.get_mut(&word) {
            Some(known) => {
                known.merge(entry);
                Ok(())
            }
            None => self.words.insert(word, entry),
        })
    }

    fn sort(&mut self) {
        // The trees are in order all the time.
    }

    fn answer(&self) -> Answer<'t> {
        let mut answer = Answer { files: std::vec::Vec::new(), words: std::vec::Vec::new() };
        self.files.visit(&mut |path, ()| answer.files.push(path));
        self.words.visit(&mut |word, entry| {
            answer
                .words
                .push((String::from_utf8_lossy(word.bytes()).into_owned(), entry.summary()));
        });
        answer
    }
}

/// A word, inline.
#[derive(Debug)]
struct Word {
    bytes: [u8; LONGEST_WORD],
    len: u8,
}

impl Word {
    fn new(word: &str) -> Self {
        let mut bytes = [0; LONGEST_WORD];
        bytes[..word.len()].copy_from_slice(word.as_bytes());
        Self { bytes, len: word.len() as u8 }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A treap: a search tree by key that is a heap by random priority, and so of logarithmic depth
/// (Seidel and Aragon 1996). The recursions below are that deep.
struct Tree<K, V, A: Allocator> {
    root: Link<K, V, A>,
    random: u32,
    memory: A,
}

type Link<K, V, A> = Option<Box<Node<K, V, A>, A>>;

struct Node<K, V, A: Allocator> {
    key: K,
    value: V,
    priority: u32,
    /// Smaller keys, and those that are not.
    children: [Link<K, V, A>; 2],
}

/// Something with an order that is plain to compare: the bytes of a word or a path.
trait Key {
    fn key(&self) -> &[u8];
}

impl Key for Word {
    fn key(&self) -> &[u8] {
        self.bytes()
    }
}

impl Key for &str {
    fn key(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<K: Key, V, A: Allocator + Copy> Tree<K, V, A> {
    fn new_in(memory: A) -> Self {
        Self { root: None, random: 0x9E37_79B9, memory }
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let mut link = &mut self.root;
        while let Some(node) = link {
            if node.key.key() == key.key() {
                return Some(&mut node.value);
            }
            let side = usize::from(node.key.key() < key.key());
            link = &mut node.children[side];
        }
        None
    }

    /// Inserts a node below all of higher priority, and above what it splits in two.
    fn insert(&mut self, key: K, value: V) -> Result<(), Full> {
        let priority = self.next_random();
        let node = Node { key, value, priority, children: [None, None] };
        let mut node = Box::try_new_in(node, self.memory).map_err(|_| Full)?;
        let mut link = &mut self.root;
        while link.as_ref().is_some_and(|above| above.priority >= node.priority) {
            let Some(above) = link else { break };
            let side = usize::from(above.key.key() < node.key.key());
            link = &mut above.children[side];
        }
        node.children = split(link.take(), node.key.key());
        *link = Some(node);
        Ok(())
    }

    /// Marsaglia's xorshift.
    fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    /// Calls `visit` with everything in the tree, in order.
    fn visit<'s>(&'s self, visit: &mut impl FnMut(&'s K, &'s V)) {
        visit_all(&self.root, visit);
    }

    /// Takes the tree apart, in order.
    fn drain(mut self, take: &mut impl FnMut(K, V) -> Result<(), Full>) -> Result<(), Full> {
        drain_all(self.root.take(), take)
    }
}

/// The nodes below `key`, and the others.
fn split<K: Key, V, A: Allocator>(link: Link<K, V, A>, key: &[u8]) -> [Link<K, V, A>; 2] {
    let Some(mut node) = link else { return [None, None] };
    if node.key.key() < key {
        let [below, above] = split(node.children[1].take(), key);
        node.children[1] = below;
        [Some(node), above]
    } else {
        let [below, above] = split(node.children[0].take(), key);
        node.children[0] = above;
        [below, Some(node)]
    }
}

fn visit_all<'s, K, V, A: Allocator>(
    link: &'s Link<K, V, A>,
    visit: &mut impl FnMut(&'s K, &'s V),
) {
    if let Some(node) = link {
        visit_all(&node.children[0], visit);
        visit(&node.key, &node.value);
        visit_all(&node.children[1], visit);
    }
}

fn drain_all<K, V, A: Allocator>(
    link: Link<K, V, A>,
    take: &mut impl FnMut(K, V) -> Result<(), Full>,
) -> Result<(), Full> {
    let Some(mut node) = link else { return Ok(()) };
    let [below, above] = mem::take(&mut node.children);
    drain_all(below, take)?;
    let Node { key, value, .. } = Box::into_inner(node);
    take(key, value)?;
    drain_all(above, take)
}
