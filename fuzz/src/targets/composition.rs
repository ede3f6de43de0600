//! Allocators made of allocators, of a shape that the input chooses.
//!
//! ```text
//! owner   = a strategy in a buffer | Fallback<owner, owner> | BySize<owner, owner>
//!         | Limit<owner> | AlignTo<owner> | Affix<owner>
//!         | Fallback<Affix<neighbour>, neighbour>, either the lower one
//! any     = owner | the upstream | a strategy over any owner or over the upstream
//!         | Fallback<owner, any> | Fallback<any, owner, AskSecond> | BySize<any, any>
//!         | Limit<any> | AlignTo<any> | Affix<any> | Null
//! ```
//!
//! Neighbours are strategies in the halves of one buffer: what a part takes for its own wrongly is
//! what lies next to it.

#![forbid(unsafe_code)]

use allotrope_conformance::TestUpstream;
use allotrope_core::{
    Affix, AlignTo, BestFit, Buffer, BySize, Fallback, FixedSize, Limit, Local, Locked, Null, Pool,
    Segregated, Upstream,
};

use crate::calls::{Calls, Verdict};
use crate::input::Input;
use crate::part::{Alone, Any, Owner};
use crate::place::{Room, Tiny};

/// The limits of the parts, and what they add.
const LIMITS: &[usize] = &[8, 16, 64, 100, 128, 256, 1000, 1024, 4096];

/// How deep a shape is at most.
const DEPTH: usize = 4;

/// Runs the target on `bytes`.
///
/// # Errors
///
/// What is wrong.
pub fn run(bytes: &[u8]) -> Verdict {
    // The shape has bytes of its own, so that a change in it leaves the calls as they are.
    let (shape, calls) = bytes.split_at(bytes.len().min(SHAPE));
    let frees = shape.first().map_or(0, |&first| usize::from(first) % 20);
    let shape = Input::new(shape.get(1..).unwrap_or_default());
    Calls::new(LIMITS, 10_000).run(Input::new(calls), |upstream| {
        let mut shape = shape;
        Any::tidied(any(&mut shape, upstream, DEPTH), frees)
    })
}

/// How many bytes say what is composed.
const SHAPE: usize = 32;

/// An allocator of any kind.
fn any<'u>(input: &mut Input<'_>, upstream: &'u TestUpstream, depth: usize) -> Any<'u> {
    let kinds = if depth == 0 { 5 } else { 16 };
    let part = |input: &mut Input<'_>| any(input, upstream, depth - 1);
    let source = || Upstream::new(upstream.clone());
    match input.below(kinds) {
        0 => Any::new(in_buffer(input, upstream)),
        1 => Any::new(upstream.clone()),
        2 => Any::new(Local::new(BestFit::<_, Tiny>::with_policy(source()))),
        3 => Any::new(Local::new(FixedSize::<64, _, Tiny>::with_policy(source()))),
        4 => Any::new(Local::new(Segregated::<_, Tiny>::with_policy(source()))),
        5 => Any::new(Null),
        6 => Any::new(Local::new(BestFit::<_, Tiny>::with_policy(Upstream::new(owner(
            input,
            upstream,
            depth - 1,
        ))))),
        7 => Any::new(owner(input, upstream, depth)),
        8 => Any::new(Limit::new(part(input), input.short())),
        9 => Any::new(AlignTo::<64, _>::new(part(input))),
        10 => Any::new(AlignTo::<256, _>::new(part(input))),
        11 => Any::new(Affix::new(part(input), 7_u64, 5_u8)),
        12 => Any::new(BySize::<64, _, _>::new(part(input), part(input))),
        13 => Any::new(BySize::<1000, _, _>::new(part(input), part(input))),
        14 => Any::new(Fallback::asking_second(part(input), owner(input, upstream, depth - 1))),
        _ => Any::new(Fallback::new(owner(input, upstream, depth - 1), part(input))),
    }
}

/// An allocator that knows its blocks.
fn owner<'u>(input: &mut Input<'_>, upstream: &'u TestUpstream, depth: usize) -> Owner<'u> {
    let kinds = if depth == 0 { 1 } else { 9 };
    let part = |input: &mut Input<'_>| owner(input, upstream, depth - 1);
    match input.below(kinds) {
        0..2 => in_buffer(input, upstream),
        2 => Owner::new(Limit::new(part(input), input.short())),
        3 => Owner::new(AlignTo::<32, _>::new(part(input))),
        4 => Owner::new(Affix::new(part(input), 7_u64, [3_u16; 3])),
        5 => Owner::new(BySize::<100, _, _>::new(part(input), part(input))),
        6 => Owner::new(Fallback::asking_second(part(input), part(input))),
        7 => Owner::new(Fallback::new(part(input), part(input))),
        _ => neighbours(input, upstream),
    }
}

/// Two strategies in one buffer, the first asked with affixes around its blocks.
fn neighbours<'u>(input: &mut Input<'_>, upstream: &'u TestUpstream) -> Owner<'u> {
    let kinds = [input.byte(), input.byte()];
    let is_low_first = input.below(2) == 0;
    let room = Room::read(input);
    let [low, high] = room.halves(upstream, input.short()).map(Buffer::new);
    let (first, second) = if is_low_first { (low, high) } else { (high, low) };
    let first = Affix::new(strategy(kinds[0], first), 7_u64, 3_u8);
    Owner::new(Fallback::new(first, strategy(kinds[1], second)))
}

/// A strategy in a buffer.
fn in_buffer<'u>(input: &mut Input<'_>, upstream: &'u TestUpstream) -> Owner<'u> {
    let kind = input.byte();
    strategy(kind, Room::read(input).buffer(upstream))
}

/// The strategy of this number.
fn strategy(kind: u8, buffer: Buffer<'_>) -> Owner<'_> {
    match kind % 5 {
        0 => Owner::new(Local::new(BestFit::new(buffer))),
        1 => Owner::new(Local::new(FixedSize::<64, _>::new(buffer))),
        2 => Owner::new(Locked::new(BestFit::new(buffer))),
        3 => Owner::new(Alone::new(Pool::new(buffer))),
        _ => Owner::new(Local::new(Segregated::new(buffer))),
    }
}
