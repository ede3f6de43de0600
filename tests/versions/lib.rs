//! One allocator value as the home of containers that each speak their own version of the
//! `Allocator` trait, all at the same time.
//!
//! ```text
//!              ┌─▶ hashbrown's HashMap, allocator-api2 0.2's Vec
//! one value ───┼─▶ allocator-api2 0.3's Vec
//!              ├─▶ allocator-api2 0.4's Vec
//!              └─▶ std's Vec, BTreeMap, Box, Arc    (feature `nightly`)
//! ```
#![cfg_attr(feature = "nightly", feature(allocator_api, btreemap_alloc))]

#[cfg_attr(not(feature = "nightly"), path = "stable.rs")]
#[cfg_attr(feature = "nightly", path = "nightly.rs")]
mod compiler;
mod crates;

pub use compiler::{Chain, EveryVersion, chain, inside};

/// How many steps each guest makes.
pub const STEPS: u64 = 2000;

/// A container and what it holds, in memory of the allocator under test.
pub trait Guest {
    /// Step number `n`: something is put in, or grows, or shrinks, or goes.
    fn step(&mut self, n: u64);

    /// Asserts that it holds what [`STEPS`] steps have put in.
    fn check(&self);
}

/// Has guests of every version live in `memory` together, step by step, and go.
pub fn lodge<A: EveryVersion>(memory: &A) {
    let mut guests = crates::guests(memory);
    guests.extend(compiler::guests(memory));
    for n in 0..STEPS {
        for guest in &mut guests {
            guest.step(n);
        }
    }
    for guest in &guests {
        guest.check();
    }
    // Out of order, so that neighbours remain.
    while !guests.is_empty() {
        drop(guests.swap_remove(guests.len() / 2));
        for guest in &guests {
            guest.check();
        }
    }
}
