//! The pool as an owner, where there is one.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Owns;
use crate::{Buffer, Hook, Policy, Pool};

// SAFETY: all blocks lie in the buffer, which nobody else has; the pool is not cloned, and threads
// share it by references to it.
unsafe impl<P: Policy, H: Hook> Owns for Pool<Buffer<'_>, P, H> {
    #[inline]
    fn owns(&self, start: NonNull<u8>, _: Layout) -> bool {
        self.source().contains(start)
    }
}
