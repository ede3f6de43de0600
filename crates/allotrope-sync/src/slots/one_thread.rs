//! Slots where threads cannot be told apart: everybody is the orphan.
//!
//! There are no thread-locals without `std`. Under `loom` there are, but models claim from a
//! [`Registry`](super::Registry) of their own, and those of other structures should not pay for
//! the interleavings of this one.

use super::Slot;

/// The slot of the current thread: always the orphan's.
#[inline]
pub fn current() -> Slot {
    Slot::Orphan
}

/// The number of the current thread's slot, if it has one already: never, and so a number that no
/// slot has.
#[inline(always)]
pub fn known() -> usize {
    usize::MAX
}

/// A small number for the current thread: always 0.
#[inline]
pub fn hint() -> usize {
    0
}
