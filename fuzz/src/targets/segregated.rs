//! `Segregated` in a buffer of any size and start, over an upstream that refuses, and over pages.

#![forbid(unsafe_code)]

use allotrope_core::{DefaultPolicy, Local, OsPages, Segregated, Upstream};

use crate::calls::{Calls, Verdict};
use crate::input::Input;
use crate::part::Any;
use crate::place::{Room, Tiny};

/// Classes, the largest of both policies, and sizes of chunks.
const LIMITS: &[usize] = &[16, 64, 80, 128, 192, 256, 320, 1024, 4096, 8192, 10_240];

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
    let calls = Calls::new(LIMITS, 40_000);
    match place {
        0..4 => calls.run(input, |upstream| {
            Any::tidied(Local::new(Segregated::new(room.buffer(upstream))), frees)
        }),
        4..6 => calls.run(input, |upstream| {
            let source = Upstream::new(upstream.clone());
            Any::tidied(Local::new(Segregated::<_, Tiny>::with_policy(source)), frees)
        }),
        6 => calls.run(input, |upstream| {
            let source = Upstream::new(upstream.clone());
            Any::tidied(Local::new(Segregated::<_, DefaultPolicy>::with_policy(source)), frees)
        }),
        _ => calls.over_pages().run(input, |_| {
            Any::tidied(Local::new(Segregated::<_, Tiny>::with_policy(OsPages::new())), frees)
        }),
    }
}
