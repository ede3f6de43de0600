//! Another allocator as the source: a heap that frees single blocks, inside a `bumpalo::Bump`,
//! which frees only everything at once.
//!
//! `cargo run --example bump_upstream`

use allotrope::Upstream;
use allotrope::prelude::*;
use bumpalo::Bump;

/// Builds lists, one after the other, each dropped before the next; returns the longest length.
fn build_lists(memory: impl Allocator + Copy) -> usize {
    let lengths = (1..=1000).map(|length| {
        let mut list = Vec::new_in(memory);
        (0..length).for_each(|number| list.push(Box::new_in(number, memory)));
        list.len()
    });
    lengths.max().unwrap_or(0)
}

fn main() {
    // A bump frees its last block; all others stay until the end.
    let bump = Bump::new();
    assert_eq!(build_lists(&bump), 1000);
    let in_bump = bump.allocated_bytes();

    // Best fit in regions that a bump gives out: what is freed is used again.
    let bump = Bump::new();
    let heap = UpstreamHeap::new(BestFit::new(Upstream::new(&bump)));
    assert_eq!(build_lists(&heap), 1000);
    assert_eq!(heap.bytes_used(), 0);
    let in_heap = heap.bytes_held();

    println!("the same lists take {in_bump} bytes in a bump alone,");
    println!("and fit in a heap of {in_heap} bytes over a bump, which now are free again,");
    assert!(in_heap < in_bump / 2);
    println!("{} of them in one block", heap.largest_free_block());
}
