//! Collections and programs of one thread.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as AVec;
use bench_kit::args::Args;
use bench_kit::data::{self, Words};
use bench_kit::rng::Rng;

use crate::{Work, sizes};

/// Pushes numbers to a vector of whichever kind.
macro_rules! push {
    ($vec:expr, $n:expr) => {{
        let mut v = $vec;
        for i in 0..$n {
            v.push(i as u64);
            black_box(v.as_ptr());
        }
        $n
    }};
}

pub fn vec_push(args: &Args) -> Work<'static> {
    let n = args.scale(10_000_000);
    Box::new(move || push!(Vec::new(), n))
}

/// The same with the `Vec` that takes a handle on stable Rust.
pub fn vec_push_in<'a, A: Allocator + Copy + 'a>(args: &Args, home: A) -> Work<'a> {
    let n = args.scale(10_000_000);
    Box::new(move || push!(AVec::new_in(home), n))
}

pub fn hashmap_string(args: &Args) -> Work<'static> {
    let n = args.scale(200_000);
    let mut words = Words::new(5, 50_000);
    let keys: Vec<String> =
        (0..n).map(|i| format!("{}-{}-{i}", words.word().to_owned(), words.word())).collect();
    let sizes = sizes(6, 60.0, 1.0, 8, 2000);
    Box::new(move || {
        let mut m: HashMap<String, Vec<u8>> = HashMap::new();
        for (i, k) in keys.iter().enumerate() {
            m.insert(k.clone(), vec![i as u8; sizes[i & 0xFFFF] as usize]);
        }
        black_box(m.len())
    })
}

pub fn btreemap(args: &Args) -> Work<'static> {
    let n = args.scale(400_000);
    Box::new(move || {
        let mut rng = Rng::new(7);
        let mut m = BTreeMap::new();
        for i in 0..n {
            m.insert(rng.next_u64() >> 44, i as u64);
            if i > n / 2 {
                let at = rng.next_u64() >> 44;
                let next = m.range(at..).next().map(|(k, _)| *k);
                next.map(|k| m.remove(&k));
            }
        }
        black_box(m.len());
        n
    })
}

pub fn json(_: &Args) -> Work<'static> {
    let text = data::map_str("doc.json");
    Box::new(move || {
        let v: serde_json::Value = serde_json::from_str(text).expect("JSON");
        drop(black_box(v));
        text.len() >> 10
    })
}

pub fn syn_parse(_: &Args) -> Work<'static> {
    let text = data::map_str("source.rs");
    Box::new(move || {
        let f = syn::parse_file(text).expect("Rust");
        drop(black_box(f));
        text.len() >> 10
    })
}

pub fn regex_build(args: &Args) -> Work<'static> {
    let turns = args.scale(8);
    Box::new(move || {
        for _ in 0..turns {
            for p in data::PATTERNS {
                drop(black_box(regex::Regex::new(p).expect("a pattern")));
            }
        }
        turns * data::PATTERNS.len()
    })
}
