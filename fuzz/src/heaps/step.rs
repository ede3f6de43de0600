//! Steps: what is done to a heap.

#![forbid(unsafe_code)]

use std::alloc::Layout;

use allotrope_heap::Strategy;

use crate::input::Input;

/// The most steps of one input: each is followed by a look at all blocks.
const MOST_STEPS: usize = 120;

/// The most blocks of one batch.
const MOST_OF_A_BATCH: usize = 70;

/// Sizes near which a heap changes its ways: classes, pages, routes.
pub const LIMITS: &[usize] = &[
    16,
    64,
    128,
    512,
    1024,
    2048,
    4096,
    8192,
    16 * 1024,
    32 * 1024,
    64 * 1024,
    128 * 1024,
    512 * 1024,
    1 << 20,
];

/// By what a block is asked for: a view that forces a strategy, or the heap itself.
pub type Way = Option<Strategy>;

/// What is done. A block is counted from the newest, modulo what there is.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Step {
    Allocate {
        way: Way,
        layout: Layout,
        is_zeroed: bool,
    },
    Deallocate {
        block: usize,
    },
    Grow {
        block: usize,
        layout: Layout,
        is_zeroed: bool,
    },
    Shrink {
        block: usize,
        layout: Layout,
    },
    /// Several blocks of one layout, by one call.
    Batch {
        layout: Layout,
        blocks: usize,
    },
    /// Frees a block, and all others of its layout that came from the heap itself, by one call.
    DeallocateBatch {
        block: usize,
    },
    Trim,
    Reset,
    Limit(Option<usize>),
    /// Lists the blocks.
    List,
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
        0..10 => {
            let way = way(input);
            Step::Allocate { way, layout: input.layout(LIMITS, largest), is_zeroed: kind < 3 }
        }
        10..19 => Step::Deallocate { block: block(input) },
        19..25 => {
            let block = block(input);
            let layout = input.layout(LIMITS, largest);
            Step::Grow { block, layout, is_zeroed: kind == 24 }
        }
        25..29 => Step::Shrink { block: block(input), layout: input.layout(LIMITS, largest) },
        29..32 => {
            let layout = input.layout(LIMITS, largest.min(5000));
            Step::Batch { layout, blocks: input.below(MOST_OF_A_BATCH) }
        }
        32..34 => Step::DeallocateBatch { block: block(input) },
        34..36 => Step::Trim,
        36 => Step::Reset,
        37 => Step::Limit(Some(64 * input.short()).filter(|limit| limit & 64 == 0)),
        _ => Step::List,
    }
}

fn way(input: &mut Input<'_>) -> Way {
    let ways = [Strategy::Slabs, Strategy::BestFit, Strategy::Extents];
    ways.get(input.below(10)).copied()
}

/// Mostly a new one.
fn block(input: &mut Input<'_>) -> usize {
    usize::from(input.byte().saturating_sub(100))
}
