//! Granules: the unit in which best fit measures memory.
//!
//! A block of best fit is a whole number of granules of 16 bytes. Its *extent* is the size of the
//! request rounded up to one, whatever the alignment: a stricter alignment is met by carving the
//! block out of a larger free block, never by making the block itself larger. So the extent is a
//! pure function of the layout, it grows with the size, and the extent of an extent is itself:
//! what [*fits*](crate::Strategy#fits) needs.
//!
//! Granules are counted in 31 bits, which reaches 32 GiB in one region.

#![forbid(unsafe_code)]

/// The size in bytes of a granule, and the alignment that every block has.
pub const GRANULE_SIZE: usize = 1 << GRANULE_SHIFT;

pub(crate) const GRANULE_SHIFT: u32 = 4;

/// The most granules that a region has. With the highest bit of a `u32`, a number means "no block", or
/// that a block is the first of its bin: a sign is asked for without a constant.
pub(crate) const MAX_GRANULES: u32 = i32::MAX as u32;

/// The most bytes that a block has.
pub(crate) const MAX_BLOCK: usize = {
    let bytes = (MAX_GRANULES as u64) << GRANULE_SHIFT;
    let addressable = isize::MAX as u64 & !(GRANULE_SIZE as u64 - 1);
    if bytes < addressable { bytes as usize } else { addressable as usize }
};

/// The size of a block in granules: from 1 to 2³¹ - 1, so that it has a bin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// A size of so many granules, if a block can have it.
    #[inline(always)]
    pub const fn new(granules: usize) -> Option<Self> {
        // One comparison for both limits: zero wraps around.
        if granules.wrapping_sub(1) >= MAX_GRANULES as usize {
            return None;
        }
        Some(Self(granules as u32))
    }

    /// The size that a request of `size` bytes needs; `None` if it is zero, or larger than any
    /// region.
    #[inline(always)]
    pub(crate) const fn for_bytes(size: usize) -> Option<Self> {
        // As in `new`.
        if size.wrapping_sub(1) >= MAX_BLOCK {
            return None;
        }
        Some(Self(granules_of(size)))
    }

    /// How many granules it is.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// How many granules a request of `size` bytes needs; `None` if it is zero, or larger than any
/// region.
#[inline(always)]
pub(crate) const fn granules_for(size: usize) -> Option<u32> {
    match BlockSize::for_bytes(size) {
        Some(size) => Some(size.get()),
        None => None,
    }
}

/// How many granules a block has whose request was of `size` bytes, at most [`MAX_BLOCK`].
#[inline(always)]
pub(crate) const fn granules_of(size: usize) -> u32 {
    ((size + (GRANULE_SIZE - 1)) >> GRANULE_SHIFT) as u32
}

/// The alignment in granules: 1 for everything that each granule has anyway; `None` if it is
/// larger than any region.
#[inline(always)]
pub(crate) const fn granules_of_align(align: usize) -> Option<u32> {
    if align <= GRANULE_SIZE {
        return Some(1);
    }
    let granules = align >> GRANULE_SHIFT;
    if granules > (MAX_GRANULES / 2) as usize { None } else { Some(granules as u32) }
}

/// The size in bytes of `granules`.
#[inline(always)]
pub(crate) const fn bytes_of(granules: u32) -> usize {
    (granules as usize) << GRANULE_SHIFT
}

/// The extent of a block for a request of `size` bytes aligned to `align`: how many bytes it
/// really takes. `None` where no region could hold it.
pub(crate) const fn extent(size: usize, align: usize) -> Option<usize> {
    if size == 0 {
        return Some(0);
    }
    match (granules_for(size), granules_of_align(align)) {
        (Some(granules), Some(_)) => Some(bytes_of(granules)),
        _ => None,
    }
}

/// How many granules lie between granule `block` and the first at or after it whose address is a
/// multiple of `align` granules.
///
/// `phase` is the address of granule 0, in granules, modulo 2³². The sum may wrap: `align` is a
/// power of two, so it divides what is lost.
#[inline(always)]
pub(crate) const fn padding(phase: u32, block: u32, align: u32) -> u32 {
    phase.wrapping_add(block).wrapping_neg() & (align - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::cover;

    #[test]
    fn extent_is_monotone_and_idempotent() {
        cover::sizes_and_alignments(|size, align| {
            let Some(bytes) = extent(size, align) else {
                return assert!(
                    size > MAX_BLOCK || align > bytes_of(MAX_GRANULES / 2),
                    "{size} {align}"
                );
            };
            assert!(bytes >= size && bytes - size < GRANULE_SIZE, "{size} {align}: {bytes}");
            assert_eq!(extent(bytes, align), Some(bytes), "{size} {align}: not idempotent");
            if let Some(below) = size.checked_sub(1).and_then(|size| extent(size, align)) {
                assert!(below <= bytes, "{size} {align}: not monotone");
            }
        });
    }

    #[test]
    fn every_size_in_the_fits_range_has_the_same_extent() {
        for size in 1..=4096 {
            let bytes = extent(size, 1).unwrap();
            assert!((size..=bytes).all(|fits| extent(fits, 1) == Some(bytes)), "{size}");
        }
    }

    #[test]
    fn requests_beyond_any_region_have_no_granules() {
        assert_eq!(granules_for(0), None);
        assert_eq!(granules_for(MAX_BLOCK), Some((MAX_BLOCK >> GRANULE_SHIFT) as u32));
        assert_eq!(granules_for(MAX_BLOCK + 1), None);
        assert_eq!(granules_for(isize::MAX as usize), None);
        assert_eq!(granules_for(usize::MAX), None);
        assert_eq!(granules_of_align(1 << (usize::BITS - 1)).is_some(), usize::BITS == 32);
    }

    #[test]
    fn block_sizes_are_those_that_have_a_bin() {
        let most = MAX_GRANULES as usize;
        assert_eq!([1, most].map(|size| BlockSize::new(size).unwrap().get()), [1, MAX_GRANULES]);
        assert_eq!([0, most + 1, usize::MAX].map(BlockSize::new), [None; 3]);
    }

    #[test]
    fn padding_reaches_the_next_aligned_granule() {
        for phase in [0, 1, 2, 7, 63, 64, u32::MAX - 1, u32::MAX] {
            for align in (0..12).map(|shift| 1 << shift) {
                for block in 0..300_u32 {
                    let pad = padding(phase, block, align);
                    assert!(pad < align);
                    assert_eq!(phase.wrapping_add(block + pad) % align, 0);
                }
            }
        }
    }
}
