//! Blocks that are asked for as zero are, whatever was in their memory before.
//!
//! Goal: a byte that is taken for zero because its memory was once, and a scope, a large block or a region that
//! grew has written to it since.
//!
//! Method: random calls on arenas of every kind, each block filled as soon as it is checked. One source lends
//! zeros and dirt by turns, and grows its regions by both.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;
use std::slice;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{AllocError, Contents, Movement, OsPages, Region, Source, Upstream};
use allotrope_scope::{Arena, ArenaPool, SharedArena};

/// How many calls a random script makes.
const STEPS: usize = if cfg!(miri) { 60 } else { 1200 };

/// The size in bytes of the largest block.
const LARGEST: usize = if cfg!(miri) { 20_000 } else { 1 << 20 };

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    fn layout(&mut self) -> Layout {
        let bound = [64, 4096, 100_000.min(LARGEST), LARGEST][self.below(4)];
        let align = [1, 8, 16, 64, 4096][self.below(5)];
        Layout::from_size_align(1 + self.below(bound), align).unwrap()
    }
}

/// A block in use, filled with its number.
struct Used {
    start: NonNull<u8>,
    layout: Layout,
    number: u8,
}

impl Used {
    /// Fills a block, of which the first `kept` bytes are those of `number`, and the rest is zero if it
    /// has to be.
    #[track_caller]
    fn new(block: NonNull<[u8]>, layout: Layout, kept: (usize, u8), is_zeroed: bool) -> Self {
        let number = kept.1 | 1;
        let start = block.cast::<u8>();
        // SAFETY: the block is in use, and so long; what was not zeroed is not read.
        unsafe {
            let read = if is_zeroed { layout.size() } else { kept.0 };
            let bytes = slice::from_raw_parts(start.as_ptr(), read);
            let (old, new) = bytes.split_at(kept.0.min(read));
            assert!(old.iter().all(|byte| *byte == number), "{layout:?} lost what it had");
            let dirty = new.iter().position(|byte| *byte != 0);
            assert_eq!(dirty, None, "{layout:?} is not zero, {} bytes kept", kept.0);
            start.write_bytes(number, layout.size());
        }
        Self { start, layout, number }
    }
}

/// Some random calls; what is in use then.
fn work(allocator: &impl Allocator, random: &mut Random, used: &mut Vec<Used>, steps: usize) {
    for _ in 0..steps {
        let is_zeroed = random.below(3) > 0;
        match random.below(8) {
            0..4 => {
                let layout = random.layout();
                let block = match is_zeroed {
                    true => allocator.allocate_zeroed(layout).unwrap(),
                    false => allocator.allocate(layout).unwrap(),
                };
                used.push(Used::new(block, layout, (0, random.below(256) as u8), is_zeroed));
            }
            _ if used.is_empty() => {}
            call => {
                // Often the newest, which may stay in its place.
                let last = used.len() - 1;
                let index = if random.below(2) == 0 { last } else { random.below(used.len()) };
                let Used { start, layout: old, number } = used.swap_remove(index);
                let (size, align) = (old.size(), old.align());
                let less = Layout::from_size_align(1 + random.below(size), align).unwrap();
                let more = Layout::from_size_align(size + random.below(size + 99), align).unwrap();
                // SAFETY: the block is in use, with this layout; sizes fall and rise as they should.
                unsafe {
                    match call {
                        4 => allocator.deallocate(start, old),
                        5 => {
                            let block = allocator.shrink(start, old, less).unwrap();
                            used.push(Used::new(block, less, (less.size(), number), false));
                        }
                        _ if more.size() > 2 * LARGEST => allocator.deallocate(start, old),
                        _ => {
                            let block = match is_zeroed {
                                true => allocator.grow_zeroed(start, old, more).unwrap(),
                                false => allocator.grow(start, old, more).unwrap(),
                            };
                            used.push(Used::new(block, more, (size, number), is_zeroed));
                        }
                    }
                }
            }
        }
        if used.len() > 30 {
            // Not freed: they go with their scope.
            used.drain(..20);
        }
    }
}

fn in_scopes<S: Source>(arena: &mut Arena<S>, seed: u64) {
    let mut random = Random(seed);
    let mut used = Vec::new();
    for turn in 0..STEPS / 40 {
        work(&&*arena, &mut random, &mut used, 10);
        arena.scope(|scope| {
            let mut used = Vec::new();
            work(&&*scope, &mut random, &mut used, 10);
            scope.scope(|inner| work(&&*inner, &mut random, &mut Vec::new(), 10));
            work(&&*scope, &mut random, &mut used, 10);
        });
        for Used { start, layout, number } in &used {
            // SAFETY: the block is in use.
            let bytes = unsafe { slice::from_raw_parts(start.as_ptr(), layout.size()) };
            assert!(bytes.iter().all(|byte| byte == number), "a scope has written to {layout:?}");
        }
        if turn % 5 == 4 {
            used.clear();
            arena.reset();
            arena.shrink_to(random.below(4 * LARGEST));
        }
        arena.check_invariants().unwrap();
    }
}

