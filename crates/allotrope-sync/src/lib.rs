//! What the threads of allotrope share: locks, lock-free structures, and thread slots.
//!
//! Everything here is written against the [`facade`], so that `loom` explores the structures as
//! they are shipped: `cargo loom` runs the models in `tests/`. The [`chapters`] tell the story.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod chapters;
#[doc(hidden)]
pub mod facade;
mod side_table;
pub mod slots;
mod spin;

pub use side_table::{SideTable, Taken};
pub use spin::SpinLock;
