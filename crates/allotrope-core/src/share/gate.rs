//! The gate: notices when a source calls the allocator that it supplies.
//!
//! An allocator of one thread has its strategy borrowed while its source works. A source that came
//! back then would borrow the strategy twice. Most sources promise not to ([`Source`]'s contract);
//! one over foreign code cannot: [`Source::MAY_REENTER`] says so, and only then does the gate cost
//! anything.
//!
//! [`Source`]: crate::Source
//! [`Source::MAY_REENTER`]: crate::Source::MAY_REENTER

use core::cell::Cell;

use allotrope_sync::fatal;

/// Lets one call in at a time, where that is not certain anyway.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_taken: Cell<bool>,
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self { is_taken: Cell::new(false) }
    }

    /// Goes in until the result is dropped. Aborts the program if another call is inside.
    #[inline(always)]
    pub(super) fn enter(&self, may_reenter: bool) -> Option<Inside<'_>> {
        if !may_reenter {
            return None;
        }
        if self.is_taken.replace(true) {
            // There is no way out: to return would be to use a strategy in the middle of its work.
            fatal::abort("an upstream called the allocator that it supplies");
        }
        Some(Inside(self))
    }
}

/// A call that is inside of a [`Gate`].
pub(super) struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.is_taken.set(false);
    }
}
