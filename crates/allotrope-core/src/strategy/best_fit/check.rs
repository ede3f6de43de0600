//! The invariants of a space, checked: everything is walked twice, by address and by bins.

use super::area::Area;
use super::space::Space;
use super::table::{InBlock, NONE, Table};
use crate::layout::bins::{BINS, bin_of};
use crate::strategy::Broken;

impl Area {
    /// Checks the invariants of the space in this area.
    pub(super) fn check(&self) -> Result<(), Broken> {
        let start = self.start().addr().get();
        let by_address = check_addresses(&self.space, start)?;
        let by_bins = check_bins(&self.space, start)?;
        if by_address != by_bins {
            let invariant = "every free block is in the list of its bin, and nothing else is";
            return Err(Broken { invariant, address: start });
        }
        Ok(())
    }
}

fn broken<T>(invariant: &'static str, start: usize, granule: u32) -> Result<T, Broken> {
    Err(Broken { invariant, address: start + crate::layout::granule::bytes_of(granule) })
}

/// Walks the edges; returns how many free blocks there are, and how many granules in them.
fn check_addresses(space: &Space<InBlock>, start: usize) -> Result<(u32, u32), Broken> {
    let granules = space.granules();
    let (mut blocks, mut free, mut from) = (0, 0, 0);
    // SAFETY: for all below: granules are asked about only up to the space's end.
    unsafe {
        if granules > 0 && (space.edges.ends_before(0) || space.edges.is_edge(granules)) {
            return broken("the edges beyond both ends are not set", start, 0);
        }
        while let Some(first) = space.edges.first_from(from, granules) {
            if first == from && from > 0 {
                return broken("no two free blocks are neighbours", start, first);
            }
            let size = space.table.size(first);
            if size == 0 || size > granules - first {
                return broken("a free block's size is that of a block", start, first);
            }
            let last = first + size - 1;
            if space.table.size_ending_with(last) != size {
                return broken("a free block's size stands at both its ends", start, last);
            }
            if !space.edges.is_edge(last) {
                return broken("the last granule of a free block is an edge", start, last);
            }
            if size > 2 && space.edges.first_from(first + 1, last).is_some() {
                return broken("no granule inside of a free block is an edge", start, first);
            }
            (blocks, free, from) = (blocks + 1, free + size, last + 1);
        }
    }
    Ok((blocks, free))
}

/// Walks the bins; returns how many blocks there are in them, and how many granules in those.
fn check_bins(space: &Space<InBlock>, start: usize) -> Result<(u32, u32), Broken> {
    let granules = space.granules();
    let (mut blocks, mut free) = (0, 0);
    for bin in 0..BINS as u32 {
        let (mut before, mut is_empty) = (NONE, true);
        for run in space.list(bin) {
            is_empty = false;
            // SAFETY: asked about only if in range.
            if run.start >= granules || !unsafe { space.edges.is_edge(run.start) } {
                return broken("only free blocks are in the lists of bins", start, run.start);
            }
            if bin_of(run.size) != bin {
                return broken("a free block is in the bin of its size", start, run.start);
            }
            // SAFETY: the block is free, as far as its edge tells.
            if unsafe { space.table.prev(run.start) } != before {
                return broken("a bin's list is linked both ways", start, run.start);
            }
            before = run.start;
            (blocks, free) = (blocks + 1, free + run.size);
            if blocks > granules {
                return broken("a bin's list ends", start, run.start);
            }
        }
        if is_empty == space.is_marked(bin) {
            return broken("the map has a bin's bit if and only if it holds blocks", start, 0);
        }
    }
    Ok((blocks, free))
}
