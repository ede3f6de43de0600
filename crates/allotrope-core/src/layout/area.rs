//! The geometry of a best-fit area: where in a region its header, its bitmap and its granules lie.
//!
//! ```text
//! region  │ gap │ header │ edges: 1 bit per granule, and 1 │ gap │ granules …       │ rest │
//!               ▲        ▲ multiple of 8                         ▲ multiple of 16
//! ```
//!
//! The gaps and the rest are bytes that the alignment of the region's ends costs, each less than
//! what it is aligned to.

#![forbid(unsafe_code)]

use super::granule::{GRANULE_SIZE, MAX_GRANULES};

/// Where the parts of an area lie, in bytes from the start of its region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Geometry {
    /// Where the header lies; aligned to [`WORD`].
    pub(crate) header: usize,
    /// Where the bitmap lies; aligned to [`WORD`].
    pub(crate) edges: usize,
    /// Where granule 0 lies; aligned to a granule.
    pub(crate) granules: usize,
    /// How many granules there is room for: at least one.
    pub(crate) capacity: u32,
}

/// The alignment of the header and of the bitmap, and the size of one word of the bitmap.
pub(crate) const WORD: usize = 8;
const BITS: usize = WORD * 8;

impl Geometry {
    /// The geometry of an area in a region of `size` bytes at address `start`, with a header of
    /// `header_size` bytes; `None` if not even one granule has room.
    pub(crate) const fn new(start: usize, size: usize, header_size: usize) -> Option<Self> {
        let header = start.wrapping_neg() % WORD;
        let edges = header + header_size.next_multiple_of(WORD);
        let Some(room) = size.checked_sub(edges) else { return None };
        // The most granules that the room could hold, each with its bit; then as many fewer as
        // whole words and alignment cost.
        let most = (room as u128 * 8 / (GRANULE_SIZE as u128 * 8 + 1)) as usize;
        let mut capacity = if most > MAX_GRANULES as usize { MAX_GRANULES as usize } else { most };
        while capacity > 0 {
            let end = edges + edges_size(capacity as u32);
            let granules = end + start.wrapping_add(end).wrapping_neg() % GRANULE_SIZE;
            if granules <= size && (size - granules) / GRANULE_SIZE >= capacity {
                return Some(Self { header, edges, granules, capacity: capacity as u32 });
            }
            capacity -= 1;
        }
        None
    }

    /// How many bytes a region needs to have room for `granules` wherever it starts; `None` if that
    /// is more than there are addresses.
    pub(crate) const fn region_size(granules: u32, header_size: usize) -> Option<usize> {
        if granules > MAX_GRANULES {
            return None;
        }
        // With 32 bits of address, that many granules may be more than all memory.
        let Some(bytes) = (granules as usize).checked_mul(GRANULE_SIZE) else { return None };
        let overhead = (WORD - 1)
            + header_size.next_multiple_of(WORD)
            + edges_size(granules)
            + (GRANULE_SIZE - 1)
            // What a bitmap that is rounded up for the rest of the region may cost.
            + WORD + GRANULE_SIZE;
        bytes.checked_add(overhead)
    }
}

/// How many bytes the bitmap of `granules` takes: a bit for the start of each, and one for the end
/// of all, in whole words.
pub const fn edges_size(granules: u32) -> usize {
    (granules as usize + 1).div_ceil(BITS) * WORD
}

#[cfg(test)]
mod tests {
    use super::super::granule::{GRANULE_SHIFT, bytes_of};
    use super::*;

    #[test]
    fn parts_are_aligned_and_lie_in_the_region_in_order() {
        for header_size in [0, 8, 100, 2000] {
            for start in 4096..4096 + 16 {
                for size in (0..3000).chain((1 << 20) - 40..(1 << 20) + 40) {
                    let Some(area) = Geometry::new(start, size, header_size) else { continue };
                    assert_eq!((start + area.header) % WORD, 0);
                    assert_eq!((start + area.edges) % WORD, 0);
                    assert_eq!((start + area.granules) % GRANULE_SIZE, 0);
                    assert!(area.header + header_size <= area.edges);
                    assert!(area.edges + edges_size(area.capacity) <= area.granules);
                    assert!(area.granules + bytes_of(area.capacity) <= size);
                    assert!(area.capacity > 0);
                }
            }
        }
    }

    #[test]
    fn a_region_of_the_computed_size_has_room_wherever_it_starts() {
        for granules in (1..2000).chain([1 << 20, MAX_GRANULES - 1, MAX_GRANULES]) {
            for start in 4096..4096 + 16 {
                for header_size in [0, 2000] {
                    let Some(size) = Geometry::region_size(granules, header_size) else { continue };
                    let area = Geometry::new(start, size, header_size).unwrap();
                    assert!(area.capacity >= granules, "{granules} {start} {header_size}");
                }
            }
        }
    }

    #[test]
    fn little_is_lost_to_bookkeeping() {
        for size in [256, 1024, 65536, 1 << 22] {
            let area = Geometry::new(4096, size, 0).unwrap();
            let lost = size - bytes_of(area.capacity);
            assert!(lost <= size / 128 + 2 * GRANULE_SIZE, "{size}: {lost}");
        }
        assert_eq!(Geometry::new(4096, 256, 0).unwrap().capacity, 15);
    }

    #[test]
    fn regions_too_small_for_their_bookkeeping_are_refused() {
        for size in 0..24 {
            assert_eq!(Geometry::new(4096, size, 0), None, "{size}");
        }
        assert_eq!(Geometry::new(4097, 15, 0), None);
        assert_eq!(Geometry::new(4096, 2000, 2000), None);
        assert_eq!(Geometry::region_size(u32::MAX, 0), None);
    }

    #[test]
    fn more_granules_than_a_32_bit_address_space_has_were_given_a_small_region() {
        for granules in [1 << 27, (1 << 28) - 1, 1 << 28, (1 << 28) + 1, 1 << 30, MAX_GRANULES] {
            let all = u64::from(granules) << GRANULE_SHIFT;
            match Geometry::region_size(granules, 2000) {
                Some(size) => assert!(size as u64 > all, "{granules}"),
                None => assert!(all + all / 64 > usize::MAX as u64, "{granules}"),
            }
        }
    }
}
