//! No operating system that we know.

/// What heaps take their memory from unless told otherwise.
pub(crate) type DefaultSource = allotrope_core::Buffer<'static>;
