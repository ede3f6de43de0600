//! The push list: things with numbers that are never removed, newest first.
//!
//! Why that is right, and why there is no ABA problem, says [its chapter](crate::chapters::stacks).
//!
//! ```text
//! newest ──▶ 7: │ 2 │──▶ 2: │ 9 │──▶ 9: │ none │
//! ```
//!
//! # Invariants
//!
//! 1. A number is in at most one list over the same links, at most once, and stays.
//! 2. The link of a number in the list never changes.
//!
//! # Orderings
//!
//! A push is `Release`, and a walk begins with an `Acquire`: it sees the links of all that is in
//! the list, and what their pushers did before. Links are `Relaxed`: they are ordered by the start.

use crate::facade::atomic::{AtomicU32, Ordering};
use crate::facade::const_fn;
use crate::tagged_stack::{Links, NO_ID, follow};

/// A list of numbers that only grows.
#[derive(Debug)]
pub struct PushList {
    newest: AtomicU32,
}

impl PushList {
    const_fn! {
        /// An empty list.
        pub fn new() -> Self {
            Self { newest: AtomicU32::new(NO_ID) }
        }
    }

    /// Adds `id`, which is in no list over these links.
    pub fn push(&self, id: u32, links: &impl Links) {
        let link = links.link(id);
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            link.store(newest, Ordering::Relaxed);
            match self.newest.compare_exchange_weak(
                newest,
                id,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(current) => newest = current,
            }
        }
    }

    /// The numbers in it, newest first; those pushed meanwhile are not among them.
    pub fn iter(&self, links: &impl Links) -> impl Iterator<Item = u32> {
        follow(self.newest.load(Ordering::Acquire), links)
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Default for PushList {
    fn default() -> Self {
        Self::new()
    }
}
