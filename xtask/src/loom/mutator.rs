//! The mutator: every way to weaken one memory ordering in a Rust source file.
//!
//! ```text
//! source ─▶ without comments and strings ─▶ without tests ─▶ each `Ordering::X` that is not Relaxed
//!                                                                │
//!              Acquire, Release ──▶ Relaxed                      │
//!              AcqRel ──▶ Acquire, and ──▶ Release               ▼
//!              fence(X) ──▶ nothing; fence(SeqCst) ──▶ fence(AcqRel), too
//! ```
//!
//! This reads text, not syntax, so it insists on what it can read: atomics' orderings are written
//! `Ordering::Acquire`, never imported by name, and an ordering that nothing needs is `Relaxed`.

use std::ops::Range;

/// One ordering weakened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The line of the ordering, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
    /// What was done, for people.
    pub change: String,
    range: Range<usize>,
    replacement: String,
}

impl Mutant {
    /// `source`, from which the mutant was made, with the ordering weakened.
    pub fn apply_to(&self, source: &str) -> String {
        let Range { start, end } = self.range;
        format!("{}{}{}", &source[..start], self.replacement, &source[end..])
    }
}

/// Every mutant of `source`; none if it does not use the facade's atomics.
///
/// # Errors
///
/// A sentence about an ordering that is not written as the [module documentation](self) says, or
/// that is `SeqCst` and no fence's.
pub fn mutants(source: &str) -> Result<Vec<Mutant>, String> {
    let code = without_tests(&without_comments(source));
    if !words(&code).any(|(_, word)| word == "facade")
        || !words(&code).any(|(_, word)| word == "atomic")
    {
        return Ok(Vec::new());
    }
    let mut mutants = Vec::new();
    for (start, word) in words(&code) {
        if !["Acquire", "Release", "AcqRel", "SeqCst"].contains(&word) {
            continue;
        }
        let line = 1 + source[..start].matches('\n').count();
        let Some(path_start) = code[..start].strip_suffix("::").and_then(path_start) else {
            return Err(format!("line {line}: `{word}` is written `Ordering::{word}` here"));
        };
        let path = path_start..start + word.len();
        let fence = fence_around(&code, &path);
        let mut add = |range: &Range<usize>, change: String, replacement: &str| {
            let column = 1 + source[..path.start].chars().rev().take_while(|&c| c != '\n').count();
            let replacement = replacement.to_string();
            mutants.push(Mutant { line, column, change, range: range.clone(), replacement });
        };
        if let Some(fence) = &fence {
            add(fence, format!("fence({word}) removed"), "()");
        }
        let weaker: &[&str] = match (word, fence.is_some()) {
            ("SeqCst", true) => &["AcqRel"],
            ("SeqCst", false) => {
                return Err(format!(
                    "line {line}: a SeqCst access, which loom reads as AcqRel: \
                     `fence(Ordering::SeqCst)` makes a total order"
                ));
            }
            (_, true) => &[],
            ("AcqRel", _) => &["Acquire", "Release"],
            _ => &["Relaxed"],
        };
        for weaker in weaker {
            let change = format!("{word} made {weaker}");
            add(&(start..start + word.len()), change, weaker);
        }
    }
    Ok(mutants)
}

/// Where the path begins that ends with `Ordering` at the end of `code`.
fn path_start(code: &str) -> Option<usize> {
    let mut start = code.strip_suffix("Ordering")?.len();
    loop {
        let Some(before) = code[..start].strip_suffix("::") else { return Some(start) };
        start = before.trim_end_matches(is_word).len();
    }
}

/// The call of `fence` whose only argument is `path`.
fn fence_around(code: &str, path: &Range<usize>) -> Option<Range<usize>> {
    let before = code[..path.start].trim_end().strip_suffix('(')?.trim_end();
    let mut start = before.strip_suffix("fence")?.len();
    if code[..start].ends_with(is_word) {
        return None;
    }
    while let Some(module) = code[..start].strip_suffix("::") {
        start = module.trim_end_matches(is_word).len();
    }
    let after = code[path.end..].trim_start().trim_start_matches(',').trim_start();
    after.strip_prefix(')').map(|rest| start..code.len() - rest.len())
}

/// `source` with a space for each byte of a comment, a string, or a character.
fn without_comments(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (len, is_code) = match comment_or_literal(rest, code.ends_with(is_word)) {
            Some(len) => (len, false),
            None => (first.len_utf8(), true),
        };
        let (token, after) = rest.split_at(len);
        if is_code {
            code.push_str(token);
        } else {
            code.extend(token.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// The length of the comment or literal that `rest` begins with.
fn comment_or_literal(rest: &str, in_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest));
    }
    if !in_word && rest.starts_with('r') {
        let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()));
        }
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    None
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, deeper) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += deeper;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string literal.
fn quoted(rest: &str) -> usize {
    let mut is_escaped = true; // the first quote opens it
    for (at, letter) in rest.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal, unless it is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    match letters.next()?.1 {
        '\\' => rest[3..].find('\'').map(|at| 3 + at + 1),
        _ => letters.next().filter(|&(_, letter)| letter == '\'').map(|(at, _)| at + 1),
    }
}

