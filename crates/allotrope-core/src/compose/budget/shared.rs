//! The budget that threads share, where the target's atomics can count it.

use allotrope_sync::SharedBudget;
use allotrope_sync::facade::const_fn;

use super::{Budget, forward, sealed};
use crate::compose::Limit;

forward!([] SharedBudget, SharedBudget);

impl<A> Limit<A, SharedBudget> {
    const_fn! {
        /// At most `bytes` of `allocator`, for any number of threads.
        pub fn shared(allocator: A, bytes: usize) -> Self {
            Self::with_budget(allocator, SharedBudget::new(bytes))
        }
    }
}
