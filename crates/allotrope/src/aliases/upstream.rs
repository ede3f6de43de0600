//! Heaps over another allocator.

use allotrope_core::{BestFit, Local, Locked, Upstream};

/// Variable sizes in blocks of another allocator, for one thread; grows.
pub type UpstreamHeap<A> = Local<BestFit<Upstream<A>>>;

/// Variable sizes in blocks of another allocator, for many threads; grows.
pub type SharedUpstreamHeap<A> = Locked<BestFit<Upstream<A>>>;
