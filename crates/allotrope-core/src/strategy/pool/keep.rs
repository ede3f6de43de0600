//! What is done to a whole pool: counting, checking, giving back.

use super::chunk::{Chunk, Classed};
use super::regions::{Older, Waiting};
use super::{Class, Pool, SHARDS, Shard};
use crate::hook::{Event, EventKind, Hook, Record};
use crate::layout::powers::{Blocks, CLASSES};
use crate::strategy::Broken;
use crate::{Policy, Source};

/// How many blocks of a class there are, and how many of them are free.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) blocks: usize,
    pub(super) free: usize,
}

impl<S: Source, P: Policy, H: Hook> Pool<S, P, H> {
    /// The blocks of `class`.
    pub(super) fn count(&self, class: usize) -> Counts {
        let mut counts = Counts::default();
        for id in self.classes[class].all.iter(&Older(&self.regions)) {
            counts.blocks += self.blocks_of(class).map_or(0, Blocks::count);
            // SAFETY: chunks in the list of a class have it (invariant 1).
            counts.free += unsafe { self.regions.classed(id) }.occupancy().free();
        }
        counts
    }

    fn blocks_of(&self, class: usize) -> Option<Blocks> {
        Chunk::blocks_of(class, self.regions.chunk_size())
    }

    /// Does nobody have a block in this chunk, which has a class?
    fn is_unused(&self, chunk: Classed<'_>, class: usize) -> bool {
        self.blocks_of(class).is_some_and(|blocks| chunk.occupancy().free() == blocks.count())
    }

    /// Forgets all shards' words, and which chunks wait or have a class.
    fn forget(&mut self) {
        self.shards.fill_with(Shard::new);
        for Class { ready, all } in &mut self.classes {
            ready.clear();
            all.clear();
        }
    }

    /// Makes every chunk spare.
    pub(super) fn reset_all(&mut self) {
        self.forget();
        self.regions.forget_spare();
        let regions = &self.regions;
        // SAFETY: the pool is borrowed mutably, which ends all blocks (`SharedStrategy::reset`),
        // and what is in lists was forgotten just now. So this thread has all chunks to itself.
        unsafe {
            for (_, chunk) in regions.chunks() {
                if let Some((_, classed)) = chunk.classed() {
                    classed.clear();
                }
                regions.keep_spare(chunk);
            }
        }
    }

    /// Gives back what nobody uses: whole regions, the chunks at the end of a region, and the
    /// pages inside of other chunks.
    pub(super) fn trim_all(&mut self, record: &mut H::Record) {
        self.forget();
        self.regions.forget_spare();
        // SAFETY: the pool is borrowed mutably, and what is in lists was forgotten just now, so
        // this thread has all chunks to itself. Those that are cleared have no block in use.
        unsafe {
            for (_, chunk) in self.regions.chunks() {
                if let Some((class, classed)) = chunk.classed()
                    && self.is_unused(classed, class)
                {
                    let (start, size) = (chunk.start().addr().get(), self.regions.chunk_size());
                    record.push(|| Event::internal(EventKind::Release, start, size));
                    classed.clear();
                }
            }
            self.regions.give_back_spare();
            let Pool { regions, classes, .. } = self;
            for (_, chunk) in regions.chunks() {
                let Some((class, classed)) = chunk.classed() else {
                    regions.keep_spare(chunk);
                    continue;
                };
                classes[class].all.push(chunk.id(), &Older(regions));
                if classed.summarize() {
                    classes[class].ready.push(chunk.id(), &Waiting(regions));
                }
            }
        }
    }

    /// Tells of all chunks that they go with the pool.
    pub(super) fn note_release(&mut self, record: &mut H::Record) {
        if H::Record::KEEPS {
            let size = self.regions.chunk_size();
            // SAFETY: the pool is borrowed mutably: no call is under way.
            for (_, chunk) in unsafe { self.regions.chunks() } {
                // SAFETY: as above.
                if unsafe { chunk.classed() }.is_some() {
                    let start = chunk.start().addr().get();
                    record.push(|| Event::internal(EventKind::Release, start, size));
                }
            }
        }
    }

    /// Checks the chunks that have a class. What it reads is there for any thread; what it concludes
    /// holds while no call is under way.
    pub(super) fn check(&self) -> Result<(), Broken> {
        for class in 0..CLASSES {
            for id in self.classes[class].all.iter(&Older(&self.regions)) {
                // SAFETY: as in `count`.
                self.check_chunk(unsafe { self.regions.classed(id) }, class)?;
            }
        }
        Ok(())
    }

    /// Checks that every chunk is in a list, and that those with free blocks are found.
    ///
    /// # Safety
    ///
    /// All other calls have been waited for. Heads of chunks that are just being cut, or pass
    /// from stack to stack, must not be read.
    pub(super) unsafe fn check_lists(&self) -> Result<(), Broken> {
        let mut known = 0;
        for class in 0..CLASSES {
            let mut held = 0;
            for id in self.classes[class].all.iter(&Older(&self.regions)) {
                // SAFETY: as in `count`.
                let chunk = unsafe { self.regions.classed(id) };
                held += usize::from(chunk.occupancy().state().0);
                known += 1;
            }
            let holders = self.holders(class, held + 1);
            require(holders == held, "a chunk that is held is found by one who looks", 0)?;
        }
        let cut = self.regions.cut();
        let spare = self.regions.spare.iter(&Waiting(&self.regions)).take(cut + 1).count();
        require(known + spare == cut, "every chunk is spare or in the list of its class", 0)
    }

    fn check_chunk(&self, chunk: Classed<'_>, class: usize) -> Result<(), Broken> {
        let address = chunk.start().addr().get();
        // SAFETY: a chunk with a class keeps it while the pool is borrowed.
        let has_class = unsafe { chunk.classed() }.is_some_and(|(of, _)| of == class);
        require(has_class, "a chunk in a list has the list's class", address)?;
        let occupancy = chunk.occupancy();
        let (held, raised) = occupancy.state();
        require(held || !raised, "a chunk that may have a free block is held", address)?;
        let Some(blocks) = self.blocks_of(class) else {
            return require(false, "a chunk has room for a block of its class", address);
        };
        for (number, word) in occupancy.words().iter().enumerate() {
            let free = word.free();
            require(free & !blocks.bits(number) == 0, "only blocks are free", address)?;
            let found = free == 0 || occupancy.is_raised(number);
            require(found, "a word with a free block is found", address)?;
        }
        Ok(())
    }

    /// How many chunks of `class` are a shard's, or wait for one; counted up to `most` of each.
    fn holders(&self, class: usize, most: usize) -> usize {
        let waiting = self.classes[class].ready.iter(&Waiting(&self.regions)).take(most).count();
        waiting + (0..SHARDS).filter_map(|shard| self.word_of(shard, class)).count()
    }
}

fn require(holds: bool, invariant: &'static str, address: usize) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { invariant, address }) }
}
