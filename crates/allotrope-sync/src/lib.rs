//! What the threads of allotrope share: locks, lock-free structures, and thread slots.
//!
//! Everything here is written against the [`facade`], so that `loom` explores the structures as
//! they are shipped: `cargo loom` runs the models in `tests/`. The [`chapters`] tell the story.
//!
//! What a target's atomics cannot do is absent there: all but [`SideTable`] needs compare-and-swap,
//! and [`Occupancy`], [`PushList`], [`TaggedStack`] and [`Word`] need it for 64 bits. Without any, a
//! `SideTable` is for one thread.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

#[cfg(target_has_atomic = "ptr")]
mod budget;
#[cfg(target_has_atomic = "64")]
pub mod chapters;
#[doc(hidden)]
pub mod facade;
#[doc(hidden)]
pub mod fatal;
#[cfg(target_has_atomic = "ptr")]
mod growth;
#[doc(hidden)]
pub mod inside;
#[cfg(target_has_atomic = "ptr")]
mod kept;
#[cfg(target_has_atomic = "64")]
mod occupancy;
#[cfg(target_has_atomic = "64")]
mod push_list;
#[cfg(target_has_atomic = "ptr")]
mod runs;
#[cfg(target_has_atomic = "ptr")]
mod segments;
mod side_table;
#[cfg(target_has_atomic = "ptr")]
pub mod slots;
#[cfg(target_has_atomic = "ptr")]
mod spin;
#[cfg(target_has_atomic = "64")]
mod tagged_stack;
#[cfg(target_has_atomic = "64")]
mod word;

#[cfg(target_has_atomic = "ptr")]
pub use budget::SharedBudget;
#[cfg(target_has_atomic = "ptr")]
pub use growth::{Growing, Growth};
#[cfg(target_has_atomic = "ptr")]
pub use kept::Kept;
#[cfg(target_has_atomic = "64")]
pub use occupancy::{Occupancy, Summary};
#[cfg(target_has_atomic = "64")]
pub use push_list::PushList;
#[cfg(target_has_atomic = "ptr")]
pub use runs::Runs;
#[cfg(target_has_atomic = "ptr")]
pub use segments::{Run, Segments};
pub use side_table::{SideTable, Taken};
#[cfg(target_has_atomic = "ptr")]
pub use spin::SpinLock;
#[cfg(target_has_atomic = "64")]
pub use tagged_stack::{Links, NO_ID, TaggedStack};
#[cfg(target_has_atomic = "64")]
pub use word::Word;
