//! `Pool` on one thread: in a buffer, over an upstream that refuses, and over pages.

#![forbid(unsafe_code)]

use allotrope_core::{OsPages, Pool, Upstream};

use crate::calls::{Calls, Verdict};
use crate::input::Input;
use crate::part::{Alone, Any};
use crate::place::{Room, Tiny};

/// Classes, and sizes of chunks.
const LIMITS: &[usize] = &[16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];

/// Runs the target on `bytes`.
///
/// # Errors
///
/// What is wrong.
pub fn run(bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let place = input.below(8);
    let frees = input.below(20);
    let room = Room::read(&mut input);
    let calls = Calls::new(LIMITS, 10_000);
    match place {
        0..4 => calls.run(input, |upstream| {
            Any::tidied(Alone::new(Pool::new(room.buffer(upstream))), frees)
        }),
        4..7 => calls.run(input, |upstream| {
            let source = Upstream::new(upstream.clone());
            Any::tidied(Alone::new(Pool::<_, Tiny>::with_policy(source)), frees)
        }),
        _ => calls.over_pages().run(input, |_| {
            Any::tidied(Alone::new(Pool::<_, Tiny>::with_policy(OsPages::new())), frees)
        }),
    }
}
