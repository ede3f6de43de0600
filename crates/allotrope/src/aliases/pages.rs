//! Heaps over pages of the operating system.

use allotrope_core::{BestFit, Local, Locked, OsPages, Segregated};

/// Variable sizes in pages of the operating system, for one thread; grows.
pub type PageHeap = Local<BestFit<OsPages>>;

/// Size classes in pages of the operating system, for one thread: fast where memory is not tight.
pub type ClassHeap = Local<Segregated<OsPages>>;

/// Variable sizes in pages of the operating system, for many threads; grows.
pub type SharedPageHeap = Locked<BestFit<OsPages>>;
