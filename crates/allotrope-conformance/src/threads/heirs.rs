//! Heirs: threads end while they still have blocks, and those that come later inherit them.
//!
//! ```text
//!   thread 0 ───────▶ ended ─┐ blocks          time ──▶
//!   thread 1 ───────────▶ ended ─┐ blocks
//!   thread 2 ─────────────▶ ended│ …
//!            thread 3 ◀──────┘───────▶ ended
//!                thread 4 ◀──────┘───────▶ ended
//! ```
//!
//! A thread starts as soon as the oldest has ended, so that births and deaths fall into the lives
//! of others. Each inherits the blocks of one other, frees or changes half of them, and then calls
//! at random: with few long lives, or with thousands of lives of a few calls each.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::thread;

use super::actor::{Actor, End, Stage};
use crate::promise::Broken;
use crate::shadow::Live;

/// How many calls a short life has.
const SHORT: usize = 8;
/// How many long lives follow each other.
const GENERATIONS: usize = 8;

pub(super) fn run_long(stage: Stage<'_>) -> Vec<End> {
    run(stage, GENERATIONS * stage.settings.threads, stage.settings.steps / GENERATIONS)
}

pub(super) fn run_short(stage: Stage<'_>) -> Vec<End> {
    run(stage, stage.settings.short_lives, SHORT)
}

fn run(stage: Stage<'_>, lives: usize, calls: usize) -> Vec<End> {
    thread::scope(|scope| {
        let mut alive = VecDeque::new();
        let mut ends = Vec::new();
        for nth in 0..lives {
            let mut estate = Vec::new();
            if alive.len() >= stage.settings.threads
                && let Some(oldest) = alive.pop_front()
            {
                let mut end = End::of(oldest);
                if end.result.is_ok() {
                    estate = mem::take(&mut end.blocks);
                }
                ends.push(end);
            }
            let life = move |actor: &mut Actor<'_>| actor.inherit(estate, calls);
            alive.push_back(scope.spawn(move || stage.act(nth, life)));
        }
        ends.extend(alive.into_iter().map(End::of));
        ends
    })
}

impl Actor<'_> {
    fn inherit(&mut self, estate: Vec<Live>, calls: usize) -> Result<(), Broken> {
        for block in estate {
            let block = self.adopt(block)?;
            if self.script.chance(50) {
                self.change(&block)?;
            }
        }
        self.live(calls)
    }
}
