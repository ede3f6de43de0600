//! Sources that do all that a source may, and no more: regions of odd size and alignment, committed
//! in part or not at all, with contents that are not zero, and calls that fail.
//!
//! Goal: bytes used that are not committed, bytes taken for zero that are not, memory lost or state
//! changed when a source refuses, memory that its owner cannot use when it is given back.
//!
//! Method: random calls, each checked against a shadow of all blocks and what is in them. Bytes
//! that are not committed hold a pattern that must be there yet when they are.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::env;
use std::ops::Range;
use std::ptr::NonNull;

use allotrope_core::{
    AllocError, BestFit, Contents, FixedSize, Policy, Region, Segregated, Source, Strategy,
};

/// What a source of this file does.
#[derive(Clone, Copy, Debug)]
struct Ways {
    /// No region is larger.
    limit: usize,
    /// Regions start as many bytes, at most 16, after a multiple of 4096.
    shift: usize,
    /// How many bytes are committed from the start.
    committed: usize,
    contents: Contents,
    /// What bytes read as that were decommitted, or discarded.
    decommitted: Contents,
}

/// A source with its ways, that counts what is out and fails when it is told to.
struct Odd<'a> {
    ways: Ways,
    state: &'a State,
}

#[derive(Default)]
struct State {
    regions: RefCell<Vec<Lent>>,
    /// How many calls succeed before one fails.
    patience: Cell<Option<usize>>,
    /// May a call that fails give back what nobody needs?
    may_give_back: bool,
}

struct Lent {
    start: usize,
    bytes: Vec<Standing>,
}

/// How a byte of a region stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Standing {
    New,
    Committed,
    Decommitted,
}

/// What a byte reads as that may not be accessed.
const NOT_NOW: u8 = 0x5A;
const JUNK: u8 = 0xA7;

impl State {
    fn fails(&self) -> bool {
        match self.patience.get() {
            Some(0) => true,
            Some(left) => {
                self.patience.set(Some(left - 1));
                false
            }
            None => false,
        }
    }

    fn bytes_out(&self) -> usize {
        self.regions.borrow().iter().map(|lent| lent.bytes.len()).sum()
    }

    #[cfg(not(allotrope_asan))]
    fn bytes_committed(&self) -> usize {
        let regions = self.regions.borrow();
        let bytes = regions.iter().flat_map(|lent| &lent.bytes);
        bytes.filter(|standing| **standing == Standing::Committed).count()
    }
}

impl Odd<'_> {
    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size + 16, 4096).unwrap()
    }

    fn fill(byte: NonNull<u8>, contents: Contents) {
        let value = if contents == Contents::Zero { 0 } else { JUNK };
        // SAFETY: the byte lies in a region of ours (callers).
        unsafe { byte.write(value) };
    }

    /// Does `change` to each byte of `range`, with how it stands.
    fn each(
        &self,
        region: &Region,
        range: Range<usize>,
        change: impl Fn(NonNull<u8>, &mut Standing),
    ) {
        assert!(range.start <= range.end && range.end <= region.size());
        let mut regions = self.state.regions.borrow_mut();
        let start = region.start().addr().get();
        let lent = regions.iter_mut().find(|lent| lent.start == start).unwrap();
        for index in range {
            // SAFETY: in the region.
            change(unsafe { region.start().add(index) }, &mut lent.bytes[index]);
        }
    }
}

