//! What is free, asked about without changing anything.

use super::{Run, Space};
use crate::strategy::best_fit::table::{NONE, Table};

impl<T: Table> Space<T> {
    /// The size of the largest free block, once all that is parked is settled.
    pub fn largest(&self) -> u32 {
        if self.parked.iter().next().is_some() {
            return self.free_runs().map(|run| run.size).max().unwrap_or(0);
        }
        let tail = if self.tail == NONE { 0 } else { self.granules - self.tail };
        // SAFETY: the lists are of this table.
        unsafe { self.lists.largest(&self.table) }.max(tail)
    }

    /// Is there a tail?
    pub const fn has_tail(&self) -> bool {
        self.tail != NONE
    }

    /// Is this free block the tail?
    pub const fn is_tail(&self, run: Run) -> bool {
        run.start == self.tail && run.end() == self.granules
    }

    /// How many granules at the end are free.
    pub fn free_at_end(&self) -> u32 {
        let granules = self.granules;
        if self.tail != NONE {
            return granules - self.tail;
        }
        // SAFETY: the last edge is one; if it is set, a free block ends there that is not the tail.
        unsafe {
            if granules > 0 && self.edges.is_edge(granules) {
                self.table.size_before(self.table.place(granules))
            } else {
                0
            }
        }
    }

    /// The free blocks in address order, the tail included.
    pub fn free_blocks(&self) -> impl Iterator<Item = Run> {
        let mut from = 0;
        core::iter::from_fn(move || {
            let run = self.free_block_from(from)?;
            from = run.end() + 1;
            Some(run)
        })
    }

    /// The first free block that starts at `from` or behind it, which is not inside of one.
    pub fn free_block_from(&self, from: u32) -> Option<Run> {
        if self.granules == 0 {
            // There is no bitmap yet.
            return None;
        }
        // SAFETY: there are granules, so the edges were extended.
        let edge_from = |from| unsafe { self.edges.first_from(from) };
        let start = edge_from(from)?;
        // A block that was not touched as far reaches to the end.
        let end = edge_from(start + 1).unwrap_or(self.granules);
        Some(Run { start, size: end - start })
    }

    /// The runs of granules that are not in use, in address order: what would be the free blocks if
    /// all that is parked were settled.
    pub fn free_runs(&self) -> impl Iterator<Item = Run> {
        let mut free = self.free_blocks();
        let mut next_free = free.next();
        let mut from = 0;
        core::iter::from_fn(move || {
            let mut whole: Option<Run> = None;
            loop {
                let parked = self.parked.iter().filter(|block| block.start >= from);
                let Some(next) = parked.chain(next_free).min_by_key(|block| block.start) else {
                    return whole;
                };
                let run = whole.get_or_insert(Run { start: next.start, size: 0 });
                if run.end() != next.start {
                    return whole;
                }
                (run.size, from) = (run.size + next.size, next.end());
                if next_free == Some(next) {
                    next_free = free.next();
                }
            }
        })
    }

    /// How many granules are not in use.
    pub fn free_granules(&self) -> u32 {
        self.free_runs().map(|run| run.size).sum()
    }
}
