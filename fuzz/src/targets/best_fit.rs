//! `BestFit` in a buffer of any size and start, over an upstream that refuses, and over pages.

#![forbid(unsafe_code)]

use allotrope_core::{BestFit, DefaultPolicy, Local, OsPages, Upstream};

use crate::calls::{Calls, Verdict};
use crate::input::Input;
use crate::part::Any;
use crate::place::{Room, Tiny};

/// The last bin of one size, and the sizes of regions.
const LIMITS: &[usize] = &[16, 64, 256, 1008, 1024, 1088, 2048, 4096, 16 * 1024];

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
            Any::tidied(Local::new(BestFit::new(room.buffer(upstream))), frees)
        }),
        4..6 => calls.run(input, |upstream| {
            let source = Upstream::new(upstream.clone());
            Any::tidied(Local::new(BestFit::<_, Tiny>::with_policy(source)), frees)
        }),
        6 => calls.run(input, |upstream| {
            let source = Upstream::new(upstream.clone());
            Any::tidied(Local::new(BestFit::<_, DefaultPolicy>::with_policy(source)), frees)
        }),
        _ => calls.over_pages().run(input, |_| {
            Any::tidied(Local::new(BestFit::<_, Tiny>::with_policy(OsPages::new())), frees)
        }),
    }
}