/// `code` with spaces for each item under a `#[cfg(..)]` that names `test`.
fn without_tests(code: &str) -> String {
    let mut code = code.to_string();
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(") {
        let start = from + at;
        let condition = start..code[start..].find(']').map_or(code.len(), |at| start + at + 1);
        from = condition.end;
        if words(&code[condition]).any(|(_, word)| word == "test") {
            let end = item_end(&code, from);
            let blank: String =
                code[start..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
            code.replace_range(start..end, &blank);
        }
    }
    code
}

/// Where the item ends that begins at `start`: with its braces, or with a semicolon before any.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code[start..].char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(letter, '}' | ';') {
            return start + at + 1;
        }
    }
    code.len()
}

/// Every word of `code`, and where it begins.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_start = |at: usize| !code[..at].ends_with(is_word);
    let starts = code.char_indices().filter(move |&(at, letter)| is_word(letter) && is_start(at));
    starts.map(|(at, _)| {
        let len = code[at..].find(|letter| !is_word(letter)).unwrap_or(code.len() - at);
        (at, &code[at..at + len])
    })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const USE: &str = "use crate::facade::atomic::{AtomicBool, Ordering, fence};\n";

    /// The mutants of `code`, as place and change.
    fn changes(code: &str) -> Vec<String> {
        let mutants = mutants(&format!("{USE}{code}")).unwrap();
        mutants.iter().map(|m| format!("{}:{} {}", m.line, m.column, m.change)).collect()
    }

    /// The last line of each mutant of `line`.
    fn mutated(line: &str) -> Vec<String> {
        let source = format!("{USE}{line}");
        let mutants = mutants(&source).unwrap();
        mutants.iter().map(|m| m.apply_to(&source)[USE.len()..].to_string()).collect()
    }

    #[test]
    fn accesses_are_weakened() {
        assert_eq!(mutated("a.load(Ordering::Acquire)"), ["a.load(Ordering::Relaxed)"]);
        assert_eq!(mutated("a.store(1, Ordering::Release)"), ["a.store(1, Ordering::Relaxed)"]);
        assert_eq!(
            mutated("a.swap(1, atomic::Ordering::AcqRel)"),
            ["a.swap(1, atomic::Ordering::Acquire)", "a.swap(1, atomic::Ordering::Release)"]
        );
        assert!(mutated("a.load(Ordering::Relaxed)").is_empty());
    }

    #[test]
    fn each_ordering_of_an_exchange_is_weakened_alone() {
        assert_eq!(
            mutated("a.compare_exchange(0, 1, Ordering::Release, Ordering::Acquire)"),
            [
                "a.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Acquire)",
                "a.compare_exchange(0, 1, Ordering::Release, Ordering::Relaxed)",
            ]
        );
    }

    #[test]
    fn fences_are_removed_and_a_total_order_is_weakened() {
        assert_eq!(mutated("fence(Ordering::Acquire);"), ["();"]);
        assert_eq!(
            mutated("atomic::fence( Ordering::SeqCst, );"),
            ["();", "atomic::fence( Ordering::AcqRel, );"]
        );
        assert_eq!(mutated("defence(Ordering::Acquire);"), ["defence(Ordering::Relaxed);"]);
    }

    #[test]
    fn places_are_lines_and_columns() {
        assert_eq!(changes("\n  a.load(Ordering::Acquire)"), ["3:10 Acquire made Relaxed"]);
    }

    #[test]
    fn comments_strings_and_tests_are_left_alone() {
        let ordering = "Ordering::Acquire";
        for code in [
            format!("// {ordering}\n"),
            format!("/* /* */ {ordering} */"),
            format!("let a = \"\\\" {ordering}\";"),
            format!("let a = r#\"\" {ordering}\"#;"),
            format!("#[cfg(all(test, not(loom)))]\nmod tests {{ fn a() {{ {ordering}; }} }}"),
            format!("#[cfg(test)]\nuse {ordering};"),
            format!("#[cfg(test)]\n#[inline]\nfn a(b: [u8; 4]) {{ {ordering} }}"),
        ] {
            assert_eq!(changes(&code), [""; 0], "{code}");
            assert_eq!(changes(&format!("{code}\n{ordering}")).len(), 1, "{code}");
        }
        assert_eq!(changes("'\"'; fn a<'b>() { '\\''; Ordering::Acquire }").len(), 1);
    }

    #[test]
    fn a_total_order_of_accesses_is_refused() {
        let refused = mutants(&format!("{USE}a.load(Ordering::SeqCst)")).unwrap_err();
        assert!(refused.starts_with("line 2: a SeqCst access"), "{refused}");
    }

    #[test]
    fn orderings_by_another_name_are_refused() {
        assert!(mutants(&format!("{USE}a.load(Acquire)")).is_err());
        assert!(mutants(&format!("{USE}use Ordering::{{Acquire, Relaxed}};")).is_err());
    }

    #[test]
    fn files_without_the_facades_atomics_have_no_mutants() {
        let foreign = "use core::sync::atomic::Ordering;\na.load(Ordering::SeqCst)";
        assert_eq!(mutants(foreign), Ok(Vec::new()));
    }
}
