//! The heap of one thread.

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_core::api::impl_allocator;
use allotrope_core::{
    AllocError, Broken, DefaultPolicy, Delivery, Hook, Independent, Local, NoHook, Policy, Source,
};
use allotrope_sync::facade::const_fn;

use crate::blocks::Block;
use crate::default_source::DefaultSource;
use crate::engine::Engine;
use crate::explain::Explanation;
use crate::route::{Strategy, Way};
use crate::stats::HeapStats;
use crate::view::View;

/// A heap for one thread: an allocator for blocks of all sizes, that selects a strategy by the layout
/// of each request.
///
/// | | |
/// |---|---|
/// | small blocks | up to 8 KiB: size classes, four to a doubling; a pop and a push |
/// | medium blocks | up to 1 MiB: best fit over pages of 4 KiB, joined with free neighbours when they are freed |
/// | large blocks | pages of their own, that grow without being copied where the system can do that |
/// | overhead | no headers; about 64 bytes for a page in use, and what sizes are rounded up to |
/// | first memory | 64 KiB, by the first allocation; a heap that is made and dropped costs no system call where such a region is at hand |
/// | giving back | what is behind free pages goes back when what is in use has been below a quarter of its recent peak for a while; [`trim`](Self::trim) gives back all that it can |
/// | allocate, free | O(1) for small blocks, amortized; as [`BestFit`](allotrope_core::BestFit) for medium ones; system calls for large ones |
///
/// `LocalHeap` and `&LocalHeap` are `Allocator`s; a [`HeapRc`](crate::HeapRc) is a handle that keeps
/// its heap alive. Dropping a heap frees everything that it gave out, large blocks included, and drops
/// nothing that is in it.
///
/// ```
/// use allotrope_core::OsPages;
/// use allotrope_heap::LocalHeap;
/// use allocator_api2::{boxed::Box, vec::Vec};
///
/// let heap = LocalHeap::new(OsPages::new());
/// let mut names = Vec::new_in(&heap);
/// names.push(Box::new_in("one", &heap));
/// names.push(Box::new_in("two", &heap));
/// assert!(heap.bytes_used() > 0);
/// drop(names);
/// assert_eq!(heap.bytes_used(), 0);
/// ```
///
/// Behind a lock it serves many threads, and as a program's global allocator:
///
/// ```
/// use allotrope_core::{Locked, OsPages};
/// use allotrope_heap::LocalHeap;
///
/// #[global_allocator]
/// static HEAP: Locked<LocalHeap<OsPages>> = Locked::new(LocalHeap::new(OsPages::new()));
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(HEAP.bytes_used() >= 4000);
/// # drop(numbers);
/// ```
///
/// It can be sent to another thread, but not be used by two:
///
/// ```compile_fail
/// # use allotrope_core::OsPages;
/// # use allotrope_heap::LocalHeap;
/// let heap = LocalHeap::new(OsPages::new());
/// std::thread::scope(|threads| {
///     threads.spawn(|| heap.bytes_used());
/// });
/// ```
///
/// Containers must go before their memory does:
///
/// ```compile_fail
/// # use allotrope_core::OsPages;
/// # use allotrope_heap::LocalHeap;
/// # use allocator_api2::vec::Vec;
/// let mut heap = LocalHeap::new(OsPages::new());
/// let mut numbers = Vec::new_in(&heap);
/// numbers.push(1);
/// heap.reset();
/// numbers.push(2);
/// ```
pub struct LocalHeap<S: Source = DefaultSource, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    engine: Local<Engine<S, P, H>>,
}

impl<S: Source> LocalHeap<S> {
    const_fn! {
        /// A heap over the regions of `source`, of which it takes the first when it is first used.
        pub fn new(source: S) -> Self {
            Self::with_policy(source)
        }
    }
}

impl<S: Source, P: Policy> LocalHeap<S, P> {
    const_fn! {
        /// A heap over the regions of `source`, by the figures of a policy that the type names.
        pub fn with_policy(source: S) -> Self {
            Self { engine: Local::new(Engine::new(source)) }
        }
    }
}

impl<S: Source, P: Policy, H: Hook> LocalHeap<S, P, H> {
    /// A heap over the regions of `source`, that tells `hook` what happens: of blocks, and of memory
    /// that comes from the source and goes back. Pages that are discarded stay, and are not told of.
    pub fn with_hook(source: S, hook: H) -> Self {
        Self { engine: Local::new(Engine::with_hook(source, hook)) }
    }

    /// Runs `work` on the engine.
    #[inline(always)]
    pub(crate) fn run<T>(&self, work: impl FnOnce(&mut Engine<S, P, H>) -> T) -> T {
        // SAFETY: `work` is ours, and calls nothing that could come back here but the source, which
        // promises not to, or meets `Local`'s gate.
        unsafe { self.engine.visit(work) }
    }

