//! `Arena` in a buffer of any size and start, over an upstream that refuses, and over pages: scopes that
//! nest and marks, values and blocks, failures and panics.

#![forbid(unsafe_code)]

use std::env;

use allotrope_conformance::{Conditions, TestUpstream};
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_scope::Arena;

use crate::calls::{Verdict, conditions};
use crate::input::Input;
use crate::place::Room;
use crate::scopes::step::{self, Step};
use crate::scopes::walk::Walk;
use crate::shorten::shorten;

/// Where an arena has its memory from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Buffer(Room),
    Upstream,
    Pages,
}

/// What an arena is made of, and how much room it has from the start.
#[derive(Clone, Copy, Debug)]
struct Setting {
    place: Place,
    capacity: usize,
    conditions: Conditions,
}

/// Runs the target on `bytes`.
///
/// # Errors
///
/// What is wrong, and the steps that lead there.
pub fn run(bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let place = input.below(8);
    let room = Room::read(&mut input);
    let (place, largest) = match place {
        0..2 => (Place::Buffer(room), 5000),
        2..6 => (Place::Upstream, 20_000),
        _ => (Place::Pages, 150_000),
    };
    let capacity = input.pick(&[0, 0, 0, 1, 600, 5000]);
    let setting = Setting { place, capacity, conditions: conditions(&mut input) };
    let mut steps = step::read(&mut input, largest);
    let is_traced = env::var_os("ALLOTROPE_FUZZ_TRACE").is_some();
    let Err(wrong) = setting.make(&steps, is_traced) else { return Ok(()) };
    let wrong = shorten(&mut steps, |fewer| setting.make(fewer, false)).unwrap_or(wrong);
    let steps: String = steps.iter().map(|step| format!("\n  {step:?}")).collect();
    Err(format!("{wrong}\n{setting:?}{steps}"))
}

impl Setting {
    /// Makes an arena, and the steps with it.
    fn make(self, steps: &[Step], is_traced: bool) -> Verdict {
        let upstream = TestUpstream::alone(self.conditions);
        match self.place {
            Place::Buffer(room) => self.walk(room.buffer(&upstream), Some(1), steps, is_traced)?,
            Place::Upstream => {
                let unit = (self.conditions.excess == 0).then_some(1);
                self.walk(Upstream::new(upstream.clone()), unit, steps, is_traced)?;
            }
            Place::Pages => {
                let unit = OsPages::page_size().max(OsPages::REGION_ALIGN);
                self.walk(OsPages::new(), Some(unit), steps, is_traced)?;
            }
        }
        upstream.check()?;
        match upstream.bytes_lent() {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes were not given back")),
        }
    }

    fn walk<S: Source>(
        self,
        source: S,
        unit: Option<usize>,
        steps: &[Step],
        is_traced: bool,
    ) -> Verdict {
        let arena = match self.capacity {
            0 => Ok(Arena::with_source(source)),
            bytes => Arena::try_with_capacity_in(bytes, source),
        };
        arena.map_or(Ok(()), |arena| Walk::new(steps, is_traced).run(arena, unit))
    }
}
