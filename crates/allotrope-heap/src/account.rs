//! The account: how many bytes a heap holds of its source's memory, and how many it may.
//!
//! ```text
//!          charged when                            credited when
//! pocket   the heap begins                         its region is released
//! tables   their pages get into range              their region is released
//! pages    a run with pages that are clean is      the system has taken back what was
//!          taken, before anybody has it            behind them, or their region is released
//! large    counted by `Large` itself
//! ```
//!
//! There is one figure for the limit, `bytes_held` and the statistics. Pages count while they
//! may be dirty: from before the first use until their memory has gone back. Pages that
//! were never used, and those that were discarded, are addresses only.
//!
//! # Invariants
//!
//! 1. `held` is the sum over the pocket and all regions with tables (`Store::check` counts anew).

#![forbid(unsafe_code)]

use allotrope_core::parts::Large;

use crate::route::PAGE;

/// How much a heap holds, and how much it may.
#[derive(Debug)]
pub(crate) struct Account {
    /// The bytes held, those of large blocks apart.
    held: usize,
    /// The maximum of all bytes held: whole pages, or `usize::MAX` for no limit.
    limit: usize,
}

impl Account {
    /// Nothing is held, and there is no limit.
    pub(crate) const fn new() -> Self {
        Self { held: 0, limit: usize::MAX }
    }

    /// The limit, as it is enforced.
    pub(crate) fn limit(&self) -> Option<usize> {
        Some(self.limit).filter(|&limit| limit != usize::MAX)
    }

    /// Sets the limit, rounded up to whole pages.
    pub(crate) fn set_limit(&mut self, limit: Option<usize>) {
        let limit = limit.and_then(|limit| limit.checked_next_multiple_of(PAGE));
        self.limit = limit.unwrap_or(usize::MAX);
    }

    /// The bytes held, those of large blocks apart.
    #[inline]
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// How many bytes more may be held.
    pub(crate) fn room(&self, large: &Large) -> usize {
        if self.limit == usize::MAX {
            return usize::MAX;
        }
        self.limit.saturating_sub(self.sum(large))
    }

    /// All bytes held.
    fn sum(&self, large: &Large) -> usize {
        self.held.saturating_add(large.bytes_held())
    }

    /// Whether so many bytes more may be held. Not even none may be, if the limit is passed.
    #[inline(always)]
    pub(crate) fn has_room(&self, bytes: usize, large: &Large) -> bool {
        self.limit == usize::MAX || self.fits_limit(bytes, large)
    }

    #[inline(never)]
    fn fits_limit(&self, bytes: usize, large: &Large) -> bool {
        self.sum(large).saturating_add(bytes) <= self.limit
    }

    /// Counts bytes that are held from now on; or refuses to, if they would pass the limit.
    #[inline]
    pub(crate) fn charge(&mut self, bytes: usize, large: &Large) -> bool {
        let may_hold = self.has_room(bytes, large);
        if may_hold {
            self.held += bytes;
        }
        may_hold
    }

    /// Counts bytes as held for which there was [room](Self::has_room).
    #[inline(always)]
    pub(crate) const fn add(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// Counts bytes that are not held any more.
    #[inline]
    pub(crate) const fn credit(&mut self, bytes: usize) {
        self.held -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_pages() {
        let (mut account, large) = (Account::new(), Large::new());
        for (limit, enforced) in [(0, 0), (1, 4096), (512, 4096), (4096, 4096), (4097, 8192)] {
            account.set_limit(Some(limit));
            assert_eq!(account.limit(), Some(enforced));
            assert_eq!(account.room(&large), enforced);
        }
        account.set_limit(Some(usize::MAX - 5));
        assert_eq!(account.limit(), None);
    }

    #[test]
    fn what_would_pass_the_limit_is_not_counted() {
        let (mut account, large) = (Account::new(), Large::new());
        account.set_limit(Some(8192));
        assert!(account.charge(4096, &large) && !account.charge(4097, &large));
        assert!(account.charge(4096, &large) && account.charge(0, &large));
        account.credit(4096);
        assert_eq!((account.held(), account.room(&large)), (4096, 4096));
        account.set_limit(Some(0));
        assert!(!account.has_room(0, &large));
    }
}
