//! Pages of the operating system.

use allotrope_core::{AllocError, OsPages};
use allotrope_sync::facade::const_fn;

use crate::{Arena, ArenaPool, SharedArena, growth};

/// What arenas take their memory from unless told otherwise.
pub(crate) type DefaultSource = OsPages;

impl Arena {
    /// An arena over pages of the operating system; it takes memory on first use.
    pub const fn new() -> Self {
        Self::with_source(OsPages::new())
    }

    /// An arena over pages of the operating system whose first chunk has room for `bytes` bytes of
    /// blocks.
    ///
    /// # Panics
    ///
    /// If there is not so much memory.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::with_capacity_in(bytes, OsPages::new())
    }

    /// As [`with_capacity`](Self::with_capacity).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is not so much memory.
    pub fn try_with_capacity(bytes: usize) -> Result<Self, AllocError> {
        Self::try_with_capacity_in(bytes, OsPages::new())
    }
}

impl SharedArena {
    const_fn! {
        /// An arena over pages of the operating system; it takes memory on first use.
        pub fn new() -> Self {
            Self::with_source(OsPages::new())
        }
    }
}

impl ArenaPool {
    const_fn! {
        /// A pool without an arena yet, whose arenas keep up to 1 MiB while they wait.
        pub fn new() -> Self {
            Self::keeping(growth::CAP)
        }
    }
}
