//! The one error of an allocator: the request cannot be met.

use core::fmt;

/// The request cannot be met: memory is exhausted, or the layout is one that this allocator does
/// not serve.
///
/// The allocator is as it was before the call, and so are all blocks that it has given out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AllocError;

impl fmt::Display for AllocError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("memory allocation failed")
    }
}

impl core::error::Error for AllocError {}