    /// Allocates a block that fits `layout`. A size of 0 is served without touching memory.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no such block, or when it would pass the limit; nothing has
    /// changed then.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.engine.allocate(layout)
    }

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero. Pages that are known to
    /// be zero are not touched.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.engine.allocate_zeroed(layout)
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](allotrope_core::Strategy::deallocate).
    #[inline]
    pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.engine.deallocate(start, layout) };
    }

    /// Makes a block that `old` fits into one for `new`, which is no smaller.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`](allotrope_core::Strategy::grow).
    #[inline]
    pub unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.grow(start, old, new) }
    }

    /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Self::grow).
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow_zeroed`](allotrope_core::Strategy::grow_zeroed).
    #[inline]
    pub unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.grow_zeroed(start, old, new) }
    }

    /// Makes a block that `old` fits into one for `new`, which is no larger.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when it cannot be done; the block is unchanged then.
    /// [`Strategy::shrink`](allotrope_core::Strategy::shrink) says when that may be.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::shrink`](allotrope_core::Strategy::shrink).
    #[inline]
    pub unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.shrink(start, old, new) }
    }

    /// Allocates a block for `layout` for each place of `blocks`, from the first on, until there is
    /// none, and returns how many there were.
    pub fn allocate_batch(&self, layout: Layout, blocks: &mut [MaybeUninit<NonNull<u8>>]) -> usize {
        self.run(|engine| engine.allocate_batch(layout, blocks))
    }

    /// Frees many blocks.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), for each of `blocks`, among which none is twice.
    pub unsafe fn deallocate_batch(&self, layout: Layout, blocks: &[NonNull<u8>]) {
        self.run(|engine| {
            for &block in blocks {
                // SAFETY: as the caller promises.
                unsafe { engine.deallocate(block, layout) };
            }
        });
    }

    /// An allocator over this heap that takes one strategy whatever the layout. A block is freed and
    /// resized through a view of the same strategy.
    ///
    /// ```
    /// use allotrope_core::OsPages;
    /// use allotrope_heap::{LocalHeap, Strategy};
    /// use allocator_api2::vec::Vec;
    ///
    /// let heap = LocalHeap::new(OsPages::new());
    /// // It will be large: from the first byte on in pages that grow without being copied.
    /// let mut log: Vec<u8, _> = Vec::with_capacity_in(4096, heap.with(Strategy::Extents));
    /// log.extend(std::iter::repeat_n(7, 1 << 20));
    /// ```
    pub const fn with(&self, strategy: Strategy) -> View<'_, S, P, H> {
        View::new(self, strategy)
    }

    /// An allocator over this heap that takes, whatever the layout, the strategy that serves a value of
    /// type `T`: for what holds one of them, or a few.
    pub const fn for_type<T>(&self) -> View<'_, S, P, H> {
        let strategy = match Way::of::<P>(Layout::new::<T>()) {
            Way::Small(_) | Way::Empty => Strategy::Slabs,
            Way::Medium(_) => Strategy::BestFit,
            Way::Large(_) | Way::Refused => Strategy::Extents,
        };
        View::new(self, strategy)
    }

    /// How many bytes the heap may hold, at most, in memory of its source, in whole pages as it is
    /// enforced; `None` if there is no limit.
    pub fn limit(&self) -> Option<usize> {
        self.run(|engine| engine.store.account.limit())
    }

    /// Limits [`bytes_held`](Self::bytes_held), in whole pages of 4 KiB: other limits are rounded up.
    /// What is held already stays.
    ///
    /// A request that would pass the limit, or that the source refuses, first gives back all that
    /// is free, as [`trim`](Self::trim) does, and is then tried once more; so a refusal is O(free
    /// blocks). A heap over pages of the system holds 64 KiB with its first block, or as much as
    /// a lower limit allows. While a large block is copied to another, both are held, which may
    /// pass the limit for that long.
    ///
    /// ```
    /// use allotrope_core::OsPages;
    /// use allotrope_heap::LocalHeap;
    /// use allocator_api2::{boxed::Box, vec::Vec};
    ///
    /// let heap = LocalHeap::new(OsPages::new());
    /// heap.set_limit(Some(512));
    /// assert_eq!(heap.limit(), Some(4096));
    /// let value = Box::new_in(7, &heap);
    /// assert!(Vec::<u8, _>::new_in(&heap).try_reserve(5000).is_err());
    /// assert!(heap.bytes_held() <= 4096);
    /// ```
    pub fn set_limit(&self, limit: Option<usize>) {
        self.run(|engine| engine.store.account.set_limit(limit));
    }

    /// Takes every block back at once; what is held of the source's memory is kept for reuse, save for
    /// large blocks.
    pub fn reset(&mut self) {
        self.engine.reset();
    }

    /// Gives memory that no block needs back to the source: regions of which nothing is in use, and
    /// what is behind free pages of the others, which [are held](Self::bytes_held) no more.
    /// O(free blocks).
    pub fn trim(&self) {
        self.engine.trim();
    }

    /// How many bytes are in use, each block with what it really takes. O(free small blocks).
    pub fn bytes_used(&self) -> usize {
        self.engine.bytes_used()
    }

    /// How many bytes are in free blocks and free pages. Pages that are addresses only are among
    /// them, so it may be more than is held and not used.
    pub fn bytes_free(&self) -> usize {
        self.engine.bytes_free()
    }

    /// How many bytes are held of the source's memory: large blocks, the first region, tables, and all
    /// pages that may be dirty. A page counts from before it is used for the first time until
    /// the source has taken back what was behind it, and again when it is used again. O(1).
    pub fn bytes_held(&self) -> usize {
        self.engine.bytes_held()
    }

    /// The size in bytes of the largest free block: of a class, or a run of pages, also of those that
    /// are addresses only, which a limit may forbid to use. Above `Policy::LARGEST_MEDIUM` a request
    /// asks the source first all the same.
    pub fn largest_free_block(&self) -> usize {
        self.engine.largest_free_block()
    }

    /// Checks every invariant. O(what is held).
    ///
    /// # Errors
    ///
    /// The first invariant found broken.
    pub fn check_invariants(&self) -> Result<(), Broken> {
        self.engine.check_invariants()
    }

    /// Which way a request would take, and what it would cost in bytes.
    ///
    /// ```
    /// # use std::alloc::Layout;
    /// # use allotrope_core::OsPages;
    /// # use allotrope_heap::LocalHeap;
    /// let heap = LocalHeap::new(OsPages::new());
    /// let answer = heap.explain(Layout::new::<[u8; 100]>());
    /// assert_eq!(answer.waste, 12);
    /// assert_eq!(answer.to_string(), "100 bytes aligned to 1: slabs, class 6, takes 112 bytes (12 wasted)");
    /// ```
    pub fn explain(&self, layout: Layout) -> Explanation {
        Explanation::of(layout, Way::of::<P>(layout))
    }

    /// What is in use and held, by route and by class; it prints as a table.
    pub fn stats(&self) -> HeapStats {
        self.run(|engine| HeapStats::of(engine))
    }

    /// Copies all blocks in use into `blocks`, by route and class, as far as they have room there, and
    /// returns how many there are in all. O(what is held).
    ///
    /// ```
    /// # use allotrope_core::OsPages;
    /// # use allotrope_heap::{Block, LocalHeap, Route};
    /// # use allocator_api2::boxed::Box;
    /// let heap = LocalHeap::new(OsPages::new());
    /// let boxed = Box::new_in([0_u8; 100], &heap);
    /// let mut blocks = [Block::NONE; 8];
    /// assert_eq!(heap.copy_blocks(&mut blocks), 1);
    /// assert_eq!(blocks[0].address, &raw const *boxed as usize);
    /// assert_eq!(blocks[0].route, Route::Small { block_size: 112 });
    /// ```
    pub fn copy_blocks(&self, blocks: &mut [Block]) -> usize {
        self.run(|engine| engine.copy_blocks(blocks))
    }
}

