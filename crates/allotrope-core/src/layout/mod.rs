//! Layout arithmetic: sizes, granules, bins and bit positions, without a single pointer.
//!
//! Everything here works on plain integers, is `#![forbid(unsafe_code)]`, and is tested over the
//! whole of its domain or at every limit of it.

#![forbid(unsafe_code)]

#[cfg(feature = "allocator-api2-02")]
pub(crate) mod affix;
pub(crate) mod area;
pub(crate) mod bins;
pub(crate) mod cover;
pub(crate) mod granule;
#[cfg(target_has_atomic = "64")]
pub(crate) mod powers;
pub(crate) mod size_class;
pub(crate) mod uniform;
