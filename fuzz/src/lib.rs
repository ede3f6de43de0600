//! Fuzz targets: bytes become calls, and the contract suite's shadow checks each.
//!
//! ```text
//! bytes ──▶ Input ─┬─▶ circumstances: source, buffer, an upstream that fails ──▶ allocator
//!                  └─▶ operations of `allotrope-conformance` ──▶ Suite::replay ──▶ a failure,
//!                                                                                  minimised
//! ```
//!
//! Arenas and heaps can do more than an allocator: `scopes` and `heaps` have steps of their own for
//! them, and shadows.
//!
//! Every input is legal: what has no bytes left reads zeros, and numbers are taken modulo what
//! there is. After each call everything is checked: all blocks, the upstream's guards, and the
//! allocator's invariants.
//!
//! # Adding a target
//!
//! A file in `targets/`, and a line in `targets/mod.rs`. `cargo xtask fuzz NAME` runs it.

pub mod calls;
pub mod heaps;
pub mod input;
pub mod part;
pub mod place;
pub mod scopes;
pub mod shorten;
pub mod targets;

/// The arithmetic of `allotrope-core`, from its source: none of it is public there.
#[allow(dead_code, missing_docs, reason = "its targets use what can be wrong by itself")]
#[path = "../../crates/allotrope-core/src/layout"]
mod layout {
    pub(crate) mod affix;
    pub(crate) mod area;
    pub(crate) mod bins;
    #[cfg(test)]
    pub(crate) mod cover;
    pub(crate) mod granule;
    pub(crate) mod powers;
    pub(crate) mod size_class;
    pub(crate) mod uniform;
}
