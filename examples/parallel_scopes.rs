//! Threads that parse parts of a file into one arena: the tree of each refers to the text, and all of
//! it is freed at once.
//!
//! `cargo run --release --example parallel_scopes [FILE]`

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::{env, fs};

use allotrope::prelude::*;
use allotrope::{ArenaPool, LocalArena, SharedArena};

/// What is between two brackets, or outside of all.
#[derive(Default)]
struct Tree<'a> {
    words: &'a [&'a str],
    inner: &'a [&'a Tree<'a>],
}

impl Tree<'_> {
    /// How many words there are, and how deep the brackets go.
    fn measure(&self) -> (usize, usize) {
        let inner = self.inner.iter().map(|tree| tree.measure());
        let (words, depth) = inner.fold((0, 0), |(w, d), (words, deep)| (w + words, d.max(deep)));
        (words + self.words.len(), depth + 1)
    }
}

/// Parses up to the bracket that closes, and returns what comes behind it.
fn parse<'a>(arena: &LocalArena<'a>, mut text: &'a str) -> (&'a Tree<'a>, &'a str) {
    let (mut words, mut inner) = (std::vec::Vec::new(), std::vec::Vec::new());
    while let Some(at) = text.find(['(', ')', '{', '}', '[', ']']) {
        words.extend(text[..at].split_whitespace());
        let (bracket, behind) = text[at..].split_at(1);
        text = behind;
        if matches!(bracket, ")" | "}" | "]") {
            return (tree(arena, &words, &inner), text);
        }
        let (tree, behind) = parse(arena, text);
        inner.push(tree);
        text = behind;
    }
    words.extend(text.split_whitespace());
    (tree(arena, &words, &inner), "")
}

fn tree<'a>(arena: &LocalArena<'a>, words: &[&'a str], inner: &[&'a Tree<'a>]) -> &'a Tree<'a> {
    let (words, inner) = (arena.alloc_slice_copy(words), arena.alloc_slice_copy(inner));
    arena.alloc(Tree { words, inner })
}

/// Parses `text` on `count` threads, each taking the next part that nobody has.
fn parse_all<'a>(arena: &'a SharedArena, text: &'a str, count: usize) -> &'a [&'a Tree<'a>] {
    let parts: std::vec::Vec<&str> = text.split("\n\n").collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let arena = arena.local();
        let mut trees = std::vec::Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut text = *part;
            while !text.is_empty() {
                let (tree, behind) = parse(&arena, text);
                trees.push(tree);
                text = behind;
            }
        }
        trees
    };
    let trees = thread::scope(|threads| {
        let threads: std::vec::Vec<_> = (0..count).map(|_| threads.spawn(work)).collect();
        let trees = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        trees.flatten().collect::<std::vec::Vec<_>>()
    });
    arena.alloc_slice_copy(&trees)
}

fn main() {
    let text = match env::args().nth(1) {
        Some(file) => fs::read_to_string(file).expect("the file is text"),
        None => include_str!("parallel_scopes.rs").to_string(),
    };
    let mut arena = SharedArena::new();
    let mut results = std::vec::Vec::new();
    for threads in [1, 2, 4] {
        let trees = parse_all(&arena, &text, threads);
        let all = Tree { inner: trees, ..Tree::default() }.measure();
        results.push(all);
        println!("{threads} threads: {} words, {} brackets deep", all.0, all.1 - 2);
        println!("  {} bytes in use, {} held", arena.bytes_used(), arena.bytes_held());
        arena.reset();
    }
    assert!(results.iter().all(|result| *result == results[0]));
    assert_eq!(arena.bytes_used(), 0);

    // A task of its own takes a warm arena from a pool instead, and leaves it empty.
    let pool = ArenaPool::new();
    let lengths: std::vec::Vec<usize> = thread::scope(|threads| {
        let longest = |line: &'static str| {
            let pool = &pool;
            threads.spawn(move || {
                let arena = pool.get();
                let mut words = Vec::new_in(&*arena);
                words.extend(line.split(' ').map(|word| &*arena.alloc_str(word)));
                words.iter().map(|word| word.len()).max().unwrap_or(0)
            })
        };
        let threads = ["a task", "and another one"].map(longest);
        threads.map(|thread| thread.join().expect("it does not panic")).into()
    });
    assert_eq!(lengths, [4, 7]);
}
