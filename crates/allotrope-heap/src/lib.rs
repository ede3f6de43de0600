//! Heaps: an allocator for blocks of all sizes, that selects a strategy by the layout.
//!
//! ```text
//!            ┌─▶ small    a size class: slabs of uniform blocks  ─┐
//! layout ────┼─▶ medium   best fit over pages                    ─┼─▶ pages of the heap's regions ─▶ source
//!            └─▶ large    an extent of its own                   ─┴───────────────────────────────▶ source
//! ```
//!
//! [`LocalHeap`] is the heap of one thread; [`HeapRc`] a cheap handle to one that goes with its last
//! handle. [`route`] says what serves which layout.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod account;
mod blocks;
mod class;
mod default_source;
mod engine;
mod entries;
mod explain;
mod finder;
mod heap_rc;
mod local_heap;
mod locked;
mod pages;
mod pocket;
#[cfg(doctest)]
mod refused;
mod route;
mod slab;
mod stats;
mod store;
mod strategy;
mod view;

pub use blocks::Block;
pub use explain::Explanation;
pub use heap_rc::HeapRc;
pub use local_heap::LocalHeap;
pub use locked::LockedHeap;
pub use route::{Route, Strategy, route};
pub use stats::{ClassStats, HeapStats};
pub use view::View;
