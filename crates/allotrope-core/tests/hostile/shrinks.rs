//! Blocks that shrink when there is no more memory: in place, or `Err` with everything as it was.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use allocator_api2::alloc::Global;
use allotrope_core::{
    AllocError, Buffer, Contents, DefaultPolicy, Local, Movement, OsPages, Pool, Region,
    Segregated, SharedStrategy, Source, Strategy, Upstream,
};

use super::kinds::{Block, FIXED, Kind, Tiny, each, layout};

/// A source that lends nothing more once it is closed, and counts what it has lent.
struct Closing<'a, S> {
    source: S,
    state: &'a State,
}

#[derive(Default)]
struct State {
    is_closed: AtomicBool,
    regions: AtomicUsize,
    /// How many shrinks were refused.
    refusals: AtomicUsize,
}

impl State {
    fn close(&self, is_closed: bool) {
        self.is_closed.store(is_closed, Ordering::Relaxed);
    }

    fn admit(&self) -> Result<(), AllocError> {
        if self.is_closed.load(Ordering::Relaxed) { Err(AllocError) } else { Ok(()) }
    }
}

// SAFETY: every call is one of the source inside, or a refusal.
unsafe impl<S: Source> Source for Closing<'_, S> {
    const RESERVES_AHEAD: bool = S::RESERVES_AHEAD;
    const REGION_ALIGN: usize = S::REGION_ALIGN;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.state.admit()?;
        let region = self.source.reserve(least, wanted)?;
        self.state.regions.fetch_add(1, Ordering::Relaxed);
        Ok(region)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        if range.end > region.committed() {
            self.state.admit()?;
        }
        // SAFETY: as the caller promises.
        unsafe { self.source.commit(region, range) }
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        unsafe { self.source.decommit(region, range) }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        unsafe { self.source.discard(region, range) }
    }

    unsafe fn release(&self, region: Region) {
        self.state.regions.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.source.release(region) };
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        if self.state.admit().is_err() {
            return Err(region);
        }
        // SAFETY: as the caller promises.
        unsafe { self.source.grow_region(region, size, movement) }
    }
}

/// Sizes and alignments on either side of every limit of [`Tiny`], of a pool, and of pages.
fn layouts() -> impl Iterator<Item = Layout> {
    const SIZES: [usize; 8] = [0, 1, 24, 100, 300, 3000, 5000, 20_000];
    SIZES.into_iter().flat_map(|size| [1, 64, 4096].map(|align| layout(size, align)))
}

/// The table of [`Strategy::shrink`], for every kind: with a source that lends nothing more, and no
/// block for the new layout anywhere.
#[test]
fn a_shrink_failed_although_the_block_could_stay() {
    let state = State::default();
    let upstream = || Closing { source: Upstream::new(Global), state: &state };
    let pages = || Closing { source: OsPages::new(), state: &state };
    let mut bytes = vec![MaybeUninit::<u8>::uninit(); 1 << 15];
    let start = NonNull::from(&mut bytes[..]).cast::<u8>();
    for (old, new) in pairs() {
        each::<Tiny, _>(upstream, |name, memory| sweep(&state, name, memory, old, new));
        each::<Tiny, _>(pages, |name, memory| sweep(&state, name, memory, old, new));
        let mut asked = 0;
        // SAFETY: as in `resize.rs`: the last kind gets both halves, and each other one the first.
        let buffer = || unsafe {
            asked += 1;
            let start = if asked > 9 { start.add(1 << 14) } else { start };
            Closing { source: Buffer::from_raw_parts(start, 1 << 14), state: &state }
        };
        each::<Tiny, _>(buffer, |name, memory| sweep(&state, name, memory, old, new));
        assert_eq!(state.regions.load(Ordering::Relaxed), 0, "{old:?} to {new:?}");
    }
    // Those that move to another class, for one.
    assert!(state.refusals.load(Ordering::Relaxed) > 100);
}

/// Every layout, with every one that is no larger.
fn pairs() -> impl Iterator<Item = (Layout, Layout)> {
    let all = || layouts().flat_map(|old| layouts().map(move |new| (old, new)));
    all().filter(|(old, new)| new.size() <= old.size()).step_by(if cfg!(miri) { 7 } else { 1 })
}

