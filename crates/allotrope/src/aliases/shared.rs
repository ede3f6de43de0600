//! Heaps for many threads, behind the lock that needs no operating system.

use allotrope_core::{BestFit, Buffer, Locked};

/// Variable sizes in bytes of the user's own, for many threads.
pub type SharedBufferHeap<'a> = Locked<BestFit<Buffer<'a>>>;
