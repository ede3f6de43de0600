//! Heaps over another allocator.

use allotrope_core::{BestFit, Local, Upstream};

/// Variable sizes in blocks of another allocator, for one thread; grows.
pub type UpstreamHeap<A> = Local<BestFit<Upstream<A>>>;
