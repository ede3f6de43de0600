//! Every alignment with every size near a limit, and every size of the fits range.
//!
//! Between the blocks that are swept live two witnesses, one before and one after them, so that a
//! block that is written beside shows in a witness.

use std::alloc::Layout;

use crate::operation::Operation;
use crate::promise::Broken;
use crate::runner::{IMPOSSIBLE, Runner};
use crate::settings::Settings;

/// How far from a limit sizes are swept.
const REACH: usize = 64;

/// Sweeps the sizes around `limit`.
pub(crate) fn sweep(runner: &mut Runner<'_>, limit: usize) -> Result<(), Broken> {
    let settings = runner.settings();
    let mut sweep = Sweep { runner, next_block: 0 };
    let witness = Layout::from_size_align(24, 8).expect("a witness is a sensible layout");
    sweep.allocate(witness, false)?;
    let sizes = limit.saturating_sub(REACH)..=limit.saturating_add(REACH).min(settings.max_size);
    for align in settings.aligns() {
        for size in sizes.clone() {
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            // Near the limit itself all calls are swept; beside it every size is freed.
            let offset = size.abs_diff(limit);
            let closely = offset <= 1 || offset == REACH || size == 0;
            if !closely && !offset.is_multiple_of(settings.size_step) {
                continue;
            }
            sweep.frees(layout, closely)?;
            if closely && !cfg!(miri) {
                sweep.grows_and_shrinks(layout)?;
            }
        }
        if settings.impossible_requests {
            sweep.impossible(align)?;
        }
    }
    Ok(())
}

struct Sweep<'r, 'a> {
    runner: &'r mut Runner<'a>,
    next_block: u32,
}

impl Sweep<'_, '_> {
    /// Frees a block of `layout` with sizes of its fits range: all of them, or one.
    fn frees(&mut self, layout: Layout, closely: bool) -> Result<(), Broken> {
        let Some((block, room)) = self.allocate(layout, false)? else { return Ok(()) };
        let witness = self.allocate(Layout::new::<u64>(), false)?;
        self.runner.apply(Operation::Deallocate { block, excess: room })?;
        for excess in excesses(room, closely, self.runner.settings()) {
            let Some((block, _)) = self.allocate(layout, excess % 4 == 1)? else { break };
            self.runner.apply(Operation::Deallocate { block, excess })?;
        }
        self.free(witness)
    }

    fn grows_and_shrinks(&mut self, layout: Layout) -> Result<(), Broken> {
        let probe = self.allocate(layout, false)?;
        let Some((_, room)) = probe else { return Ok(()) };
        self.free(probe)?;
        let settings = self.runner.settings();
        let (size, align) = (layout.size(), layout.align());
        let larger = (size + room + 1).min(settings.max_size.max(size));
        let grown = [(size, align * 4), (larger, align), (size * 2 + 1, align), (larger, 1)];
        let shrunk = [
            (size / 2, align * 4),
            (size, align * 4),
            (size.saturating_sub(1), align),
            (size / 2, 1),
            (0, align),
        ];
        for excess in excesses(room, true, settings) {
            let snugly = excess == 0 || excess == room;
            for (nth, (size, align)) in grown.into_iter().enumerate() {
                let Some(to) = possible(size, align, settings.max_align) else { continue };
                let zeroed = (nth + excess) % 2 == 1;
                let resize = |block| Operation::Grow { block, excess, layout: to, zeroed };
                self.resize(layout, to, snugly, &resize)?;
            }
            for (size, align) in shrunk {
                let Some(to) = possible(size, align, settings.max_align) else { continue };
                let resize = |block| Operation::Shrink { block, excess, layout: to };
                self.resize(layout, to, snugly, &resize)?;
            }
        }
        Ok(())
    }

    /// Allocates, resizes and frees; with `snugly`, where there is a hole that fits `to` just so,
    /// and witnesses behind the hole and behind the block: what is copied too far shows in them.
    fn resize(
        &mut self,
        layout: Layout,
        to: Layout,
        snugly: bool,
        resize: &dyn Fn(u32) -> Operation,
    ) -> Result<(), Broken> {
        if !snugly {
            let Some((block, _)) = self.allocate(layout, false)? else { return Ok(()) };
            self.runner.apply(resize(block))?;
            return self.free(Some((block, usize::MAX)));
        }
        let hole = self.allocate(to, false)?;
        let mut witnesses = [None; 5];
        for witness in &mut witnesses[..4] {
            *witness = self.allocate(Layout::new::<[u8; 16]>(), false)?;
        }
        let block = self.allocate(layout, false)?;
        witnesses[4] = self.allocate(Layout::new::<u64>(), false)?;
        self.free(hole)?;
        if let Some((block, _)) = block {
            self.runner.apply(resize(block))?;
            self.runner.audit()?;
            self.free(Some((block, usize::MAX)))?;
        }
        witnesses.into_iter().try_for_each(|witness| self.free(witness))
    }

    /// Sizes near `isize::MAX`, to allocate and to grow to.
    fn impossible(&mut self, align: usize) -> Result<(), Broken> {
        let largest = isize::MAX as usize - (align - 1);
        for size in [largest, largest - 15, largest - 4096, IMPOSSIBLE * 2, IMPOSSIBLE + 1] {
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            self.allocate(layout, size % 2 == 0)?;
            let small = Layout::from_size_align(32, align).unwrap_or(Layout::new::<u64>());
            let Some((block, _)) = self.allocate(small, false)? else { continue };
            self.runner.apply(Operation::Grow { block, excess: 0, layout, zeroed: false })?;
            self.free(Some((block, 0)))?;
        }
        Ok(())
    }

    /// The number of a new block, and how far its length exceeds what was requested.
    fn allocate(&mut self, layout: Layout, zeroed: bool) -> Result<Option<(u32, usize)>, Broken> {
        let block = self.next_block;
        self.next_block += 1;
        self.runner.apply(Operation::Allocate { block, layout, zeroed })?;
        Ok(self.runner.shadow.get(block).map(|live| (block, live.len - live.requested.size())))
    }

    fn free(&mut self, block: Option<(u32, usize)>) -> Result<(), Broken> {
        match block {
            Some((block, excess)) => self.runner.apply(Operation::Deallocate { block, excess }),
            None => Ok(()),
        }
    }
}

/// All of a short range; of a long one both ends and some between.
fn excesses(room: usize, closely: bool, settings: &Settings) -> impl Iterator<Item = usize> {
    let most = if closely { settings.excesses } else { 1 };
    (0..room).step_by((room / most).max(1)).chain([room])
}

fn possible(size: usize, align: usize, max_align: usize) -> Option<Layout> {
    Layout::from_size_align(size, align.min(max_align)).ok()
}
