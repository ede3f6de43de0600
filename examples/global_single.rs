//! A program of one thread, all of whose memory is of one heap: it counts the words of a text.
//!
//! `cargo run --example global_single`, or with the path of a text after `--`

use std::collections::{BTreeMap, HashMap};
use std::{env, fs};

use allotrope::{LocalHeap, Locked, OsPages};

// `Locked`, because a static is everybody's: std starts threads of its own on some systems.
#[global_allocator]
static HEAP: Locked<LocalHeap<OsPages>> = Locked::new(LocalHeap::new(OsPages::new()));

/// What is read unless another text is named.
const TEXT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../DESIGN.md");

fn main() -> Result<(), String> {
    let before = HEAP.bytes_used();
    let path = env::args().nth(1).unwrap_or_else(|| TEXT.to_string());
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;

    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()) {
        if !word.is_empty() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let mut by_count: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (word, count) in &counts {
        by_count.entry(*count).or_default().push(word);
    }
    let words: usize = counts.values().sum();
    println!("{words} words, {} of them different, in {} bytes", counts.len(), text.len());
    for (count, words) in by_count.iter_mut().rev().take(5) {
        words.sort_unstable();
        println!("{count:>8} times {}", words.join(", "));
    }
    assert!(words >= counts.len());

    println!("in use: {} bytes, held: {}", HEAP.bytes_used(), HEAP.bytes_held());
    let held = HEAP.bytes_held();
    drop(by_count);
    drop((counts, text, path));
    HEAP.trim();
    println!("dropped and trimmed: {} bytes, held: {}", HEAP.bytes_used(), HEAP.bytes_held());
    // What std keeps, such as the buffer of the standard output, is a few kilobytes.
    assert!(HEAP.bytes_used() <= before + 64 * 1024 && HEAP.bytes_held() <= held);
    HEAP.check_invariants().map_err(|broken| broken.to_string())
}
