//! A real use: parse an arithmetic expression to nodes in the arena, walk them.
//!
//! # Invariants
//!
//! 1. The pointers in a node are to nodes made earlier in the same arena, which is cleared only
//!    when the tree was walked; those in a name are into the text.

use std::hint::black_box;

use bench_kit::count::{Meter, Sample};

use crate::contestants::ArenaOf;

/// Nodes point at each other by raw pointers so that one type serves all arenas.
pub enum Expr {
    Num(u64),
    Name(*const u8, u32),
    Neg(*const Expr),
    Bin(u8, *const Expr, *const Expr),
    Call(*const Expr, *const Expr),
    Args(*const Expr, *const Expr),
    End,
}

struct Parser<'a, A> {
    text: &'a [u8],
    at: usize,
    nodes: usize,
    arena: &'a A,
}

impl<A: ArenaOf<Expr>> Parser<'_, A> {
    #[inline(always)]
    fn node(&mut self, e: Expr) -> *const Expr {
        self.nodes += 1;
        self.arena.put(e)
    }

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn level(&mut self, ops: [u8; 2], product: bool) -> *const Expr {
        let mut left = if product { self.atom() } else { self.level([b'*', b'/'], true) };
        while ops.contains(&self.peek()) {
            let op = self.peek();
            self.at += 1;
            let right = if product { self.atom() } else { self.level([b'*', b'/'], true) };
            left = self.node(Expr::Bin(op, left, right));
        }
        left
    }

    fn sum(&mut self) -> *const Expr {
        self.level([b'+', b'-'], false)
    }

    fn atom(&mut self) -> *const Expr {
        match self.peek() {
            b'0'..=b'9' => {
                let mut n = 0;
                while self.peek().is_ascii_digit() {
                    n = n * 10 + (self.peek() - b'0') as u64;
                    self.at += 1;
                }
                self.node(Expr::Num(n))
            }
            b'-' => {
                self.at += 1;
                let e = self.atom();
                self.node(Expr::Neg(e))
            }
            b'(' => {
                self.at += 1;
                let e = self.sum();
                assert_eq!(self.peek(), b')');
                self.at += 1;
                e
            }
            _ => self.name_or_call(),
        }
    }

    fn name_or_call(&mut self) -> *const Expr {
        let from = self.at;
        while self.peek().is_ascii_alphanumeric() {
            self.at += 1;
        }
        assert!(self.at > from, "a name at {from}");
        let name = self.node(Expr::Name(&self.text[from], (self.at - from) as u32));
        if self.peek() != b'(' {
            return name;
        }
        let mut list = self.node(Expr::End);
        loop {
            self.at += 1;
            let e = self.sum();
            list = self.node(Expr::Args(e, list));
            if self.peek() != b',' {
                break;
            }
        }
        assert_eq!(self.peek(), b')');
        self.at += 1;
        self.node(Expr::Call(name, list))
    }
}

/// Some value of the tree that depends on every node.
///
/// # Safety
///
/// Invariant 1 holds for the node, and its arena was not cleared.
unsafe fn value(e: *const Expr) -> u64 {
    // SAFETY: the caller promises it of this node, and so of the nodes it points to.
    let value = |e: *const Expr| unsafe { value(e) };
    // SAFETY: the caller promises a node that is there.
    match unsafe { &*e } {
        Expr::Num(n) => *n,
        // SAFETY: the caller promises a name in the text.
        Expr::Name(start, len) => (unsafe { **start } as u64) << (len & 31),
        Expr::Neg(e) => value(*e).wrapping_neg(),
        Expr::Bin(op, a, b) => {
            let (a, b) = (value(*a), value(*b));
            match op {
                b'+' => a.wrapping_add(b),
                b'-' => a.wrapping_sub(b),
                b'*' => a.wrapping_mul(b),
                _ => a ^ b,
            }
        }
        Expr::Call(name, args) => value(*name).rotate_left(5) ^ value(*args),
        Expr::Args(e, rest) => value(*e).wrapping_mul(31).wrapping_add(value(*rest)),
        Expr::End => 1,
    }
}

/// Parses and walks the text `turns` times; an operation is a node.
pub fn build<A: ArenaOf<Expr>>(meter: &Meter, turns: usize, text: &str) -> (usize, Sample) {
    let mut arena = A::make();
    black_box(&arena);
    let mut turn = || {
        let mut p = Parser { text: text.as_bytes(), at: 0, nodes: 0, arena: &arena };
        let root = p.sum();
        assert_eq!(p.at, text.len());
        let nodes = p.nodes;
        // SAFETY: the parser made the tree in this arena just now.
        black_box(unsafe { value(root) });
        arena.clear();
        nodes
    };
    turn();
    meter.measure(|| (0..turns).map(|_| turn()).sum())
}
