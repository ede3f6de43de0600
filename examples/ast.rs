//! A source file as a tree: in an arena, whose nodes go all at once, and in boxes, which go one by
//! one.
//!
//! `cargo run --release --example ast [-- FILE]` reads a Rust file, its own text unless told
//! otherwise, into a tree of brackets and words, and evaluates that.

use std::time::{Duration, Instant};
use std::{env, fs};

use allotrope::Arena;

/// A word, or what stands in brackets; a list goes on with `next`.
///
/// Nodes refer to each other by plain references, and to the text. Nothing has to be dropped.
struct Node<'t> {
    kind: Kind<'t>,
    next: Option<&'t Node<'t>>,
}

enum Kind<'t> {
    Word(&'t str),
    Group(Option<&'t Node<'t>>),
}

/// The same with boxes.
struct BoxNode<'t> {
    kind: BoxKind<'t>,
    next: Option<Box<BoxNode<'t>>>,
}

enum BoxKind<'t> {
    Word(&'t str),
    Group(Option<Box<BoxNode<'t>>>),
}

/// The text in pieces: brackets, and runs of all that is neither bracket nor white.
fn pieces(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    let is_bracket = |letter: char| "()[]{}".contains(letter);
    text.split_whitespace().flat_map(move |word| {
        word.split_inclusive(is_bracket)
            .flat_map(move |part| {
                let (head, tail) = part.split_at(part.trim_end_matches(is_bracket).len());
                [head, tail]
            })
            .filter(|piece| !piece.is_empty())
    })
}

/// Reads backwards, so that each node is made after what it refers to, and never changed.
fn parse<'t>(arena: &'t Arena, text: &'t str) -> Option<&'t Node<'t>> {
    let mut open = Vec::new();
    let mut next = None;
    for piece in pieces(text).rev() {
        let kind = match piece {
            ")" | "]" | "}" => {
                open.push(next.take());
                continue;
            }
            "(" | "[" | "{" => {
                let group = Kind::Group(next);
                next = open.pop().flatten();
                group
            }
            word => Kind::Word(word),
        };
        next = Some(&*arena.alloc(Node { kind, next }));
    }
    next
}

fn parse_boxed(text: &str) -> Option<Box<BoxNode<'_>>> {
    let mut open = Vec::new();
    let mut next = None;
    for piece in pieces(text).rev() {
        let kind = match piece {
            ")" | "]" | "}" => {
                open.push(next.take());
                continue;
            }
            "(" | "[" | "{" => {
                let group = BoxKind::Group(next);
                next = open.pop().flatten();
                group
            }
            word => BoxKind::Word(word),
        };
        next = Some(Box::new(BoxNode { kind, next }));
    }
    next
}

/// The words of a tree, and how deep it is.
fn evaluate(mut list: Option<&Node<'_>>) -> (usize, usize) {
    let (mut words, mut depth) = (0, 0);
    while let Some(node) = list {
        match node.kind {
            Kind::Word(word) => words += word.len().min(1),
            Kind::Group(group) => {
                let inner = evaluate(group);
                (words, depth) = (words + inner.0, depth.max(inner.1 + 1));
            }
        }
        list = node.next;
    }
    (words, depth)
}

fn evaluate_boxed(mut list: Option<&BoxNode<'_>>) -> (usize, usize) {
    let (mut words, mut depth) = (0, 0);
    while let Some(node) = list {
        match &node.kind {
            BoxKind::Word(word) => words += word.len().min(1),
            BoxKind::Group(group) => {
                let inner = evaluate_boxed(group.as_deref());
                (words, depth) = (words + inner.0, depth.max(inner.1 + 1));
            }
        }
        list = node.next.as_deref();
    }
    (words, depth)
}

/// Drops a list without going as deep as it is long.
fn drop_boxed(mut list: Option<Box<BoxNode<'_>>>) {
    while let Some(mut node) = list {
        if let BoxKind::Group(group) = &mut node.kind {
            drop_boxed(group.take());
        }
        list = node.next.take();
    }
}

/// The shortest of several runs.
fn shortest(mut run: impl FnMut()) -> Duration {
    let times = (0..20).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn main() {
    let file = env::args().nth(1);
    let text = file.map_or(include_str!("ast.rs").to_string(), |file| {
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
    });

    let mut found = None;
    let mut arena = Arena::new();
    let in_arena = shortest(|| {
        arena.reset();
        found = Some(evaluate(parse(&arena, &text)));
    });
    let mut found_boxed = None;
    let in_boxes = shortest(|| {
        let tree = parse_boxed(&text);
        found_boxed = Some(evaluate_boxed(tree.as_deref()));
        drop_boxed(tree);
    });

    assert_eq!(found, found_boxed);
    let (words, depth) = found.unwrap_or_default();
    println!("{words} words, brackets {depth} deep, in {} bytes of nodes", arena.bytes_used());
    println!("parsed, evaluated and dropped in an arena: {in_arena:?}, in boxes: {in_boxes:?}");
}
