//! All kinds of allocators over one source, and what the tests know of their blocks.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_core::{
    Affix, AlignTo, BestFit, BySize, FixedSize, Limit, Local, Locked, Policy, Pool, Segregated,
    Source, Strategy,
};

/// An allocator that can be held against its invariants.
pub trait Kind: Allocator {
    /// How many bytes are in use.
    fn used(&self) -> usize;

    /// Checks every invariant.
    fn check(&self);
}

impl<S: Strategy> Kind for Local<S> {
    fn used(&self) -> usize {
        self.bytes_used()
    }

    fn check(&self) {
        assert_eq!(self.check_invariants(), Ok(()));
    }
}

impl<S: Strategy> Kind for Locked<S> {
    fn used(&self) -> usize {
        self.bytes_used()
    }

    fn check(&self) {
        assert_eq!(self.check_invariants(), Ok(()));
    }
}

impl<S: Source, P: Policy> Kind for Pool<S, P> {
    fn used(&self) -> usize {
        self.bytes_used()
    }

    fn check(&self) {
        // SAFETY: these tests share no pool.
        assert_eq!(unsafe { self.check_at_rest() }, Ok(()));
    }
}

impl<const LIMIT: usize, A: Kind, B: Kind> Kind for BySize<LIMIT, A, B> {
    fn used(&self) -> usize {
        self.small().used() + self.large().used()
    }

    fn check(&self) {
        self.small().check();
        self.large().check();
    }
}

/// What has one part is as that part is.
macro_rules! as_its_part {
    ($([$($parameters:tt)*] $type:ty;)*) => {$(
        impl<$($parameters)*> Kind for $type {
            fn used(&self) -> usize {
                self.allocator().used()
            }

            fn check(&self) {
                self.allocator().check();
            }
        }
    )*};
}

as_its_part! {
    [A: Kind] Limit<A>;
    [A: Kind] Affix<A, u64, u16>;
    [const N: usize, A: Kind] AlignTo<N, A>;
}

/// Small chunks and regions, so that there are many.
pub struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
    const LARGEST_CLASS: usize = 256;
}

/// The size of the blocks of a `FixedSize`.
pub const FIXED: usize = 64;

/// Tests every kind of allocator over a source of its own, by the figures of `P`.
pub fn each<'s, P: Policy + Send + 's, S: Source + Send + 's>(
    mut source: impl FnMut() -> S,
    mut test: impl FnMut(&str, Box<dyn Kind + Send + 's>),
) {
    let mut best = || Local::new(BestFit::<_, P>::with_policy(source()));
    test("AlignTo<128>", Box::new(AlignTo::<128, _>::new(best())));
    test("Affix", Box::new(Affix::new(best(), 5_u64, 6_u16)));
    test("Limit", Box::new(Limit::new(best(), isize::MAX as usize)));
    test("BestFit", Box::new(best()));
    test("FixedSize", Box::new(Local::new(FixedSize::<FIXED, _, P>::with_policy(source()))));
    test("Segregated", Box::new(Local::new(Segregated::<_, P>::with_policy(source()))));
    test("Pool", Box::new(Pool::<_, P>::with_policy(source())));
    test("Locked", Box::new(Locked::new(Segregated::<_, P>::with_policy(source()))));
    let small = Local::new(FixedSize::<FIXED, _, P>::with_policy(source()));
    let large = Local::new(BestFit::<_, P>::with_policy(source()));
    test("BySize", Box::new(BySize::<FIXED, _, _>::new(small, large)));
}

/// A block, with a pattern at both of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub start: NonNull<u8>,
    pub len: usize,
    pub layout: Layout,
    seed: u8,
}

/// How many bytes of each end of a block are written.
const END: usize = 64;

// SAFETY: the record of a block; the block is memory that belongs to no thread.
unsafe impl Send for Block {}

impl Block {
    /// A block for `layout`, filled, if there is one.
    pub fn new(memory: &dyn Kind, layout: Layout, seed: u8) -> Option<Self> {
        let block = memory.allocate(layout).ok()?;
        Some(Self::entered(block, layout, seed))
    }

    fn entered(block: NonNull<[u8]>, layout: Layout, seed: u8) -> Self {
        assert!(block.len() >= layout.size(), "{layout:?} got {} bytes", block.len());
        assert!(block.addr().get().is_multiple_of(layout.align()), "{layout:?} got {block:?}");
        let this = Self { start: block.cast(), len: block.len(), layout, seed };
        for at in this.ends(this.len) {
            // SAFETY: the block is in use, and so long.
            unsafe { this.start.add(at).write(this.byte_at(at)) };
        }
        this
    }

    /// Nobody else has written to the first `len` bytes, or as many as there are.
    #[track_caller]
    pub fn check(&self, len: usize) {
        for at in self.ends(self.len).filter(|&at| at < len) {
            // SAFETY: as above, and written by `entered`.
            let byte = unsafe { self.start.add(at).read() };
            assert_eq!(byte, self.byte_at(at), "byte {at} of {} for {:?}", self.len, self.layout);
        }
    }

    /// Frees the block, by the size that was returned.
    #[track_caller]
    pub fn free(self, memory: &dyn Kind) {
        self.check(self.len);
        let layout = Layout::from_size_align(self.len, self.layout.align()).unwrap();
        // SAFETY: the block is in use, a size from the requested to the returned one fits, and
        // `self` ends here.
        unsafe { memory.deallocate(self.start, layout) };
    }

    /// Grows or shrinks the block to `new`. What it must keep is there; if it cannot be done,
    /// all is.
    #[track_caller]
    pub fn resize(self, memory: &dyn Kind, new: Layout) -> Result<Self, Self> {
        if new.size() < self.layout.size() {
            return self.shrink(memory, self.layout.size(), new);
        }
        // SAFETY: the block is in use with this layout, and the record ends here if it moves.
        let result = unsafe { memory.grow(self.start, self.layout, new) };
        self.resized(result, new)
    }

    /// Shrinks the block to `new`, by any size that fits it now.
    #[track_caller]
    pub fn shrink(self, memory: &dyn Kind, size: usize, new: Layout) -> Result<Self, Self> {
        let old = layout(size, self.layout.align());
        // SAFETY: the block is in use, the size fits it (caller), and the record ends here if it
        // moves.
        let result = unsafe { memory.shrink(self.start, old, new) };
        self.resized(result, new)
    }

    #[track_caller]
    fn resized(self, result: Result<NonNull<[u8]>, AllocError>, new: Layout) -> Result<Self, Self> {
        let Ok(block) = result else {
            self.check(self.len);
            return Err(self);
        };
        Self { start: block.cast(), ..self }.check(self.layout.size().min(new.size()));
        Ok(Self::entered(block, new, self.seed.wrapping_add(1)))
    }

    fn byte_at(&self, at: usize) -> u8 {
        self.seed.wrapping_add(at as u8) | 1
    }

    fn ends(&self, len: usize) -> impl Iterator<Item = usize> + use<> {
        (0..len.min(END)).chain(len.saturating_sub(END).max(END)..len)
    }
}

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The alignments that tests go through.
pub const ALIGNS: [usize; 6] = [1, 8, 16, 64, 256, 4096];
