//! Ranges of memory that were released, where a platform takes none back: they are lent again.
//!
//! ```text
//! first ──▶ │ size │ next │ ……… │      in use      │ size │ next │ ……… │     lowest address first
//!                     └───────────────────────────▶ ▲
//! ```
//!
//! What is known of a free range stands at its start, so that no other memory is needed.
//!
//! # Invariants
//!
//! 1. Ranges lie in the order of their addresses and do not touch: two that do are one.
//! 2. Sizes and addresses are multiples of [`UNIT`]; no range is empty.
//! 3. A range in the list is nobody's but the list's.

use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

/// Ranges consist of these: large enough for what is known of one.
const UNIT: usize = 4096;

/// Memory that is nobody's.
#[derive(Debug)]
pub(super) struct FreeRanges {
    first: Option<NonNull<FreeRange>>,
}

/// What stands at the start of a free range.
#[derive(Debug)]
struct FreeRange {
    size: usize,
    next: Option<NonNull<FreeRange>>,
}

// SAFETY: a free range is plain memory that belongs to no thread.
unsafe impl Send for FreeRanges {}

impl FreeRange {
    /// Where it ends.
    fn end(&self) -> usize {
        (&raw const *self).addr() + self.size
    }
}

impl FreeRanges {
    /// None.
    pub(super) const fn new() -> Self {
        Self { first: None }
    }

    /// Takes the first `size` bytes of the smallest range that has as many. What is left is where
    /// they may grow: taken from the end, they would grow at the end of memory, each time. O(ranges).
    pub(super) fn take(&mut self, size: usize) -> Option<NonNull<u8>> {
        let sizes = self.iter().map(|range| range.size);
        let best = sizes.filter(|have| *have >= size).min()?;
        self.take_first(size, |_, have| have == best)
    }

    /// Takes the `size` bytes from `start` on, if a range begins there that has as many. O(ranges).
    pub(super) fn take_at(&mut self, start: NonNull<u8>, size: usize) -> bool {
        self.take_first(size, |range, have| range == start && have >= size).is_some()
    }

    /// Takes the first `size` bytes of the first range that `suits`, by its start and size.
    fn take_first(
        &mut self,
        size: usize,
        suits: impl Fn(NonNull<u8>, usize) -> bool,
    ) -> Option<NonNull<u8>> {
        let mut link = &mut self.first;
        loop {
            let range = (*link)?;
            // SAFETY: ranges in the list are initialized, and the list's (invariant 3), which is
            // borrowed mutably.
            let here = unsafe { &mut *range.as_ptr() };
            if !suits(range.cast(), here.size) {
                link = &mut here.next;
                continue;
            }
            let (rest, next) = (here.size - size, here.next);
            *link = if rest == 0 {
                next
            } else {
                // SAFETY: `rest` bytes of the range are left there, at least a unit (invariant 2).
                let place = unsafe { range.cast::<u8>().add(size) }.cast::<FreeRange>();
                // SAFETY: as above; it is aligned (invariant 2).
                unsafe { place.write(FreeRange { size: rest, next }) };
                Some(place)
            };
            return Some(range.cast());
        }
    }

    /// How many free bytes end at the address `end`. O(ranges).
    pub(super) fn size_before(&self, end: usize) -> usize {
        self.iter().find(|range| range.end() == end).map_or(0, |range| range.size)
    }

    /// Adds a range. O(ranges).
    ///
    /// # Safety
    ///
    /// The `size` bytes from `start` on, both multiples of [`UNIT`] and not 0, are valid for writes
    /// for ever, and nobody's. What ranges touch, one pointer to it may reach all of.
    pub(super) unsafe fn put(&mut self, start: NonNull<u8>, size: usize) {
        let is_whole = size > 0 && (start.addr().get() | size).is_multiple_of(UNIT);
        promised!(is_whole, "a range that is not of whole units", start.addr().get());
        let mut link = &mut self.first;
        while let Some(range) = *link
            && range.addr() < start.addr()
        {
            // SAFETY: as in `take_first`.
            let here = unsafe { &mut *range.as_ptr() };
            if here.end() == start.addr().get() {
                here.size += size;
                here.join_next();
                return;
            }
            link = &mut here.next;
        }
        let place = start.cast::<FreeRange>();
        // SAFETY: the range is nobody's, large enough and aligned (caller).
        unsafe { place.write(FreeRange { size, next: *link }) };
        *link = Some(place);
        // SAFETY: as in `take_first`; it is in the list now.
        unsafe { &mut *place.as_ptr() }.join_next();
    }

    fn iter(&self) -> impl Iterator<Item = &FreeRange> {
        // SAFETY: as in `take_first`, and the list is borrowed as long as the iterator lives.
        let deref = |range: NonNull<FreeRange>| unsafe { &*range.as_ptr() };
        core::iter::successors(self.first.map(deref), move |range| range.next.map(deref))
    }
}