// SAFETY: blocks are the engine's; they stay where they are until they are freed, or the heap is
// dropped or borrowed mutably, wherever it is moved.
unsafe impl<S: Source, P: Policy, H: Hook> allotrope_core::api::Sound for LocalHeap<S, P, H> {}
impl_allocator!([S: Source, P: Policy, H: Hook] LocalHeap<S, P, H>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for LocalHeap<S, P, H> {}

// SAFETY: the engine's guarantees are a strategy's.
unsafe impl<S: Source, P: Policy, H: Hook> allotrope_core::Strategy for LocalHeap<S, P, H> {
    type Hook = H;

    const MAY_REENTER: bool = S::MAY_REENTER;

    fn extent(layout: Layout) -> Option<usize> {
        Way::of::<P>(layout).extent()
    }

    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.engine.get_mut().allocate(layout)
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.engine.get_mut().allocate_zeroed(layout)
    }

    #[inline]
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.engine.get_mut().deallocate(start, layout) };
    }

    #[inline]
    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.get_mut().grow(start, old, new) }
    }

    unsafe fn grow_zeroed(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.get_mut().grow_zeroed(start, old, new) }
    }

    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.engine.get_mut().shrink(start, old, new) }
    }

    fn reset(&mut self) {
        self.engine.get_mut().reset();
    }

    fn trim(&mut self) {
        self.engine.get_mut().trim();
    }

    fn bytes_used(&self) -> usize {
        self.engine.bytes_used()
    }

    fn bytes_free(&self) -> usize {
        self.engine.bytes_free()
    }

    fn bytes_held(&self) -> usize {
        self.engine.bytes_held()
    }

    fn largest_free_block(&self) -> usize {
        self.engine.largest_free_block()
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        self.engine.check_invariants()
    }

    #[inline(always)]
    fn take_events(&mut self) -> Delivery<H> {
        self.engine.get_mut().take_events()
    }
}

impl<S: Source, P: Policy, H: Hook> fmt::Debug for LocalHeap<S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalHeap")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_held", &self.bytes_held())
            .finish_non_exhaustive()
    }
}
