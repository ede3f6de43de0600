//! What the threads of allotrope share: locks, lock-free structures, and thread slots.
//!
//! Everything here is written against the [`facade`], so that `loom` explores the structures as
//! they are shipped: `cargo loom` runs the models in `tests/`. The [`chapters`] tell the story.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod budget;
pub mod chapters;
#[doc(hidden)]
pub mod facade;
mod growth;
mod occupancy;
mod push_list;
mod side_table;
pub mod slots;
mod spin;
mod tagged_stack;
mod word;

pub use budget::SharedBudget;
pub use growth::{Growing, Growth};
pub use occupancy::{Occupancy, Summary};
pub use push_list::PushList;
pub use side_table::{SideTable, Taken};
pub use spin::SpinLock;
pub use tagged_stack::{Links, NO_ID, TaggedStack};
pub use word::Word;