/// Shrinks one block of an exhausted allocator.
fn sweep(state: &State, name: &str, memory: Box<dyn Kind + Send + '_>, old: Layout, new: Layout) {
    let memory = &*memory;
    let what = format!("{name}: {old:?} to {new:?}");
    state.close(false);
    if let (Some(before), Some(after)) = (cost(memory, old), cost(memory, new))
        && let Some(block) = Block::new(memory, old, 7)
    {
        state.close(true);
        let others = fill(memory, new);
        let (start, used) = (block.start, memory.used());
        let size = if others.len().is_multiple_of(2) { block.len } else { old.size() };
        let block = match block.shrink(memory, size, new) {
            Ok(block) => {
                assert!(block.start == start || new.size() == 0 || old.size() == 0, "{what}");
                assert_eq!(memory.used(), used - before + after, "{what}");
                block
            }
            Err(block) => {
                assert!(!never_fails(name, old, new), "{what}");
                assert_eq!(memory.used(), used, "{what}");
                state.refusals.fetch_add(1, Ordering::Relaxed);
                block
            }
        };
        memory.check();
        others.iter().for_each(|block| block.check(block.len));
        others.into_iter().chain([block]).for_each(|block| block.free(memory));
        memory.check();
        assert_eq!(memory.used(), 0, "{what}");
    }
}

/// How many bytes a block for `layout` takes, if there is one.
fn cost(memory: &dyn Kind, layout: Layout) -> Option<usize> {
    let block = Block::new(memory, layout, 1)?;
    let used = memory.used();
    block.free(memory);
    Some(used - memory.used())
}

/// Takes blocks for `layout` until there are none.
fn fill(memory: &dyn Kind, layout: Layout) -> Vec<Block> {
    let mut blocks = Vec::new();
    while layout.size() > 0
        && let Some(block) = Block::new(memory, layout, blocks.len() as u8)
    {
        blocks.push(block);
    }
    blocks
}

/// Whether the table of [`Strategy::shrink`] promises that the block stays where it is.
fn never_fails(name: &str, old: Layout, new: Layout) -> bool {
    type Classes = Segregated<OsPages, Tiny>;
    let least = if name == "AlignTo<128>" { 128 } else { 1 };
    if new.size() == 0 {
        return true;
    }
    if new.align().max(least) > old.align().max(least) {
        return false;
    }
    let same_or_above = |extent: fn(Layout) -> Option<usize>, limit: usize| {
        extent(old) == extent(new) || extent(new) > Some(limit)
    };
    match name {
        "Affix" => old.align().max(8) == new.align().max(8),
        "BySize" => (old.size() <= FIXED) == (new.size() <= FIXED),
        "Segregated" | "Locked" => same_or_above(Classes::extent, 256),
        "Pool" => same_or_above(Pool::<OsPages>::extent, 4096),
        _ => true,
    }
}

/// A large block of an upstream that had no more was refused to shrink, though nothing had to move.
#[test]
fn a_large_block_of_an_exhausted_upstream_could_not_shrink() {
    fn shrink_and_grow(state: &State, memory: &dyn Kind) {
        let block = Block::new(memory, layout(100_000, 8), 1).unwrap();
        let used = memory.used();
        state.close(true);
        let Ok(block) = block.resize(memory, layout(50_000, 8)) else { panic!("refused") };
        assert_eq!((block.len, used - memory.used()), (53_248, 102_400 - 53_248));
        memory.check();
        // The rest was not the source's to take, so it is still there.
        let Ok(block) = block.resize(memory, layout(100_000, 8)) else { panic!("refused") };
        assert_eq!((block.len, memory.used()), (102_400, used));
        block.free(memory);
        memory.check();
        assert_eq!(memory.used(), 0);
        state.close(false);
    }

    let state = State::default();
    let upstream = || Closing { source: Upstream::new(Global), state: &state };
    shrink_and_grow(&state, &Local::new(Segregated::new(upstream())));
    shrink_and_grow(&state, &Pool::<_, DefaultPolicy>::with_policy(upstream()));
    assert_eq!(state.regions.load(Ordering::Relaxed), 0);
}