/// Lends memory of std's allocator, which is zero or dirt by turns, and grows it, too.
struct Mixed(Cell<u32>);

impl Mixed {
    /// What comes next.
    fn next(&self) -> u32 {
        self.0.set(self.0.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        self.0.get() >> 28
    }

    /// A region of `size` bytes that begins with those of `old`.
    fn lend(&self, size: usize, old: &[u8]) -> Result<Region, AllocError> {
        let layout = Layout::from_size_align(size, 4096).map_err(|_| AllocError)?;
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc::alloc(layout) }).ok_or(AllocError)?;
        let (byte, contents) =
            if self.next() < 9 { (0, Contents::Zero) } else { (0xAA, Contents::Unknown) };
        // SAFETY: the memory is new, and no shorter than `old`.
        unsafe {
            start.write_bytes(byte, size);
            start.copy_from_nonoverlapping(NonNull::from(old).cast(), old.len());
        }
        Ok(Region::new(NonNull::slice_from_raw_parts(start, size), size, contents))
    }
}

// SAFETY: regions are blocks of std's allocator.
unsafe impl Source for Mixed {
    const REGION_ALIGN: usize = 4096;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.lend(if self.next() < 8 { least } else { wanted }, &[])
    }

    unsafe fn release(&self, region: Region) {
        let layout = Layout::from_size_align(region.size(), 4096).unwrap();
        // SAFETY: `lend` allocated it with this layout.
        unsafe { alloc::dealloc(region.start().as_ptr(), layout) };
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        _: Movement,
    ) -> Result<Region, Region> {
        if self.next() < 4 {
            return Err(region);
        }
        // SAFETY: all of the region was written when it was lent, and nobody writes to it meanwhile.
        let old = unsafe { region.bytes().as_ref() };
        let Ok(grown) = self.lend(size, old) else { return Err(region) };
        // SAFETY: as the caller promises.
        unsafe { self.release(region) };
        Ok(grown)
    }
}

#[test]
fn what_was_used_before_is_zero_again_in_an_arena_over_pages() {
    (1..4).for_each(|seed| in_scopes(&mut Arena::new(), seed));
}

#[test]
fn what_was_used_before_is_zero_again_in_an_arena_over_any_allocator() {
    in_scopes(&mut Arena::with_source(Upstream::new(Global)), 5);
}

#[test]
fn regions_that_grow_by_dirt_or_by_zeros_are_told_apart() {
    for seed in 0..8 {
        in_scopes(&mut Arena::with_source(Mixed(Cell::new(seed))), u64::from(seed));
    }
}

#[test]
fn what_was_used_before_is_zero_again_in_an_arena_that_waited_in_a_pool() {
    let pool: ArenaPool<OsPages, 1> = ArenaPool::keeping(8 * LARGEST);
    (1..6).for_each(|seed| in_scopes(&mut pool.get(), seed));
}

#[test]
fn what_was_used_before_is_zero_again_in_a_shared_arena() {
    let mut shared = SharedArena::new();
    let mut random = Random(7);
    for _ in 0..STEPS / 100 {
        let (mut used, mut of_handle) = (Vec::new(), Vec::new());
        let handle = shared.local();
        for _ in 0..5 {
            work(&&shared, &mut random, &mut used, 10);
            work(&&handle, &mut random, &mut of_handle, 10);
        }
        drop(handle);
        shared.reset();
        shared.shrink_to(random.below(4 * LARGEST));
    }
}

#[cfg(not(miri))]
#[test]
fn what_was_used_before_is_zero_again_in_an_ambient_scope() {
    use allotrope_scope::ambient::{self, Here};

    let mut random = Random(8);
    for _ in 0..STEPS / 100 {
        ambient::scope(|| {
            let mut used = Vec::new();
            for _ in 0..10 {
                work(&Here, &mut random, &mut used, 5);
                ambient::scope(|| work(&Here, &mut random, &mut used, 5));
            }
            // Blocks that are still in use would keep their scope's memory.
            for Used { start, layout, .. } in used {
                // SAFETY: the block is in use.
                unsafe { Here.deallocate(start, layout) };
            }
        });
    }
}
