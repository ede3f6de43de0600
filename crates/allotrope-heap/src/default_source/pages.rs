//! Pages of the operating system.

/// What heaps take their memory from unless told otherwise.
pub(crate) type DefaultSource = allotrope_core::OsPages;
