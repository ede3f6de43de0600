//! Sent: the allocator itself, with all its blocks, goes from thread to thread.

#![forbid(unsafe_code)]

use std::mem;
use std::thread;

use super::actor::{Actor, End};
use super::{failure, finish, lay_over_each_other};
use crate::failure::Failure;
use crate::runner::{Scene, Tally};
use crate::settings::Settings;
use crate::subject::Subject;
use crate::upstream::{Conditions, TestUpstream};

/// Passes a new allocator on.
pub(crate) fn run_sent<S>(
    subject: &S,
    settings: &Settings,
    seed: u64,
) -> Result<Tally, Box<Failure>>
where
    S: Subject,
    for<'u> S::Allocator<'u>: Send,
{
    let upstream = TestUpstream::new(Conditions::default());
    let lent = &upstream;
    let mut allocator = subject.make(lent);
    let mut ends: Vec<End> = Vec::new();
    for nth in 0..settings.threads {
        let carried = ends.last_mut().map(|end| mem::take(&mut end.blocks)).unwrap_or_default();
        let end;
        (allocator, end) = thread::scope(|scope| {
            let stay = scope.spawn(move || {
                let invariants = || Ok(());
                let scene = Scene {
                    allocator: &allocator,
                    invariants: &invariants,
                    upstream: lent,
                    settings,
                };
                let end = Actor::new(scene, seed, nth).act(|actor| {
                    carried.into_iter().try_for_each(|block| actor.adopt(block).map(drop))?;
                    actor.live(settings.steps / 4)
                });
                (allocator, end)
            });
            stay.join().expect("a stay catches what unwinds")
        });
        let is_over = end.result.is_err();
        ends.push(end);
        if is_over {
            break;
        }
    }
    let result = lay_over_each_other(subject, &allocator, &upstream, settings, ends);
    finish(allocator, &upstream, settings, result)
        .map_err(|broken| failure(broken, "sent from thread to thread", settings, seed))
}
