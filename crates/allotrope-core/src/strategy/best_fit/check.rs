//! The invariants of a space, checked: everything is walked twice, by address and by bins.

use super::area::Area;
use super::lists::before_first;
use super::space::{Run, Space};
use super::table::{InBlock, NONE, Table};
use crate::layout::bins::{BINS, FIRST_STEPPED, bin_of};
use crate::layout::granule::bytes_of;
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
        check_parked(&self.space, start)
    }
}

fn broken<T>(invariant: &'static str, start: usize, granule: u32) -> Result<T, Broken> {
    Err(Broken { invariant, address: start + bytes_of(granule) })
}

/// Walks the edges; returns how many free blocks there are in lists, and how many granules in them.
fn check_addresses(space: &Space<InBlock>, start: usize) -> Result<(u32, u32), Broken> {
    let (mut blocks, mut free, mut end) = (0, 0, 0);
    for run in space.free_blocks() {
        end = run.end();
        if end > space.granules() {
            return broken("free blocks lie in the space", start, run.start);
        }
        if run.size < FIRST_STEPPED && end > space.touched() {
            return broken("short free blocks were touched", start, run.start);
        }
        if space.is_tail(run) {
            continue;
        }
        (blocks, free) = (blocks + 1, free + run.size);
        // SAFETY: both granules are in range.
        let sizes = unsafe {
            let (first, end) = (space.table.place(run.start), space.table.place(end));
            [space.table.size(first), space.table.size_before(end)]
        };
        if sizes != [run.size; 2] {
            return broken("a free block's size stands at both its ends", start, run.start);
        }
    }
    // SAFETY: the last edge is one.
    let is_last_free = space.granules() > 0 && unsafe { space.edges.is_edge(space.granules()) };
    if is_last_free != (end > 0 && end == space.granules()) {
        return broken("the last edge is set where the last block is free", start, end);
    }
    if space.has_tail() && !space.is_tail(space.free_blocks().last().unwrap_or(Run::NOWHERE)) {
        return broken("the tail is the last free block, and ends last", start, end);
    }
    Ok((blocks, free))
}

/// Walks the bins; returns how many blocks there are in them, and how many granules in those.
fn check_bins(space: &Space<InBlock>, start: usize) -> Result<(u32, u32), Broken> {
    let granules = space.granules();
    let (mut blocks, mut free) = (0, 0);
    for bin in 0..BINS as u32 {
        let is_stepped = bin >= FIRST_STEPPED;
        let (mut before, mut is_empty) = (if is_stepped { before_first(bin) } else { NONE }, true);
        // SAFETY: the lists are of this table.
        for run in unsafe { space.lists.list(&space.table, bin) } {
            is_empty = false;
            let is_in_range = run.start <= space.touched().min(granules);
            // SAFETY: asked about only if valid.
            if !is_in_range || !unsafe { space.edges.is_edge(run.start) } {
                return broken("only free blocks are in the lists of bins", start, run.start);
            }
            if bin_of(run.size) != bin {
                return broken("a free block is in the bin of its size", start, run.start);
            }
            // SAFETY: the block is free, as far as its edge tells.
            let prev = unsafe { space.table.prev(space.table.place(run.start)) };
            if before != NONE && prev != before {
                return broken("a bin's list is linked both ways", start, run.start);
            }
            before = run.start;
            (blocks, free) = (blocks + 1, free + run.size);
            if blocks > granules {
                return broken("a bin's list ends", start, run.start);
            }
        }
        if is_empty == space.lists.is_marked(bin) {
            return broken("the map has a bin's bit if and only if it holds blocks", start, 0);
        }
    }
    Ok((blocks, free))
}

/// Holds every parked block against the free ones, and against the others.
fn check_parked(space: &Space<InBlock>, start: usize) -> Result<(), Broken> {
    let overlap = |a: Run, b: Run| a.start < b.end() && b.start < a.end();
    for block in space.parked.iter() {
        if block.size == 0 || block.end() > space.touched().min(space.granules()) {
            return broken("parked blocks were in use", start, block.start);
        }
        let others = space.parked.iter().filter(|other| other.size != block.size);
        if space.free_blocks().chain(others).any(|other| overlap(block, other)) {
            return broken("parked blocks are in nothing else", start, block.start);
        }
    }
    Ok(())
}
