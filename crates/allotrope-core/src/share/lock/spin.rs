//! The lock of those who name none: a spin lock.

pub(super) use allotrope_sync::SpinLock;

use super::Locked;

impl<S> Locked<S> {
    /// Shares `strategy` behind a spin lock.
    pub const fn new(strategy: S) -> Self {
        Self::with_lock(strategy)
    }
}