impl FreeRange {
    /// Makes one of this and the next, if they touch.
    fn join_next(&mut self) {
        if let Some(next) = self.next
            && next.addr().get() == self.end()
        {
            // SAFETY: it is in the list, so initialized, and the list's.
            let next = unsafe { next.read() };
            self.size += next.size;
            self.next = next.next;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::mem::MaybeUninit;
    use std::vec::Vec;

    #[derive(Clone, Copy)]
    #[repr(C, align(4096))]
    struct Unit([MaybeUninit<u8>; UNIT]);

    /// Memory of so many units.
    fn memory(units: usize) -> Vec<Unit> {
        std::vec![Unit([MaybeUninit::uninit(); UNIT]); units]
    }

    /// Where each free range begins and how long it is, in units.
    fn list(free: &FreeRanges, start: NonNull<u8>) -> Vec<(usize, usize)> {
        let offset = |range: &FreeRange| (&raw const *range).addr() - start.addr().get();
        free.iter().map(|range| (offset(range) / UNIT, range.size / UNIT)).collect()
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let mut memory = memory(10);
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast::<u8>();
        let mut free = FreeRanges::new();
        let expected: [&[(usize, usize)]; 5] =
            [&[(4, 2)], &[(0, 1), (4, 2)], &[(0, 1), (4, 4)], &[(0, 1), (3, 5)], &[(0, 8)]];
        for ((unit, units), expected) in
            [(4, 2), (0, 1), (6, 2), (3, 1), (1, 2)].into_iter().zip(expected)
        {
            // SAFETY: the units are in the memory, and each is given away once.
            unsafe { free.put(start.add(unit * UNIT), units * UNIT) };
            assert_eq!(list(&free, start), expected);
        }
        // SAFETY: still in the memory.
        let (end, after) = unsafe { (start.add(8 * UNIT), start.add(9 * UNIT)) };
        assert_eq!(free.size_before(end.addr().get()), 8 * UNIT);
        assert_eq!(free.size_before(after.addr().get()), 0);
    }

    #[test]
    fn the_smallest_range_that_suffices_is_taken_from_its_start() {
        let mut memory = memory(20);
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast::<u8>();
        let mut free = FreeRanges::new();
        for (unit, units) in [(0, 8), (10, 2), (13, 4)] {
            // SAFETY: as above.
            unsafe { free.put(start.add(unit * UNIT), units * UNIT) };
        }
        let mut take = |units: usize| {
            let taken = free.take(units * UNIT)?;
            Some((taken.addr().get() - start.addr().get()) / UNIT)
        };
        assert_eq!([take(3), take(2), take(9), take(6)], [Some(13), Some(10), None, Some(0)]);
        assert_eq!(list(&free, start), [(6, 2), (16, 1)]);
        // Taken from its end, a region at the end of memory would grow there, round after round.
        let taken = free.take(UNIT).unwrap();
        // SAFETY: still in the memory.
        assert!(taken == unsafe { start.add(16 * UNIT) } && free.take(UNIT).is_some());
    }

    #[test]
    fn what_begins_where_a_region_ends_can_be_added_to_it() {
        let mut memory = memory(8);
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast::<u8>();
        let mut free = FreeRanges::new();
        // SAFETY: all of this lies in the memory.
        unsafe {
            free.put(start.add(UNIT), UNIT);
            free.put(start.add(3 * UNIT), 4 * UNIT);
            assert!(!free.take_at(start.add(2 * UNIT), UNIT));
            assert!(!free.take_at(start.add(3 * UNIT), 5 * UNIT));
            assert!(free.take_at(start.add(3 * UNIT), UNIT));
            assert_eq!(list(&free, start), [(1, 1), (4, 3)]);
            assert!(free.take_at(start.add(4 * UNIT), 3 * UNIT));
        }
        assert_eq!(list(&free, start), [(1, 1)]);
    }

    #[test]
    fn every_unit_is_either_free_or_taken_once() {
        const UNITS: usize = 64;
        let mut memory = memory(UNITS);
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast::<u8>();
        let mut free = FreeRanges::new();
        // SAFETY: all of the memory, and nobody else's.
        unsafe { free.put(start, UNITS * UNIT) };
        let (mut taken, mut random) = (Vec::new(), 1_u64);
        for _ in 0..if cfg!(miri) { 200 } else { 5000 } {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let units = (random >> 40) as usize % 12 + 1;
            if (random >> 33) % 2 == 0 {
                if let Some(place) = free.take(units * UNIT) {
                    taken.push(((place.addr().get() - start.addr().get()) / UNIT, units));
                }
            } else if !taken.is_empty() {
                let (unit, units) = taken.swap_remove((random >> 50) as usize % taken.len());
                // SAFETY: taken above, and given back once.
                unsafe { free.put(start.add(unit * UNIT), units * UNIT) };
            }
            let mut all: Vec<_> = taken.iter().copied().chain(list(&free, start)).collect();
            all.sort_unstable();
            let end = all.iter().try_fold(0, |end, (at, units)| (*at == end).then_some(at + units));
            assert_eq!(end, Some(UNITS), "{all:?}");
        }
    }
}