// SAFETY: regions are blocks of the system allocator, that stay until they are released; all of a
// region can be accessed, committed or not.
unsafe impl Source for Odd<'_> {
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        assert!(least > 0 && wanted >= least);
        let size = wanted.min(self.ways.limit);
        if self.state.fails() || size < least {
            return Err(AllocError);
        }
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc::alloc(Self::layout(size)) }).ok_or(AllocError)?;
        // SAFETY: the block is 16 bytes longer than `size`, and `shift` is less.
        let start = unsafe { start.add(self.ways.shift) };
        let committed = self.ways.committed.min(size);
        let mut bytes = vec![Standing::New; size];
        for (index, standing) in bytes.iter_mut().enumerate() {
            // SAFETY: in the block.
            let byte = unsafe { start.add(index) };
            // SAFETY: as above.
            unsafe { byte.write(NOT_NOW) };
            if index < committed {
                *standing = Standing::Committed;
                Self::fill(byte, self.ways.contents);
            }
        }
        self.state.regions.borrow_mut().push(Lent { start: start.addr().get(), bytes });
        let bytes = NonNull::slice_from_raw_parts(start, size);
        Ok(Region::new(bytes, committed, self.ways.contents))
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        if self.state.fails() {
            return Err(AllocError);
        }
        self.each(region, range, |byte, standing| {
            let contents = match standing {
                Standing::Committed => return,
                Standing::New => self.ways.contents,
                Standing::Decommitted => self.ways.decommitted,
            };
            // SAFETY: in the region.
            assert_eq!(unsafe { byte.read() }, NOT_NOW, "written before it was committed");
            *standing = Standing::Committed;
            Self::fill(byte, contents);
        });
        Ok(())
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        self.each(region, range, |byte, standing| {
            assert!(*standing == Standing::Committed);
            // An operating system may write to what is poisoned; this may not.
            if !cfg!(allotrope_asan) {
                *standing = Standing::Decommitted;
                // SAFETY: in the region, and nobody needs what is there (caller).
                unsafe { byte.write(NOT_NOW) };
            }
        });
        if cfg!(allotrope_asan) { Contents::Unknown } else { self.ways.decommitted }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        self.each(region, range, |byte, standing| {
            assert!(*standing == Standing::Committed);
            if !cfg!(allotrope_asan) {
                Self::fill(byte, self.ways.decommitted);
            }
        });
        if cfg!(allotrope_asan) { Contents::Unknown } else { self.ways.decommitted }
    }

    unsafe fn release(&self, region: Region) {
        let mut regions = self.state.regions.borrow_mut();
        let start = region.start().addr().get();
        let place = regions.iter().position(|lent| lent.start == start).unwrap();
        let lent = regions.swap_remove(place);
        assert_eq!(lent.bytes.len(), region.size());
        for (index, standing) in lent.bytes.into_iter().enumerate() {
            // SAFETY: in the region, which is ours again.
            let byte = unsafe { region.start().add(index).as_mut() };
            let is_clean = standing == Standing::Committed || *byte == NOT_NOW;
            assert!(is_clean, "written while it was not committed");
            *byte = 0;
        }
        // SAFETY: `reserve` allocated it with this layout, and shifted it by as much.
        unsafe {
            let block = region.start().sub(self.ways.shift);
            alloc::dealloc(block.as_ptr(), Self::layout(region.size()));
        }
    }
}

/// Small figures, so that there is much of everything.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 256;
    const GROWTH_SIZE: usize = 512;
    const RESERVE_SIZE: usize = 8192;
    const LARGEST_CLASS: usize = 64;
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

struct Block {
    start: NonNull<u8>,
    layout: Layout,
    len: usize,
    seed: u8,
}

impl Block {
    fn new(block: NonNull<[u8]>, layout: Layout, seed: u8, kept: usize) -> Self {
        assert!(block.len() >= layout.size());
        assert!(block.addr().get().is_multiple_of(layout.align()));
        let this = Self { start: block.cast(), layout, len: block.len(), seed };
        for index in kept..this.len {
            // SAFETY: in the block.
            unsafe { this.start.add(index).write(this.expected(index)) };
        }
        this
    }

    fn expected(&self, index: usize) -> u8 {
        self.seed.wrapping_add(index as u8)
    }

    fn check(&self, len: usize) {
        for index in 0..len {
            // SAFETY: in the block.
            let byte = unsafe { self.start.add(index).read() };
            assert_eq!(byte, self.expected(index), "byte {index} of {:?}", self.layout);
        }
    }

    /// Any layout that fits.
    fn fit(&self, random: &mut Random) -> Layout {
        let size = self.layout.size();
        let size = size + random.below(self.len - size + 1);
        Layout::from_size_align(size, self.layout.align()).unwrap()
    }
}

fn assert_zero(block: NonNull<[u8]>, from: usize) {
    for index in from..block.len() {
        // SAFETY: in the block.
        let byte = unsafe { block.cast::<u8>().add(index).read() };
        assert_eq!(byte, 0, "byte {index} of {} is not zero", block.len());
    }
}

/// Makes `steps` random calls, and checks all after each.
fn model<S: Strategy>(strategy: &mut S, state: &State, max: usize, steps: usize, seed: u64) {
    let random = &mut Random(seed * 2 + 1);
    let mut model = Model { strategy, blocks: Vec::new() };
    for step in 0..steps {
        let patience = [None, None, Some(random.below(5))][random.below(3)];
        state.patience.set(patience);
        let before = model.figures(state);
        let size = if random.below(2) == 0 { random.below(max) } else { random.below(64) };
        let alignments = if random.below(4) == 0 { 10 } else { 5 };
        let layout = Layout::from_size_align(size, 1 << random.below(alignments)).unwrap();
        let result = match random.below(100) {
            0 => model.reset(),
            1..=3 => model.trim(),
            4..=39 => model.allocate(random, layout, step as u8),
            40..=69 => model.free(random),
            _ => model.resize(random, layout),
        };
        state.patience.set(None);
        if result.is_err() {
            let after = model.figures(state);
            let less = after.0 <= before.0 && after.1 <= before.1 && after.2 == before.2;
            assert!(
                after == before || (state.may_give_back && less),
                "step {step}: {layout:?} failed and changed the state"
            );
        }
        model.check(state, step);
    }
    strategy.reset();
    strategy.trim();
    assert_eq!((state.bytes_out(), strategy.bytes_held()), (0, 0));
}

