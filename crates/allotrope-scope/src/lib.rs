//! Memory that is freed together: arenas, and scopes in them.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[cfg(feature = "std")]
extern crate std;

#[cfg(all(
    feature = "std",
    feature = "os-pages",
    any(
        target_os = "linux",
        target_vendor = "apple",
        target_os = "freebsd",
        windows,
        all(target_arch = "wasm32", not(unix))
    )
))]
pub mod ambient;
mod arena;
#[cfg(target_has_atomic = "ptr")]
mod arena_pool;
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
mod places;
#[cfg(doctest)]
mod refused;
mod scope;
mod scope_box;
#[cfg(target_has_atomic = "ptr")]
mod shared;
mod space;
mod values;

pub use arena::Arena;
#[cfg(target_has_atomic = "ptr")]
pub use arena_pool::{ArenaPool, PooledArena};
pub use chunk_use::ChunkUse;
pub use mark::{Mark, MarkError};
pub use scope::{Guard, Scope};
pub use scope_box::ScopeBox;
#[cfg(target_has_atomic = "ptr")]
pub use shared::{LocalArena, SharedArena};
pub use values::InitError;
