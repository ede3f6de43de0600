//! Heaps that select a strategy: bytes become steps, and a shadow says what each has to do.
//!
//! ```text
//! bytes ──▶ steps ──▶ Walk ─┬─▶ heap, and its views
//!                           └─▶ shadow: blocks, each with the way by which it came
//! ```

pub mod step;
pub mod walk;
