//! The tagged stack: things with numbers, last in, first out.
//!
//! Why that is right, and why there is no ABA problem, says [its chapter](crate::chapters::stacks).
//!
//! ```text
//! head │ tag │ 7 │       links, wherever their owner keeps them
//!              └──────▶ 7: │ 2 │──▶ 2: │ 9 │──▶ 9: │ none │
//! ```
//!
//! Treiber's stack (1986) of 32-bit numbers. The links are not the stack's: [`Links`] says where
//! they are, so that a chunk's link lies in its head and never in memory that somebody else uses.
//!
//! # Invariants
//!
//! 1. A number is in at most one stack over the same links, at most once.
//! 2. The link of a number in the stack is the number below it, or none; nobody changes it.
//! 3. The tag grows by one with every pop, and by nothing else.
//!
//! # Orderings
//!
//! - A push is `Release`, and a pop reads the head with `Acquire`, the first time and after it
//!   failed: it sees the link that the push wrote, and all that the pusher did before. All changes
//!   of the head are read-modify-writes, so that a pop synchronizes with every push below it.
//! - A pop is `Release`: who finds the stack empty sees what those did before who emptied it.
//! - Links are `Relaxed`: they are ordered by the head.

use crate::facade::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::facade::const_fn;

/// The number that nothing has.
pub const NO_ID: u32 = u32::MAX;

const ONE_POP: u64 = 1 << 32;

/// Where the links of numbers are.
///
/// # Safety
///
/// The link of a number is always the same word, and that of no other number; nobody but stacks and
/// lists over these links writes to it. So a number that was pushed once is popped once, and
/// `unsafe` code may rely on that.
pub unsafe trait Links {
    /// The link of `id`, which a stack or list has or had.
    fn link(&self, id: u32) -> &AtomicU32;
}

/// A lock-free stack of numbers.
#[derive(Debug)]
pub struct TaggedStack {
    /// How often a number was popped, and the number on top.
    head: AtomicU64,
}

impl TaggedStack {
    const_fn! {
        /// An empty stack.
        pub fn new() -> Self {
            Self { head: AtomicU64::new(NO_ID as u64) }
        }
    }

    /// Puts `id` on top, which is in no stack over these links.
    pub fn push(&self, id: u32, links: &impl Links) {
        let link = links.link(id);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head as u32, Ordering::Relaxed);
            let new = head & !(ONE_POP - 1) | u64::from(id);
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => head = current,
            }
        }
    }

    /// Takes the number on top.
    pub fn pop(&self, links: &impl Links) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let id = head as u32;
            if id == NO_ID {
                return None;
            }
            let below = links.link(id).load(Ordering::Relaxed);
            let tag = (head & !(ONE_POP - 1)).wrapping_add(ONE_POP);
            match self.head.compare_exchange_weak(
                head,
                tag | u64::from(below),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(id),
                Err(current) => head = current,
            }
        }
    }

    /// The numbers in it, from the top, once all that pushed and popped have been waited for. If
    /// somebody does so meanwhile, it may be any numbers, and may not end.
    pub fn iter(&self, links: &impl Links) -> impl Iterator<Item = u32> {
        follow(self.head.load(Ordering::Relaxed) as u32, links)
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Default for TaggedStack {
    fn default() -> Self {
        Self::new()
    }
}

/// The numbers from `first` on.
pub(crate) fn follow(first: u32, links: &impl Links) -> impl Iterator<Item = u32> {
    let mut next = first;
    core::iter::from_fn(move || {
        let id = next;
        if id == NO_ID {
            return None;
        }
        next = links.link(id).load(Ordering::Relaxed);
        Some(id)
    })
}
