//! Everything that an ordinary user names: `use allotrope::prelude::*;`.
//!
//! Strategies, sources, sharing, and the heaps made of them; with feature `alloc` the
//! containers, too. Their `Vec` and `Box` then take the place of std's in the
//! module that imports this: write `std::vec::Vec` where std's is meant.

#[doc(no_inline)]
pub use crate::aliases::*;
#[cfg(feature = "alloc")]
#[doc(no_inline)]
pub use crate::containers::*;
#[cfg(feature = "allocator-api2-02")]
#[doc(no_inline)]
pub use allocator_api2::alloc::Allocator;
#[cfg(feature = "allocator-api2-02")]
#[doc(no_inline)]
pub use allotrope_core::{AlignTo, BySize, Fallback, Limit};
#[doc(no_inline)]
pub use allotrope_core::{
    BestFit, Buffer, FixedSize, Local, Locked, ObjectPool, PoolBox, Segregated, Source, Strategy,
};
#[cfg(target_has_atomic = "64")]
#[doc(no_inline)]
pub use allotrope_core::{Pool, SharedObjectPool, SharedStrategy};
#[doc(no_inline)]
pub use allotrope_heap::{HeapRc, LocalHeap};
#[doc(no_inline)]
pub use allotrope_scope::{Arena, Scope, ScopeBox, alloc_fmt};
