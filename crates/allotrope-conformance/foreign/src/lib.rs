//! The contract suite on allocators of other people.
//!
//! Here are the adapters that carry foreign allocators to the version of the `Allocator` trait
//! that the suite speaks, and [`judged`], which runs a suite in a child process: what a wrong
//! allocator writes over does not come back. What was found is told in the README of
//! `allotrope-conformance`.

pub mod adapters;
mod child;

pub use child::{Verdict, judged};
