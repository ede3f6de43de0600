//! A heap for every request: what a request leaks or forgets goes with its heap, one that wants too
//! much is refused, and the next begins with nothing. Memory stays as it is.
//!
//! `cargo run --example per_request_heap`

use std::fs;

use allotrope::OsPages;
use allotrope::prelude::*;

const REQUESTS: usize = 10_000;

/// What one request may have.
const LIMIT: usize = 1 << 20;

/// Why a request has no answer.
#[derive(Debug, PartialEq)]
struct TooLarge;

/// Sorts the words of a request by how often they come; on the way it forgets a vector, as plugins do.
fn answer(heap: &LocalHeap, request: &str) -> Result<usize, TooLarge> {
    let mut counts: HashMap<&str, usize, _, _> = HashMap::new_in(heap);
    for word in request.split_whitespace() {
        counts.try_reserve(1).map_err(|_| TooLarge)?;
        *counts.entry(word).or_insert(0) += 1;
    }
    let mut words = Vec::new_in(heap);
    words.try_reserve(counts.len()).map_err(|_| TooLarge)?;
    words.extend(counts.iter().map(|(word, count)| (*count, *word)));
    words.sort_unstable();
    let most = words.last().map_or(0, |(count, _)| *count);
    words.leak();
    Ok(most)
}

/// A request; one in a thousand asks for more than anybody should have.
fn request(number: usize) -> String {
    let words = if number % 1000 == 999 { 100_000 } else { 10 + number % 200 };
    (0..words).map(|word| format!("word{} ", word * 7 % (words - 1))).collect()
}

fn main() {
    let (mut answered, mut refused, mut most_held) = (0, 0, 0);
    let mut resident_early = None;
    for number in 0..REQUESTS {
        let request = request(number);
        let heap = LocalHeap::new(OsPages::new());
        heap.set_limit(Some(LIMIT));
        match answer(&heap, &request) {
            Ok(_) => answered += 1,
            Err(TooLarge) => refused += 1,
        }
        most_held = most_held.max(heap.bytes_held());
        // Its blocks, also those that nobody freed, go with the heap.
        drop(heap);
        if number == REQUESTS / 10 {
            resident_early = resident();
        }
    }
    println!("{answered} requests answered, {refused} refused, each in a heap of its own");
    println!("no heap held more than {most_held} bytes");
    assert_eq!((answered, refused), (REQUESTS - REQUESTS / 1000, REQUESTS / 1000));
    assert!(most_held <= LIMIT);

    if let Some((early, late)) = resident_early.zip(resident()) {
        println!("resident after a tenth of them {early} KiB, after all {late} KiB");
        assert!(late <= early + 4096);
    }
}

/// How much memory of this process is resident, in KiB, where the system says it.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
