//! Where a block goes: the arithmetic of a frontier that moves up, without a single pointer.
//!
//! ```text
//! cursor        start                    end            limit
//!   │  padding    │  size   │  up to STEP  │    room       │
//!   └─────────────┴─────────┴──────────────┴───────────────┘
//! ```
//!
//! # Invariants
//!
//! 1. `cursor <= limit`, and both are multiples of [`STEP`].
//! 2. `limit` is at least [`MARGIN`] below the end of the address space: what is added to a cursor
//!    for a small block cannot overflow.
//! 3. Where a source [`is_low`], `limit` is at least [`MARGIN`] below the middle of the address space:
//!    what is added for a block of any layout cannot overflow.

#![forbid(unsafe_code)]

/// Every block starts and ends at a multiple of this.
///
/// With less, each value that is aligned to 8 would have to be; with more, small values waste more.
pub(crate) const STEP: usize = 8;

/// Up to so many bytes, size and alignment together, a block is small: one comparison tells
/// whether there is room for it.
pub(crate) const MARGIN: usize = 4096;

/// How many bytes a block of `size` bytes takes; `size` is one that a layout may have.
#[inline(always)]
pub(crate) const fn extent(size: usize) -> usize {
    (size + (STEP - 1)) & !(STEP - 1)
}

/// How many bytes from a cursor a block needs at most, wherever the cursor is.
pub(crate) const fn need(size: usize, align: usize) -> Option<usize> {
    extent(size).checked_add(align.saturating_sub(STEP))
}

/// Where a block starts and ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// From the cursor to the block, in bytes.
    pub(crate) padding: usize,
    /// The block and what rounds it up, in bytes.
    pub(crate) extent: usize,
}

/// Do all chunks of a source lie so low, if no region reaches beyond `highest`?
pub(crate) const fn is_low(highest: usize) -> bool {
    highest <= isize::MAX as usize - MARGIN
}

/// The place of a block of `size` bytes aligned to `align`, which a layout may have; `None` if
/// there is no room.
#[inline(always)]
pub(crate) const fn place(
    is_low: bool,
    cursor: usize,
    limit: usize,
    size: usize,
    align: usize,
) -> Option<Place> {
    let padding = if align <= STEP { 0 } else { cursor.wrapping_neg() & (align - 1) };
    if is_low {
        // Invariant 3, and a layout's size and alignment together are at most `isize::MAX + 1`.
        let start = cursor + padding;
        let end = extent(start + size);
        return if end <= limit { Some(Place { padding, extent: end - start }) } else { None };
    }
    let room = limit - cursor;
    // The limit is a multiple of `STEP`: where `size` bytes fit, so does their extent.
    if padding > room || size > room - padding {
        return None;
    }
    Some(Place { padding, extent: extent(size) })
}

/// Is [`place_small`] for blocks of this layout?
#[inline(always)]
pub(crate) const fn is_small(size: usize, align: usize) -> bool {
    size <= MARGIN && align <= MARGIN && size + align <= MARGIN
}

/// [`place`] for a block that [`is_small`]: one comparison.
#[inline(always)]
pub(crate) const fn place_small(
    cursor: usize,
    limit: usize,
    size: usize,
    align: usize,
) -> Option<Place> {
    // Invariant 2: neither sum overflows.
    let padding = if align <= STEP { 0 } else { cursor.wrapping_neg() & (align - 1) };
    if cursor + padding + extent(size) > limit {
        return None;
    }
    Some(Place { padding, extent: extent(size) })
}

