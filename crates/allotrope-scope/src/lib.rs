//! Memory that is freed together: arenas, and scopes in them.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod arena;
mod blocks;
mod chunk;
mod chunk_use;
mod chunks;
mod default_source;
mod drop_list;
mod format;
mod frontier;
mod growth;
mod mark;
mod methods;
#[cfg(doctest)]
mod refused;
mod scope;
mod scope_box;
mod space;
mod values;

pub use arena::Arena;
pub use chunk_use::ChunkUse;
pub use mark::{Mark, MarkError};
pub use scope::{Guard, Scope};
pub use scope_box::ScopeBox;
pub use values::InitError;
