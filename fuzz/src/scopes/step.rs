//! Steps: what is done to an arena, or to the innermost scope.

#![forbid(unsafe_code)]

use std::alloc::Layout;

use crate::input::Input;

/// The most steps of one input: each is followed by a look at all blocks.
const MOST_STEPS: usize = 200;

/// Sizes near which an arena changes its ways: blocks that may get a chunk of their own, chunks.
const LIMITS: &[usize] = &[8, 64, 512, 2048, 4096, 8192, 16 * 1024, 64 * 1024];

/// A block, counted from the newest of a level, which is counted from the innermost; modulo what
/// there is.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// How many levels further out.
    pub level: usize,
    /// How many blocks older.
    pub block: usize,
}

/// How a guard goes.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// It is dropped.
    Drop,
    /// It is forgotten.
    Forget,
    /// The stack unwinds from inside its scope.
    Unwind,
}

/// What is done. Steps that only an arena can make do nothing in a scope.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Step {
    Allocate {
        layout: Layout,
        is_zeroed: bool,
    },
    Deallocate {
        which: Which,
    },
    Grow {
        which: Which,
        layout: Layout,
        is_zeroed: bool,
    },
    Shrink {
        which: Which,
        layout: Layout,
    },
    /// A value of one of some kinds, that needs no drop.
    Value {
        kind: u8,
        size: usize,
    },
    /// A value that tells when it is dropped, and perhaps panics then.
    Keep {
        panics: bool,
        is_large: bool,
    },
    /// A value that is not made in the end: an error or a panic, after a mark, a kept value and a
    /// block were made meanwhile.
    Fail {
        kind: u8,
        marks: bool,
        keeps: bool,
        layout: Option<Layout>,
    },
    Begin,
    /// Ends the innermost mark if `mark` is 0, else tries to end another.
    End {
        mark: usize,
    },
    Enter,
    Leave(Ending),
    Reset,
    ShrinkTo(usize),
    ChunkCap(usize),
    Limit(Option<usize>),
    /// Walks the chunks, and allocates meanwhile.
    List {
        layout: Layout,
    },
}

/// Reads steps until there are no more bytes. No block is larger than `largest` bytes.
pub fn read(input: &mut Input<'_>, largest: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < MOST_STEPS {
        steps.push(step(input, largest));
    }
    steps
}

fn step(input: &mut Input<'_>, largest: usize) -> Step {
    let kind = input.below(40);
    match kind {
        0..6 => Step::Allocate { layout: input.layout(LIMITS, largest), is_zeroed: kind == 0 },
        6..9 => Step::Deallocate { which: which(input) },
        9..13 => {
            let layout = input.layout(LIMITS, largest);
            Step::Grow { which: which(input), layout, is_zeroed: kind == 12 }
        }
        13..15 => Step::Shrink { which: which(input), layout: input.layout(LIMITS, largest) },
        15..18 => {
            // Of a size that there is, since the shadow has to make it, too.
            let size = input.size(LIMITS, largest).min(largest);
            Step::Value { kind: input.byte(), size }
        }
        18..21 => Step::Keep { panics: kind == 20, is_large: input.byte() & 1 == 1 },
        21..23 => {
            let (kind, inside) = (input.byte(), input.byte());
            let layout = (inside & 4 == 4).then(|| input.layout(LIMITS, largest));
            Step::Fail { kind, marks: inside & 1 == 1, keeps: inside & 2 == 2, layout }
        }
        23..25 => Step::Begin,
        25 | 26 => Step::End { mark: 0 },
        27 => Step::End { mark: input.below(8) },
        28..31 => Step::Enter,
        31 => Step::Leave(Ending::Drop),
        32 => Step::Leave(input.pick(&[Ending::Drop, Ending::Forget, Ending::Unwind])),
        33 => Step::Reset,
        34 | 35 => Step::ShrinkTo(input.pick(&[0, 0, 1000, 5000, 70_000])),
        36 => Step::ChunkCap(input.pick(&[0, 100, 400, 4096, 1 << 20, usize::MAX])),
        37 => Step::Limit(Some(8 * input.short()).filter(|limit| limit & 8 == 0)),
        _ => Step::List { layout: input.layout(LIMITS, largest) },
    }
}

fn which(input: &mut Input<'_>) -> Which {
    let level = usize::from(input.byte().saturating_sub(150));
    Which { level, block: usize::from(input.byte().saturating_sub(100)) }
}
