//! Hostile corners, each named after the bug of another allocator that taught it.
//!
//! Goal: what breaks allocators where nobody looks: limits, sizes beyond 16 MiB and 4 GiB, memory
//! of a few bytes or none, alignments that change, memory that ends, owners that are forgotten or
//! move away.
//!
//! Method: one test for all kinds of allocators ([`kinds`]), strategies and what is composed of
//! them, over buffers, pages, and an upstream that counts and fails. `corners.rs` has the corners
//! of single strategies; drop order, which the compiler checks, is in the chapter on lifetimes.

mod empty;
mod failing;
mod huge;
mod kinds;
mod limits;
mod memory_ends;
mod owners;
mod resize;
mod shrinks;
mod tiny;
