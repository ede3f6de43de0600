//! What the compiler refuses, beside twins that it accepts. Only doctests compile this.
//!
//! # A policy that contradicts itself
//!
//! ```
//! # use allotrope_core::{NoHook, OsPages, Policy};
//! # use allotrope_heap::LocalHeap;
//! struct Even;
//! impl Policy for Even {
//!     const CHUNK_SIZE: usize = 4096;
//! }
//! LocalHeap::<_, Even>::with_policy(OsPages::new());
//! LocalHeap::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::{NoHook, OsPages, Policy};
//! # use allotrope_heap::LocalHeap;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; }
//! LocalHeap::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::{NoHook, OsPages, Policy};
//! # use allotrope_heap::LocalHeap;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; }
//! LocalHeap::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
