//! The lock of those who name none: a spin lock.

pub(super) use allotrope_sync::SpinLock;

use allotrope_sync::facade::const_fn;
use lock_api::Mutex;

use super::Locked;

impl<S> Locked<S> {
    const_fn! {
        /// Shares `strategy` behind a spin lock.
        pub fn new(strategy: S) -> Self {
            Self::over(Mutex::from_raw(SpinLock::new(), strategy))
        }
    }
}