/// How many bytes the usable part of a chunk skips at its start, and where it ends, by the
/// invariants above; `None` if nothing is left of it.
pub(crate) const fn usable(start: usize, size: usize) -> Option<(usize, usize)> {
    let skipped = start.wrapping_neg() & (STEP - 1);
    let Some(below_margin) = (usize::MAX - MARGIN).checked_sub(start) else { return None };
    let len = if size < below_margin { size } else { below_margin };
    let beyond_step = start.wrapping_add(len) & (STEP - 1);
    match len.checked_sub(beyond_step) {
        Some(end) if skipped <= end => Some((skipped, end)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIGNS: [usize; 8] = [1, 2, 4, 8, 16, 64, 1024, 4096];

    /// What a place has to be, by the plainest means.
    fn expected(cursor: usize, limit: usize, size: usize, align: usize) -> Option<Place> {
        let start = (cursor as u128).next_multiple_of(align as u128);
        let end = (start + size as u128).next_multiple_of(STEP as u128);
        let padding = (start - cursor as u128) as usize;
        (end <= limit as u128).then(|| Place { padding, extent: (end - start) as usize })
    }

    #[test]
    fn every_small_place_is_the_first_that_is_aligned() {
        for cursor in (0..4200).step_by(STEP) {
            for room in [0, 8, 16, 24, 64, 72, 1024, 4096, 9000].map(|room| cursor + room) {
                for align in ALIGNS {
                    for size in (0..80).chain([1000, 1024, 1025, 2040, 4095]) {
                        let expected = expected(cursor, room, size, align);
                        for low in [true, false] {
                            let place = place(low, cursor, room, size, align);
                            assert_eq!(place, expected, "{size} {align}");
                        }
                        if is_small(size, align) {
                            assert_eq!(place_small(cursor, room, size, align), expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_of_any_size_meet_any_limit_of_the_address_space() {
        let last = (usize::MAX - MARGIN) & !(STEP - 1);
        for limit in [last, last - 8, last - 64, (last / 2 + 1) & !7, (last / 2 - MARGIN) & !7] {
            for cursor in [limit, limit - 8, limit - 16, limit - 4096, (limit / 2) & !7, 8] {
                for shift in [0, 3, 4, 12, usize::BITS - 2, usize::BITS - 1] {
                    let align = 1 << shift;
                    let largest = (isize::MAX as usize + 1).saturating_sub(align);
                    for size in [0, 1, 7, 8, 9, 4096, largest / 2, largest.saturating_sub(7)] {
                        let low = is_low(limit);
                        let place = place(low, cursor, limit, size, align);
                        assert_eq!(place, expected(cursor, limit, size, align), "{size} {align}");
                        if is_small(size, align) {
                            assert_eq!(place_small(cursor, limit, size, align), place);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_extent_is_monotone_idempotent_and_enough() {
        for size in 0..10_000 {
            let bytes = extent(size);
            assert!(bytes >= size && bytes - size < STEP && bytes.is_multiple_of(STEP));
            assert_eq!(extent(bytes), bytes);
            assert!(extent(size + 1) >= bytes);
        }
    }

    #[test]
    fn what_a_block_needs_suffices_from_every_cursor() {
        for cursor in (0..4200).step_by(STEP) {
            for align in ALIGNS {
                for size in [0, 1, 8, 9, 100] {
                    let need = need(size, align).unwrap();
                    assert!(place(false, cursor, cursor + need, size, align).is_some());
                }
            }
        }
        assert_eq!(need((usize::MAX / 2) & !7, usize::MAX / 2 + 1), Some(usize::MAX - 15));
    }

    #[test]
    fn the_usable_part_of_a_chunk_keeps_the_invariants() {
        let high = usize::MAX - 2 * MARGIN;
        for start in (1..40).chain(high..high + 2 * MARGIN) {
            for size in (0..40).chain([100, MARGIN, 2 * MARGIN]) {
                let Some((from, to)) = start.checked_add(size).and_then(|_| usable(start, size))
                else {
                    continue;
                };
                assert!(from <= to && to <= size && from < STEP, "{start} {size}");
                assert!((start + from).is_multiple_of(STEP) && (start + to).is_multiple_of(STEP));
                assert!(start + to <= usize::MAX - MARGIN);
                assert!(start >= high || size - (to - from) < 2 * STEP, "{start} {size}: wasted");
            }
        }
        assert_eq!(usable(1, 6), None);
        assert_eq!(usable(usize::MAX - 100, 50), None);
    }
}
