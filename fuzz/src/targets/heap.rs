//! `LocalHeap` in a buffer of any size and start, over an upstream that refuses, and over pages: by
//! itself, by its views, in batches, reset and trimmed.

#![forbid(unsafe_code)]

use std::env;

use allotrope_conformance::{Conditions, TestUpstream};
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_heap::{LocalHeap, Strategy};

use crate::calls::{Calls, Verdict, conditions};
use crate::heaps::step::{self, LIMITS, Step};
use crate::heaps::walk::Walk;
use crate::input::Input;
use crate::part::{Any, Viewed};
use crate::place::Room;
use crate::shorten::shorten;

/// Where a heap has its memory from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Buffer(Room),
    Upstream,
    Pages,
}

/// What a heap is made of.
#[derive(Clone, Copy, Debug)]
struct Setting {
    place: Place,
    conditions: Conditions,
}

/// Runs the target on `bytes`.
///
/// # Errors
///
/// What is wrong, and the calls or steps that lead there.
pub fn run(bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let place = input.below(8);
    let way = input.below(16);
    let room = Room::read(&mut input);
    let (place, largest) = match place {
        0..3 => (Place::Buffer(room), 40_000),
        3..6 => (Place::Upstream, 150_000),
        _ => (Place::Pages, 1_300_000),
    };
    if way < 8 {
        return by_steps(input, place, largest);
    }
    let frees = input.below(20);
    let calls = Calls::new(LIMITS, largest);
    let strategy = [Strategy::Slabs, Strategy::BestFit, Strategy::Extents].get(way - 8).copied();
    match place {
        Place::Buffer(room) => {
            calls.run(input, |upstream| any(room.buffer(upstream), strategy, frees))
        }
        Place::Upstream => {
            calls.run(input, |upstream| any(Upstream::new(upstream.clone()), strategy, frees))
        }
        Place::Pages => calls.over_pages().run(input, |_| any(OsPages::new(), strategy, frees)),
    }
}

/// A heap, or a view of it, as the contract suite takes it.
fn any<'u, S: Source + 'u>(source: S, strategy: Option<Strategy>, frees: usize) -> Any<'u> {
    let heap = LocalHeap::new(source);
    match strategy {
        None => Any::tidied(heap, frees),
        Some(strategy) => Any::tidied(Viewed::new(heap, strategy), frees),
    }
}

fn by_steps(mut input: Input<'_>, place: Place, largest: usize) -> Verdict {
    let setting = Setting { place, conditions: conditions(&mut input) };
    let mut steps = step::read(&mut input, largest);
    let is_traced = env::var_os("ALLOTROPE_FUZZ_TRACE").is_some();
    let Err(wrong) = setting.make(&steps, is_traced) else { return Ok(()) };
    let wrong = shorten(&mut steps, |fewer| setting.make(fewer, false)).unwrap_or(wrong);
    let steps: String = steps.iter().map(|step| format!("\n  {step:?}")).collect();
    Err(format!("{wrong}\n{setting:?}{steps}"))
}

impl Setting {
    /// Makes a heap, and the steps with it.
    fn make(self, steps: &[Step], is_traced: bool) -> Verdict {
        let upstream = TestUpstream::alone(self.conditions);
        match self.place {
            Place::Buffer(room) => walk(room.buffer(&upstream), steps, is_traced)?,
            Place::Upstream => walk(Upstream::new(upstream.clone()), steps, is_traced)?,
            Place::Pages => walk(OsPages::new(), steps, is_traced)?,
        }
        upstream.check()?;
        match upstream.bytes_lent() {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes were not given back")),
        }
    }
}

fn walk<S: Source>(source: S, steps: &[Step], is_traced: bool) -> Verdict {
    Walk::new(LocalHeap::new(source)).run(steps, is_traced)
}
