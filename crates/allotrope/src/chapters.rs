//! The longer story: a page for each question that one type's documentation cannot answer.

#[doc = include_str!("../docs/bare_metal.md")]
pub mod bare_metal {}

#[doc = include_str!("../docs/compose.md")]
pub mod compose {}

#[doc = include_str!("../docs/heap.md")]
pub mod heap {}

#[doc = include_str!("../docs/lifetimes.md")]
pub mod lifetimes {}

#[doc = include_str!("../docs/scope.md")]
pub mod scope {}
