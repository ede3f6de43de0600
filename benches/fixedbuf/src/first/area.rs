//! The geometry of a best-fit area: where in a region its header, its bitmap and its granules lie.
//!
//! ```text
//! region  │ gap │ header │ edges: 1 bit per granule, and 2 │ gap │ granules …       │ rest │
//!               ▲        ▲ multiple of 8                         ▲ multiple of 16
//! ```
//!
//! The gaps and the rest are bytes that the alignment of the region's ends costs, each less than
//! what it is aligned to.

#![forbid(unsafe_code)]

use super::granule::{GRANULE_SIZE, MAX_GRANULES};

/// Where the parts of an area lie, in bytes from the start of its region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Geometry {
    /// Where the bitmap lies; aligned to [`WORD`].
    pub(super) edges: usize,
    /// Where granule 0 lies; aligned to a granule.
    pub(super) granules: usize,
    /// How many granules there is room for: at least one.
    pub(super) capacity: u32,
}

/// The alignment of the header and of the bitmap, and the size of one word of the bitmap.
pub(super) const WORD: usize = 8;
const BITS: usize = WORD * 8;

impl Geometry {
    /// The geometry of an area in a region of `size` bytes at address `start`, with a header of
    /// `header_size` bytes; `None` if not even one granule has room.
    pub(super) const fn new(start: usize, size: usize, header_size: usize) -> Option<Self> {
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
                return Some(Self { edges, granules, capacity: capacity as u32 });
            }
            capacity -= 1;
        }
        None
    }
}

/// How many bytes the bitmap of `granules` takes: a bit each, and one before and one after them,
/// in whole words.
pub(super) const fn edges_size(granules: u32) -> usize {
    (granules as usize + 2).div_ceil(BITS) * WORD
}
