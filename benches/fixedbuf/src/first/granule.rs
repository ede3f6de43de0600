//! Granules: the unit in which best fit measures memory.
//!
//! A block of best fit is a whole number of granules of 16 bytes. Its *extent* is the size of the
//! request rounded up to one, whatever the alignment: a stricter alignment is met by carving the
//! block out of a larger free block, never by making the block itself larger. So the extent is a
//! pure function of the layout, it grows with the size, and the extent of an extent is itself:
//! what *fits* needs.
//!
//! Granules are counted in 32 bits, which reaches 64 GiB in one region.

#![forbid(unsafe_code)]

/// The size in bytes of a granule, and the alignment that every block has.
pub(super) const GRANULE_SIZE: usize = 1 << GRANULE_SHIFT;

pub(super) const GRANULE_SHIFT: u32 = 4;

/// The most granules that a region has. Not all of `u32`: one value means "no block", and
/// positions of bits lie up to two above the granule's.
pub(super) const MAX_GRANULES: u32 = u32::MAX - 2;

/// The most bytes that a block has.
pub(super) const MAX_BLOCK: usize = {
    let bytes = (MAX_GRANULES as u64) << GRANULE_SHIFT;
    let addressable = isize::MAX as u64 & !(GRANULE_SIZE as u64 - 1);
    if bytes < addressable { bytes as usize } else { addressable as usize }
};

/// How many granules a request of `size` bytes needs; `None` if it is zero, or larger than any
/// region.
#[inline(always)]
pub(super) const fn granules_for(size: usize) -> Option<u32> {
    // One comparison for both limits: zero wraps around.
    if size.wrapping_sub(1) >= MAX_BLOCK {
        return None;
    }
    Some(((size + (GRANULE_SIZE - 1)) >> GRANULE_SHIFT) as u32)
}

/// The alignment in granules: 1 for everything that each granule has anyway; `None` if it is
/// larger than any region.
#[inline(always)]
pub(super) const fn granules_of_align(align: usize) -> Option<u32> {
    if align <= GRANULE_SIZE {
        return Some(1);
    }
    let granules = align >> GRANULE_SHIFT;
    if granules > (MAX_GRANULES / 2) as usize { None } else { Some(granules as u32) }
}

/// The size in bytes of `granules`.
#[inline(always)]
pub(super) const fn bytes_of(granules: u32) -> usize {
    (granules as usize) << GRANULE_SHIFT
}

/// How many granules lie between granule `block` and the first at or after it whose address is a
/// multiple of `align` granules.
///
/// `phase` is the address of granule 0, in granules, modulo 2³². The sum may wrap: `align` is a
/// power of two, so it divides what is lost.
#[inline(always)]
pub(super) const fn padding(phase: u32, block: u32, align: u32) -> u32 {
    phase.wrapping_add(block).wrapping_neg() & (align - 1)
}
