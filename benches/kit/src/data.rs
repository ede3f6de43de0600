//! Input texts, the same on every machine, and how to map a prepared file without going through
//! the allocator under test.

use std::fmt::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::ptr::null_mut;

use crate::rng::Rng;

/// Lower-case words with a skewed frequency, as in real text.
#[derive(Debug)]
pub struct Words {
    list: Vec<String>,
    rng: Rng,
}

const SYLLABLES: [&str; 20] = [
    "ba", "con", "de", "er", "fa", "gi", "ho", "in", "ka", "lo", "mer", "no", "or", "pla", "qui",
    "re", "sta", "ti", "um", "ver",
];

impl Words {
    /// A list of `count` words.
    pub fn new(seed: u64, count: usize) -> Self {
        let mut rng = Rng::new(seed);
        let list = (0..count)
            .map(|_| (0..1 + rng.below(4)).map(|_| SYLLABLES[rng.below(SYLLABLES.len())]).collect())
            .collect();
        Words { list, rng }
    }

    /// A word, the first ones of the list most often.
    pub fn word(&mut self) -> &str {
        let u = self.rng.unit();
        let n = self.list.len();
        &self.list[((u * u * u) * n as f64) as usize % n]
    }

    /// So many words with spaces between.
    pub fn text(&mut self, words: usize) -> String {
        let mut text = String::new();
        for i in 0..words {
            if i > 0 {
                text.push(' ');
            }
            text.push_str(self.word());
        }
        text
    }
}

/// A JSON array of user-like records of about `bytes` in all.
pub fn json(bytes: usize) -> String {
    let mut rng = Rng::new(7);
    let mut words = Words::new(8, 4000);
    let mut json = String::with_capacity(bytes + 4096);
    json.push('[');
    let mut id = 0;
    while json.len() < bytes {
        if id > 0 {
            json.push(',');
        }
        id += 1;
        record(&mut json, id, &mut rng, &mut words).expect("strings take everything");
    }
    json.push(']');
    json
}

fn record(json: &mut String, id: usize, rng: &mut Rng, words: &mut Words) -> std::fmt::Result {
    let (left, right) = (rng.next_u64(), rng.next_u64());
    write!(json, "{{\"id\":{id},\"guid\":\"{left:016x}-{right:016x}\"")?;
    let is_active = rng.below(2) == 0;
    let (balance, age) = (rng.unit() * 4000.0, 18 + rng.below(60));
    write!(json, ",\"isActive\":{is_active},\"balance\":{balance:.2},\"age\":{age}")?;
    let [first, last, user, host] = [(); 4].map(|()| words.word().to_owned());
    write!(json, ",\"name\":\"{first} {last}\",\"email\":\"{user}@{host}.com\"")?;
    let about = words.text(5 + (id * 7) % 40);
    let (latitude, longitude) = (rng.unit() * 180.0 - 90.0, rng.unit() * 360.0 - 180.0);
    write!(json, ",\"about\":\"{about}\",\"latitude\":{latitude:.6}")?;
    write!(json, ",\"longitude\":{longitude:.6},\"tags\":[")?;
    for t in 0..rng.below(8) {
        let comma = if t > 0 { "," } else { "" };
        write!(json, "{comma}\"{}\"", words.word())?;
    }
    json.push_str("],\"friends\":[");
    for t in 0..rng.below(5) {
        let comma = if t > 0 { "," } else { "" };
        write!(json, "{comma}{{\"id\":{t},\"name\":\"{}\",\"score\":null}}", words.text(2))?;
    }
    json.push_str("]}");
    Ok(())
}

/// An arithmetic expression of about `bytes`, with names, calls and brackets.
pub fn expression(bytes: usize) -> String {
    let mut rng = Rng::new(11);
    let mut text = String::with_capacity(bytes + 4096);
    sum(&mut text, &mut rng, 0);
    while text.len() < bytes {
        text.push('+');
        sum(&mut text, &mut rng, 0);
    }
    text
}

fn sum(text: &mut String, rng: &mut Rng, depth: usize) {
    term(text, rng, depth);
    for _ in 0..rng.below(3) {
        text.push(['+', '-', '*', '/'][rng.below(4)]);
        term(text, rng, depth);
    }
}

fn term(text: &mut String, rng: &mut Rng, depth: usize) {
    match rng.below(if depth > 8 { 2 } else { 5 }) {
        0 => text.push_str(&rng.below(100_000).to_string()),
        1 => {
            text.push('v');
            text.push_str(&rng.below(500).to_string());
        }
        kind @ (2 | 3) => {
            text.push_str(if kind == 2 { "-(" } else { "(" });
            sum(text, rng, depth + 1);
            text.push(')');
        }
        _ => {
            text.push('f');
            text.push_str(&rng.below(50).to_string());
            text.push('(');
            for i in 0..1 + rng.below(4) {
                if i > 0 {
                    text.push(',');
                }
                sum(text, rng, depth + 1);
            }
            text.push(')');
        }
    }
}

/// Patterns like those people write, for compiling.
pub const PATTERNS: [&str; 12] = [
    r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
    r"(?i)\b(?:error|warn(?:ing)?|fatal|panic(?:ked)?)\b[^\n]{0,80}",
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?",
    r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",
    r"https?://[\w.-]+(?::\d+)?(?:/[\w./?%&=#~-]*)?",
    r"\p{Lu}\p{Ll}+(?:\s\p{Lu}\p{Ll}+)*",
    r"(?s)/\*.*?\*/|//[^\n]*",
    r#""(?:[^"\\]|\\.)*""#,
    r"\w+\s*\((?:[^()]|\([^()]*\))*\)\s*\{",
    r"(?:GET|POST|PUT|DELETE|PATCH) /[\w/.-]* HTTP/1\.[01]",
    r"[\p{Greek}\p{Cyrillic}]+\d{1,3}",
    r"^(?:[a-f0-9]{8})-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}$",
];

/// The folder of prepared files, below the target directory.
pub const FOLDER: &str = "bench-data";

fn path_of(file: &str) -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut folders = program.ancestors().skip(1).map(|above| above.join(FOLDER).join(file));
    folders.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("{FOLDER}/{file} is not there: `cargo run --release -p bench-kit` prepares it")
    })
}

/// Maps a prepared file read-only and touches all of it.
///
/// # Panics
///
/// If the file is not there; `bench-prep` makes it.
pub fn map(file: &str) -> &'static [u8] {
    let file = std::fs::File::open(path_of(file)).expect("a readable file");
    let len = file.metadata().expect("a file has a length").len() as usize;
    let (flags, fd) = (libc::MAP_PRIVATE | libc::MAP_POPULATE, file.as_raw_fd());
    // SAFETY: a new mapping at an address of the system's choice touches no other memory.
    let start = unsafe { libc::mmap(null_mut(), len, libc::PROT_READ, flags, fd, 0) };
    assert!(start != libc::MAP_FAILED, "a prepared file can be mapped");
    // SAFETY: `len` bytes are mapped, readable, and stay so: nobody unmaps them, and nobody writes
    // to a prepared file while it is measured with.
    let bytes: &'static [u8] = unsafe { std::slice::from_raw_parts(start.cast(), len) };
    std::hint::black_box(bytes.iter().step_by(4096).fold(0u8, |a, b| a ^ b));
    bytes
}

/// [`map`] as text.
pub fn map_str(file: &str) -> &'static str {
    std::str::from_utf8(map(file)).expect("prepared files are UTF-8")
}
