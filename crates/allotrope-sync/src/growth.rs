//! Growth: is somebody just adding memory?
//!
//! Why that is right, and why there is no ABA problem, says [its chapter](crate::chapters::growth).
//!
//! ```text
//! thread A   begin ── takes the last piece ── makes it ready ── publishes it ── end
//! thread B               no piece is left ── is somebody adding? wait ────────▶ look again
//! ```
//!
//! A call that finds nothing, neither free blocks nor memory to make some of, must not fail while
//! another call has memory in its hands that nobody can see yet. It asks here.
//!
//! # Invariants
//!
//! The count is how many [`Growing`]s there are.
//!
//! # Orderings
//!
//! To begin is `Relaxed`, with a `Release` fence behind it; the question has an `Acquire` fence before
//! it. So who finds a piece gone, by whatever atomic and ordering, sees that this began. To end is
//! `Release`, and the question `Acquire`: who sees that it has ended sees what was published.

use crate::facade::atomic::{AtomicUsize, Ordering, fence};
use crate::facade::const_fn;

/// How many are adding memory.
#[derive(Debug)]
pub struct Growth {
    under_way: AtomicUsize,
}

impl Growth {
    const_fn! {
        /// Nobody is.
        pub fn new() -> Self {
            Self { under_way: AtomicUsize::new(0) }
        }
    }

    /// Begins; it ends when the result is dropped.
    pub fn begin(&self) -> Growing<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::Release);
        Growing(self)
    }

    /// Is anyone adding memory?
    pub fn is_under_way(&self) -> bool {
        fence(Ordering::Acquire);
        self.under_way.load(Ordering::Acquire) > 0
    }
}

impl Default for Growth {
    fn default() -> Self {
        Self::new()
    }
}

/// Somebody who adds memory.
#[derive(Debug)]
#[must_use = "it ends when this is dropped"]
pub struct Growing<'a>(&'a Growth);

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}
