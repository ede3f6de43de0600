//! Heaps over another allocator, for many threads.

use allotrope_core::{BestFit, Locked, Upstream};

/// Variable sizes in blocks of another allocator, for many threads; grows.
pub type SharedUpstreamHeap<A> = Locked<BestFit<Upstream<A>>>;