/// A strategy, and the blocks that it must have handed out.
struct Model<'a, S> {
    strategy: &'a mut S,
    blocks: Vec<Block>,
}

impl<S: Strategy> Model<'_, S> {
    fn figures(&self, state: &State) -> (usize, usize, usize) {
        (state.bytes_out(), self.strategy.bytes_held(), self.strategy.bytes_used())
    }

    fn reset(&mut self) -> Result<(), AllocError> {
        self.blocks.clear();
        self.strategy.reset();
        Ok(())
    }

    fn trim(&mut self) -> Result<(), AllocError> {
        self.strategy.trim();
        Ok(())
    }

    fn allocate(
        &mut self,
        random: &mut Random,
        layout: Layout,
        seed: u8,
    ) -> Result<(), AllocError> {
        let block = if random.below(2) == 0 {
            let block = self.strategy.allocate_zeroed(layout)?;
            assert_zero(block, 0);
            block
        } else {
            self.strategy.allocate(layout)?
        };
        self.blocks.push(Block::new(block, layout, seed, 0));
        Ok(())
    }

    fn free(&mut self, random: &mut Random) -> Result<(), AllocError> {
        if let Some(block) = self.take_any(random) {
            let layout = block.fit(random);
            // SAFETY: the block is in use, and forgotten.
            unsafe { self.strategy.deallocate(block.start, layout) };
        }
        Ok(())
    }

    fn resize(&mut self, random: &mut Random, new: Layout) -> Result<(), AllocError> {
        let Some(block) = self.take_any(random) else { return Ok(()) };
        let old = block.fit(random);
        let zeroed = random.below(2) == 0;
        // SAFETY: the block is in use, and forgotten if this succeeds.
        let result = unsafe {
            match (new.size() >= old.size(), zeroed) {
                (true, true) => self.strategy.grow_zeroed(block.start, old, new),
                (true, false) => self.strategy.grow(block.start, old, new),
                (false, _) => self.strategy.shrink(block.start, old, new),
            }
        };
        let Ok(moved) = result else {
            block.check(block.len);
            self.blocks.push(block);
            return Err(AllocError);
        };
        if zeroed && new.size() >= old.size() {
            assert_zero(moved, old.size());
        }
        let kept = old.size().min(new.size());
        Block { start: moved.cast(), layout: new, len: kept, ..block }.check(kept);
        self.blocks.push(Block::new(moved, new, block.seed, kept));
        Ok(())
    }

    /// Takes a block out of the books, still whole.
    fn take_any(&mut self, random: &mut Random) -> Option<Block> {
        if self.blocks.is_empty() {
            return None;
        }
        let block = self.blocks.swap_remove(random.below(self.blocks.len()));
        block.check(block.len);
        Some(block)
    }

    fn check(&self, state: &State, step: usize) {
        assert_eq!(self.strategy.check_invariants(), Ok(()), "step {step}");
        let used: usize = self.blocks.iter().map(|block| S::extent(block.layout).unwrap()).sum();
        assert_eq!(self.strategy.bytes_used(), used, "step {step}");
        let held = self.strategy.bytes_held();
        assert!(used + self.strategy.bytes_free() <= held, "step {step}");
        assert!(held <= state.bytes_out(), "step {step}");
        if step.is_multiple_of(16) {
            self.blocks.iter().for_each(|block| block.check(block.len));
        }
    }
}

fn all_ways(mut test: impl FnMut(Ways, u64)) {
    use Contents::{Unknown, Zero};
    let mut seed = 0;
    for limit in [200, 1000, 3000, 20_000] {
        for shift in [0, 1, 8, 15] {
            for committed in [0, 100, usize::MAX] {
                for (contents, decommitted) in
                    [(Zero, Zero), (Zero, Unknown), (Unknown, Zero), (Unknown, Unknown)]
                {
                    seed += 1;
                    test(Ways { limit, shift, committed, contents, decommitted }, seed);
                }
            }
        }
    }
}

/// How many calls each model makes; fewer where everything takes ten times as long, or where a
/// sample will do.
fn steps() -> usize {
    let is_set = |name| env::var_os(name).is_some();
    match is_set("ALLOTROPE_EMULATED") || is_set("ALLOTROPE_SAMPLED") {
        _ if cfg!(miri) => 30,
        true => 300,
        false => 1500,
    }
}

