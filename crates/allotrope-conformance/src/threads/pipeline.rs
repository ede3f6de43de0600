//! Pipeline: what one thread allocates another one grows, shrinks and frees.
//!
//! ```text
//!   producer 0 ──▶ bounded channel ──▶ consumer 0
//!   producer 1 ──▶ bounded channel ──▶ consumer 1
//! ```
//!
//! Every block that goes through is freed by a thread that did not allocate it, and the channel is
//! short, so that neither side runs ahead.

#![forbid(unsafe_code)]

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::actor::{Actor, End, Stage};
use crate::promise::Broken;
use crate::shadow::Live;

/// How many blocks a channel holds.
const CAPACITY: usize = 16;
/// How many blocks a consumer keeps.
const KEPT: usize = 64;

pub(super) fn run(stage: Stage<'_>) -> Vec<End> {
    let pairs = (stage.settings.threads / 2).max(1);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for pair in 0..pairs {
            let (sender, receiver) = sync_channel(CAPACITY);
            let produce = move |actor: &mut Actor<'_>| actor.produce(sender);
            let consume = move |actor: &mut Actor<'_>| actor.consume(receiver);
            threads.push(scope.spawn(move || stage.act(2 * pair, produce)));
            threads.push(scope.spawn(move || stage.act(2 * pair + 1, consume)));
        }
        threads.into_iter().map(End::of).collect()
    })
}

impl Actor<'_> {
    /// Sends blocks, and has some of its own between them.
    fn produce(&mut self, sender: SyncSender<Live>) -> Result<(), Broken> {
        for _ in 0..self.runner.settings().steps {
            if self.script.chance(25) {
                self.script.step(&mut self.runner)?;
            }
            let Some(block) = self.make()? else { continue };
            if let Err(unsent) = sender.send(block) {
                // The consumer found something, and will say so.
                self.adopt(unsent.0)?;
                break;
            }
        }
        self.runner.audit()
    }

    /// Changes every block that comes, and keeps few.
    fn consume(&mut self, receiver: Receiver<Live>) -> Result<(), Broken> {
        for block in receiver {
            let block = self.adopt(block)?;
            self.change(&block)?;
            if self.runner.shadow.live().len() > KEPT {
                self.free_any()?;
            }
        }
        self.runner.audit()
    }
}
