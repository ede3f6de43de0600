//! Exchange: every thread calls at random, and blocks change hands through one mailbox.
//!
//! ```text
//!   thread 0 ──┐  allocate, grow, shrink, free      ┌── thread 2
//!              ├──▶ mailbox of live blocks ─────────┤
//!   thread 1 ──┘                                    └── thread 3
//! ```

#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::actor::{Actor, End, Stage};
use crate::promise::Broken;
use crate::shadow::Live;

pub(super) fn run(stage: Stage<'_>) -> Vec<End> {
    let mailbox = Mutex::new(Vec::new());
    let mut ends: Vec<End> = thread::scope(|scope| {
        let mailbox = &mailbox;
        let live = move |actor: &mut Actor<'_>| {
            for _ in 0..stage.settings.steps {
                actor.live_a_step(mailbox)?;
            }
            actor.runner.audit()
        };
        let threads: Vec<_> = (0..stage.settings.threads)
            .map(|nth| scope.spawn(move || stage.act(nth, live)))
            .collect();
        threads.into_iter().map(End::of).collect()
    });
    ends.push(End::with(mailbox.into_inner().unwrap_or_default()));
    ends
}

impl Actor<'_> {
    fn live_a_step(&mut self, mailbox: &Mutex<Vec<Live>>) -> Result<(), Broken> {
        self.script.step(&mut self.runner)?;
        if !self.script.chance(10) {
            return Ok(());
        }
        let mut blocks = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        if self.script.chance(50) {
            blocks.extend(self.give());
        } else if !blocks.is_empty() {
            let block = blocks.swap_remove(0);
            drop(blocks);
            self.adopt(block)?;
        }
        Ok(())
    }
}