#[test]
fn best_fit_gets_by_with_any_source() {
    all_ways(|ways, seed| {
        let state = State::default();
        let mut heap = BestFit::<_, Tiny>::with_policy(Odd { ways, state: &state });
        println!("{ways:?} {seed}");
        model(&mut heap, &state, ways.limit * 3 / 4, steps(), seed);
    });
}

#[test]
fn fixed_size_gets_by_with_any_source() {
    all_ways(|ways, seed| {
        let state = State::default();
        let source = || Odd { ways, state: &state };
        println!("{ways:?} {seed}");
        model(&mut FixedSize::<16, _, Tiny>::with_policy(source()), &state, 20, steps(), seed);
        model(&mut FixedSize::<48, _, Tiny>::with_policy(source()), &state, 60, steps(), seed);
        model(&mut FixedSize::<64, _, Tiny>::with_policy(source()), &state, 80, steps(), seed);
        model(&mut FixedSize::<700, _, Tiny>::with_policy(source()), &state, 800, steps(), seed);
    });
}

#[test]
fn segregated_gets_by_with_any_source() {
    all_ways(|ways, seed| {
        let state = State { may_give_back: true, ..State::default() };
        println!("{ways:?} {seed}");
        let source = Odd { ways, state: &state };
        let mut heap = Segregated::<_, Tiny>::with_policy(source);
        model(&mut heap, &state, 100, steps(), seed);
        drop(heap);
        if ways.limit > 5000 {
            let source = Odd { ways, state: &state };
            let mut heap = Segregated::<_, Tiny>::with_policy(source);
            model(&mut heap, &state, 8000, steps() / 4, seed);
        }
    });
}

const PLAIN: Ways = Ways {
    limit: 1000,
    shift: 0,
    committed: usize::MAX,
    contents: Contents::Unknown,
    decommitted: Contents::Unknown,
};

#[test]
fn an_alignment_that_no_region_had_room_for_kept_a_region_at_every_try() {
    let state = State::default();
    // No multiple of 4096 lies in such a region.
    let ways = Ways { shift: 16, limit: 4000, ..PLAIN };
    let mut heap = BestFit::<_, Tiny>::with_policy(Odd { ways, state: &state });
    for _ in 0..10 {
        assert_eq!(heap.allocate(Layout::from_size_align(64, 1 << 16).unwrap()), Err(AllocError));
        assert_eq!((state.bytes_out(), heap.bytes_held()), (0, 0));
    }
}

#[test]
fn a_chunk_that_could_not_be_committed_kept_a_region_at_every_try() {
    let state = State::default();
    let ways = Ways { committed: 0, ..PLAIN };
    let mut pool = FixedSize::<64, _, Tiny>::with_policy(Odd { ways, state: &state });
    for _ in 0..10 {
        // The region is reserved, and its head committed; its chunk is not.
        state.patience.set(Some(2));
        assert_eq!(pool.allocate(Layout::new::<u64>()), Err(AllocError));
        assert_eq!((state.bytes_out(), pool.bytes_held()), (0, 0));
    }
}

#[test]
fn memory_that_was_decommitted_before_it_was_used_was_taken_for_zero() {
    let state = State::default();
    let ways = Ways { contents: Contents::Zero, ..PLAIN };
    let mut heap = BestFit::<_, Tiny>::with_policy(Odd { ways, state: &state });
    let layout = Layout::new::<[u8; 100]>();
    heap.allocate(layout).unwrap();
    heap.trim();
    assert_zero(heap.allocate_zeroed(layout).unwrap(), 0);
}

#[cfg(not(allotrope_asan))]
#[test]
fn a_region_that_did_not_grow_stayed_committed() {
    let state = State::default();
    let ways = Ways { limit: 1 << 20, committed: 0, contents: Contents::Zero, ..PLAIN };
    let mut heap =
        Segregated::<_, Tiny>::with_policy(Odd { ways: Ways { shift: 8, ..ways }, state: &state });
    let layout = |size| Layout::from_size_align(size, 1 << 14).unwrap();
    let block = heap.allocate(layout(5000)).unwrap();
    let before = (state.bytes_committed(), state.bytes_out(), heap.bytes_held());
    for _ in 0..3 {
        // All is committed, the region cannot grow, and there is no other.
        state.patience.set(Some(1));
        // SAFETY: the block is in use.
        let grown = unsafe { heap.grow(block.cast(), layout(5000), layout(100_000)) };
        state.patience.set(None);
        assert_eq!(grown, Err(AllocError));
        let after = (state.bytes_committed(), state.bytes_out(), heap.bytes_held());
        assert_eq!(after, before);
    }
    // What is decommitted is not zero.
    // SAFETY: as above.
    let grown = unsafe { heap.grow_zeroed(block.cast(), layout(5000), layout(20_000)) }.unwrap();
    assert_zero(grown, 5000);
}
