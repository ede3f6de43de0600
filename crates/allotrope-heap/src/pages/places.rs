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
}

/// How many bytes a region needs to have room for so many pages wherever it starts.
pub(crate) fn region_size(pages: usize) -> Option<usize> {
    let places = Places::of(1, u32::try_from(pages).ok().filter(|&pages| pages < 1 << 31)?)?;
    places.pages.checked_add(PAGE)?.checked_add(pages.checked_mul(PAGE)?)
}
