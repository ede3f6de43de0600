//! Places: where in a region its head, its tables and its pages lie.

#![forbid(unsafe_code)]

use allotrope_core::parts::edges_size;

use super::Pages;
use crate::route::PAGE;
use crate::slab::Slab;

/// Where the parts of a region lie, in bytes from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) head: usize,
    pub(super) dirty: usize,
    pub(super) edges: usize,
    pub(super) entries: usize,
    pub(super) slabs: usize,
    pub(super) pages: usize,
    pub(super) capacity: u32,
}

impl Places {
    /// The places for as many pages as a region of `size` bytes at address `start` has room for.
    pub(super) fn new(start: usize, size: usize) -> Option<Self> {
        let mut capacity = (size / PAGE).min((u32::MAX / 2) as usize) as u32;
        loop {
            let places = Self::of(start, capacity)?;
            let room = size.checked_sub(places.pages).map_or(0, |room| room / PAGE);
            if capacity == 0 {
                return None;
            }
            if room >= capacity as usize {
                return Some(places);
            }
            // The tables of pages that there is no room for are shorter, too.
            let over = capacity as usize - room;
            capacity -= (over as u32).div_ceil(2).max(1);
        }
    }

    fn of(start: usize, capacity: u32) -> Option<Self> {
        let count = capacity as usize;
        let head = start.wrapping_neg() % align_of::<Pages>();
        let behind = head + size_of::<Pages>();
        // It is addresses that are aligned: the region may start anywhere.
        let dirty = behind + start.wrapping_add(behind).wrapping_neg() % 8;
        let edges = dirty.checked_add(count.div_ceil(64) * 8)?;
        let entries = edges.checked_add(edges_size(capacity))?;
        let slabs = entries.checked_add(count.checked_mul(16)?)?;
        let end = slabs.checked_add(count.checked_mul(size_of::<Slab>())?)?;
        let gap = start.wrapping_add(end).wrapping_neg() % PAGE;
        Some(Self { head, dirty, edges, entries, slabs, pages: end.checked_add(gap)?, capacity })
    }

    /// The bytes of the pages that hold the head and what is known of the first `count` pages, in a
    /// region at address `start`.
    pub(super) fn table_bytes(&self, start: usize, count: u32) -> usize {
        let count = count as usize;
        let words = count.div_ceil(64) * 8;
        // There is an edge behind the last page.
        let edges = if count == 0 { 0 } else { (words + 8).min(self.entries - self.edges) };
        let parts = [
            (0, self.dirty + words),
            (self.edges, edges),
            (self.entries, count * 16),
            (self.slabs, count * size_of::<Slab>()),
        ];
        let (mut bytes, mut end) = (0, start);
        for (offset, size) in parts.into_iter().filter(|part| part.1 > 0) {
            // Parts side by side may share a page.
            let from = ((start + offset) & !(PAGE - 1)).max(end);
            end = (start + offset + size).next_multiple_of(PAGE).max(end);
            bytes += end - from;
        }
        bytes
    }
}

/// How many bytes a region needs to have room for so many pages wherever it starts.
pub(crate) fn region_size(pages: usize) -> Option<usize> {
    let places = Places::of(1, u32::try_from(pages).ok().filter(|&pages| pages < 1 << 31)?)?;
    places.pages.checked_add(PAGE)?.checked_add(pages.checked_mul(PAGE)?)
}
