//! Segregated: slabs for each size class, and regions of their own for what is larger.
//!
//! ```text
//! class 0 (16)    ── free list ─▶ block ─▶ block      newest slab ─▶ older slab
//! class 1 (32)    ── free list ─▶ block               newest slab
//!   …                                                    │
//! class 31 (8192)                                        └ a chunk of the source's regions
//! large           ── side table ─▶ a region each
//! ```
//!
//! | file | is about |
//! |---|---|
//! | [`slab`](crate::slab) | the blocks of one class |
//! | `refill.rs` | where blocks come from when a list is empty, and where empty slabs go |
//! | [`large`](super::large) | what is larger than any class |
//!
//! The arithmetic beneath is in [`layout::size_class`](crate::layout::size_class).
//!
//! # Invariants
//!
//! 1. The slabs at a class's index have blocks of that class.
//! 2. A block whose layout has a class comes from that class's slabs; one that has a size and no
//!    class is `large`'s.
//! 3. `slab_count` is how many slabs all classes have.

mod refill;

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_sync::facade::const_fn;

use super::large::Large;
use super::{Broken, Strategy, dangling};
use crate::AllocError;
use crate::hook::{Delivery, Event, EventKind, Hook, Log, NoHook};
use crate::layout::size_class::SizeClass;
use crate::policy::{DefaultPolicy, Policy, ValidPolicy};
use crate::slab::{Geometry, Slabs};
use crate::source::Source;
use crate::source::chunks::Chunks;
use crate::source::provenance::ours;

/// Mixed sizes for one owner, in O(1): each size class has a list of its own, and a block that is
/// freed is the next that is handed out.
///
/// | | |
/// |---|---|
/// | block | the request rounded up to one of 32 classes, four to a doubling: 16, 32, 48, 64, 80, 96, 112, 128, 160 … 8192 bytes; less than a quarter is lost |
/// | alignment | blocks are aligned to the largest power of two that divides their size; a request with an alignment is rounded up to a multiple of it |
/// | larger | above `Policy::LARGEST_CLASS`, whole pages straight from the source, a region for each block, kept in a side table |
/// | memory | slabs of `Policy::CHUNK_SIZE` (64 KiB), each for one class, with 32 bytes of bookkeeping and what its blocks' alignment costs; in a small region, 1/16 of it, but 512 bytes at least |
/// | bookkeeping in the handle | `size_of::<Segregated<OsPages>>()` is about 1.4 KiB |
/// | allocate, free | O(1), and nothing is counted: a constant layout costs a pop and a push |
/// | refill | a page's worth of blocks that were never used, at least one; a new slab when there are none |
/// | grow, shrink | in place within a class; a block that changes its class is copied; large ones move by pages where the source can do that |
/// | `bytes_used` | walks the free lists |
///
/// # What is held
///
/// Slabs that nobody uses are found by walking the free lists: when a class needs a slab, and there
/// are by now a quarter more slabs (64 at least: two for each class) than were in use when that was
/// last done, or the source has no more; and in [`trim`](Strategy::trim). They serve any class from
/// then on, and their pages go back to the source. So slabs never number more than those in use at
/// the last such walk and a quarter, or 64, more; `trim` gives back what frees have emptied since.
/// An allocation that fails may have given back memory that nobody used.
///
/// A walk takes O(free blocks × regions). Where the source has more, it is rare; where it has no
/// more, every call that needs a slab walks, whether or not it then succeeds.
///
/// # In a buffer
///
/// The classes share a small buffer, but those that its chunks are too small for cannot be served:
/// in 64 KiB, at 4 KiB a chunk, those above 1.5 KiB or so. A large block needs a region of its own
/// and one for the table, so a [`Buffer`](crate::Buffer) has none.
///
/// Slabs of size classes go back to Bonwick (*The Slab Allocator*, 1994); four classes to a doubling
/// are jemalloc's.
///
/// ```
/// use std::alloc::Layout;
/// use allotrope_core::{OsPages, Segregated, Strategy};
///
/// let mut heap = Segregated::new(OsPages::new());
/// let layout = Layout::new::<[u8; 100]>();
/// let block = heap.allocate(layout)?;
/// assert_eq!(block.len(), 112);
/// // SAFETY: allocated above with this layout, and not used any more.
/// unsafe { heap.deallocate(block.cast(), layout) };
/// assert_eq!(heap.allocate(layout)?, block);
///
/// let image = heap.allocate_zeroed(Layout::new::<[u8; 1_000_000]>())?;
/// assert_eq!(heap.bytes_used(), 112 + image.len());
/// # Ok::<(), allotrope_core::AllocError>(())
/// ```
pub struct Segregated<S: Source, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    classes: [Slabs<SizeClass>; SizeClass::COUNT],
    chunks: Chunks<S, P>,
    large: Large,
    log: Log<H>,
    slab_count: usize,
    /// From how many slabs on it is worth looking for empty ones.
    reconcile_at: usize,
}

impl Geometry for SizeClass {
    #[inline(always)]
    fn block_size(self) -> usize {
        self.block_size()
    }

    #[inline(always)]
    fn block_align(self) -> usize {
        self.block_align()
    }
}

// SAFETY: the slabs, and all blocks, belong to this strategy alone, and to no thread.
unsafe impl<S, P, H> Send for Segregated<S, P, H>
where
    S: Source + Send,
    P: Policy,
    H: Hook<Record: Send> + Send,
{
}

impl<S: Source> Segregated<S> {
    const_fn! {
        /// Size classes in the regions of `source`.
        pub fn new(source: S) -> Self {
            Self::with_policy(source)
        }
    }
}

impl<S: Source, P: Policy> Segregated<S, P> {
    const_fn! {
        /// Size classes in the regions of `source`, by the figures of a policy that the type names.
        pub fn with_policy(source: S) -> Self {
            Self::with_log(source, Log::silent())
        }
    }
}

impl<S: Source, P: Policy, H: Hook> Segregated<S, P, H> {
    /// Size classes in the regions of `source`, that tell `hook` what happens.
    pub fn with_hook(source: S, hook: H) -> Self {
        Self::with_log(source, Log::new(hook))
    }

    const_fn! {
        fn with_log(source: S, log: Log<H>) -> Self {
            const {
                let _: () = ValidPolicy::<P>::CHECKED;
                let room = P::CHUNK_SIZE / P::LARGEST_CLASS;
                assert!(room >= 4, "CHUNK_SIZE is less than four blocks of LARGEST_CLASS");
            };
            Self {
                classes: slabs_of_all_classes(),
                chunks: Chunks::new(source),
                large: Large::new(),
                log,
                slab_count: 0,
                reconcile_at: refill::PATIENCE,
            }
        }
    }

    /// Where its bytes come from.
    pub const fn source(&self) -> &S {
        self.chunks.source().get()
    }

    /// Allocates a block for `layout` for each place of `blocks`, from the first on, until there is
    /// none, and returns how many there were.
    ///
    /// ```
    /// use std::alloc::Layout;
    /// use std::mem::MaybeUninit;
    /// use allotrope_core::{OsPages, Segregated};
    ///
    /// let mut heap = Segregated::new(OsPages::new());
    /// let mut blocks = [MaybeUninit::uninit(); 64];
    /// let layout = Layout::new::<[u64; 4]>();
    /// assert_eq!(heap.allocate_batch(layout, &mut blocks), 64);
    /// // SAFETY: all of them were just allocated with this layout, and are used no more.
    /// unsafe { heap.deallocate_batch(layout, &blocks.map(|block| block.assume_init())) };
    /// ```
    pub fn allocate_batch(
        &mut self,
        layout: Layout,
        blocks: &mut [MaybeUninit<NonNull<u8>>],
    ) -> usize {
        for (count, place) in blocks.iter_mut().enumerate() {
            match self.allocate(layout) {
                Ok(block) => place.write(block.cast()),
                Err(AllocError) => return count,
            };
        }
        blocks.len()
    }

    /// Frees many blocks.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`], for each of `blocks`, among which none is twice.
    pub unsafe fn deallocate_batch(&mut self, layout: Layout, blocks: &[NonNull<u8>]) {
        for &block in blocks {
            // SAFETY: as the caller promises.
            unsafe { self.deallocate(block, layout) };
        }
    }

    /// The class that serves `layout`, if there is one: not for a size of 0, and not for what is
    /// larger than any.
    #[inline(always)]
    const fn class_of(layout: Layout) -> Option<SizeClass> {
        SizeClass::for_layout(layout, P::LARGEST_CLASS)
    }

    #[inline(always)]
    const fn slabs_mut(&mut self, class: SizeClass) -> &mut Slabs<SizeClass> {
        &mut self.classes[class.index()]
    }

    #[inline(always)]
    fn note(&mut self, kind: EventKind, start: NonNull<u8>, layout: Layout, extent: usize) {
        self.log.push(|| Event { kind, address: start.addr().get(), layout, extent });
    }

    /// Notes that the block at `start` of one layout is one of another at `block`.
    #[inline(always)]
    fn note_resize(&mut self, start: NonNull<u8>, old: Layout, block: NonNull<[u8]>, new: Layout) {
        let before = Self::extent(old).unwrap_or(0);
        self.note(EventKind::Free, start, old, before);
        self.note(EventKind::Allocate, block.cast(), new, block.len());
    }

    /// Notes that the large block at `start` of one layout is one of another at `block`. Where that
    /// changed its region, the old one is given back.
    fn note_large_resize(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        block: NonNull<[u8]>,
        new: Layout,
    ) {
        let before = Self::extent(old).unwrap_or(0);
        self.note(EventKind::Free, start, old, before);
        let (address, extent) = (block.addr().get(), block.len());
        if (start, before) != (block.cast(), extent) {
            self.log.push(|| Event::internal(EventKind::Release, start.addr().get(), before));
            self.log.push(|| Event::internal(EventKind::Refill, address, extent));
        }
        self.note(EventKind::Allocate, block.cast(), new, extent);
    }

    /// Allocates what has no class.
    #[inline(never)]
    fn allocate_unclassed(
        &mut self,
        layout: Layout,
        is_zeroed: bool,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        let source = self.chunks.source();
        // SAFETY: it is always this source.
        let block = unsafe {
            if is_zeroed {
                self.large.allocate_zeroed(source, layout)
            } else {
                self.large.allocate(source, layout)
            }
        }?;
        let (address, extent) = (block.addr().get(), block.len());
        self.log.push(|| Event::internal(EventKind::Refill, address, extent));
        self.note(EventKind::Allocate, block.cast(), layout, extent);
        Ok(block)
    }

    /// Frees what has no class.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`].
    #[inline(never)]
    unsafe fn deallocate_unclassed(&mut self, start: NonNull<u8>, layout: Layout) {
        if let Some(extent @ 1..) = Self::extent(layout) {
            // SAFETY: as the caller promises; what has a size and no class is a large block.
            unsafe { self.large.deallocate(self.chunks.source(), start, layout) };
            self.note(EventKind::Free, start, layout, extent);
            self.log.push(|| Event::internal(EventKind::Release, start.addr().get(), extent));
        }
    }

    /// Grows a block, and says how many bytes from its start on are not known to be zero.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::grow`].
    #[inline(always)]
    unsafe fn grow_known(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(NonNull<[u8]>, usize), AllocError> {
        let (block, known) = match (Self::class_of(old), Self::class_of(new)) {
            (Some(before), Some(after)) if before == after => {
                let size = after.block_size();
                let block = NonNull::slice_from_raw_parts(ours(start), size);
                self.note_resize(start, old, block, new);
                (block, size)
            }
            (None, None) if old.size() > 0 => {
                // SAFETY: as the caller promises; both have a size and no class.
                let grown = unsafe { self.large.grow(self.chunks.source(), start, old, new) }?;
                self.note_large_resize(start, old, grown.0, new);
                grown
            }
            _ => {
                // SAFETY: as the caller promises; `old` is the smaller of the two.
                let block = unsafe { self.relocate(start, old, new, old.size()) }?;
                (block, block.len())
            }
        };
        Ok((block, known))
    }
}

/// No slabs yet, for each class.
const fn slabs_of_all_classes() -> [Slabs<SizeClass>; SizeClass::COUNT] {
    let mut classes = [const { Slabs::new(SizeClass::at(0)) }; SizeClass::COUNT];
    let mut index = 1;
    while index < SizeClass::COUNT {
        classes[index] = Slabs::new(SizeClass::at(index));
        index += 1;
    }
    classes
}

// SAFETY: slabs hand out every block once, aligned and as long as their class says; large blocks
// have a region each. Regions stay where they are. A layout's class and extent are the same for
// every size that fits. Nothing unwinds: a `Firm` source ends the
// program where it would, and so does what `promised!` finds.
unsafe impl<S: Source, P: Policy, H: Hook> Strategy for Segregated<S, P, H> {
    type Hook = H;

    const MAY_REENTER: bool = S::MAY_REENTER;

    fn extent(layout: Layout) -> Option<usize> {
        match (layout.size(), Self::class_of(layout)) {
            (0, _) => Some(0),
            (_, Some(class)) => Some(class.block_size()),
            (_, None) => Large::extent(layout),
        }
    }

    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(class) = Self::class_of(layout) else {
            return self.allocate_unclassed(layout, false);
        };
        let block = match self.slabs_mut(class).pop() {
            Some(block) => block,
            None => self.refill(class)?,
        };
        self.note(EventKind::Allocate, block, layout, class.block_size());
        Ok(NonNull::slice_from_raw_parts(block, class.block_size()))
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if Self::class_of(layout).is_none() {
            return self.allocate_unclassed(layout, true);
        }
        let block = self.allocate(layout)?;
        // SAFETY: the block is new, and valid for writes of its whole length.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    #[inline]
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        let Some(class) = Self::class_of(layout) else {
            // SAFETY: as the caller promises.
            return unsafe { self.deallocate_unclassed(start, layout) };
        };
        // SAFETY: a layout of this class was served from these slabs (invariant 2); the block is
        // free now (caller).
        unsafe { self.slabs_mut(class).push(start) };
        self.note(EventKind::Free, start, layout, class.block_size());
    }

    #[inline]
    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_known(start, old, new) }.map(|(block, _)| block)
    }

    unsafe fn grow_zeroed(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let (block, known) = unsafe { self.grow_known(start, old, new) }?;
        let kept = old.size();
        // SAFETY: `kept` and `known` are at most the block's length, which is valid for writes.
        unsafe { block.cast::<u8>().add(kept).write_bytes(0, known.saturating_sub(kept)) };
        Ok(block)
    }

    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = match (Self::class_of(old), Self::class_of(new)) {
            (Some(before), Some(after)) if before == after => {
                let block = NonNull::slice_from_raw_parts(ours(start), after.block_size());
                self.note_resize(start, old, block, new);
                block
            }
            (None, None) if new.size() > 0 => {
                // SAFETY: as the caller promises; both have a size and no class.
                let block = unsafe { self.large.shrink(self.chunks.source(), start, old, new) }?;
                self.note_large_resize(start, old, block, new);
                block
            }
            // SAFETY: as the caller promises; `new` is the smaller of the two.
            _ => return unsafe { self.relocate(start, old, new, new.size()) },
        };
        Ok(block)
    }

    fn reset(&mut self) {
        self.note_slabs();
        for slabs in &mut self.classes {
            slabs.reset();
        }
        // SAFETY: to borrow a strategy mutably for this ends all blocks (`Strategy::reset`); the
        // slabs were forgotten just now.
        unsafe { self.chunks.reset() };
        (self.slab_count, self.reconcile_at) = (0, refill::PATIENCE);
        // SAFETY: as above.
        unsafe { self.release_large() };
    }

    fn trim(&mut self) {
        self.reconcile();
        self.chunks.release_unused();
        // SAFETY: always this source.
        unsafe { self.large.trim(self.chunks.source()) };
    }

    fn bytes_used(&self) -> usize {
        let used = |slabs: &Slabs<SizeClass>| slabs.used() * slabs.block_size();
        self.classes.iter().map(used).sum::<usize>() + self.large.bytes_used()
    }

    fn bytes_free(&self) -> usize {
        self.classes.iter().map(|slabs| slabs.free() * slabs.block_size()).sum()
    }

    fn bytes_held(&self) -> usize {
        self.chunks.bytes_held() + self.large.bytes_held()
    }

    fn largest_free_block(&self) -> usize {
        let largest = self.classes.iter().rfind(|slabs| slabs.has_free());
        largest.map_or(0, Slabs::block_size)
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        let mut count = 0;
        for slabs in &self.classes {
            slabs.check_invariants(&self.chunks)?;
            count += slabs.count();
        }
        if count != self.slab_count {
            return Err(Broken { invariant: "the slabs of all classes are counted", address: 0 });
        }
        // SAFETY: borrowed by a strategy, which no other thread uses.
        unsafe { self.large.check_invariants() }
    }

    #[inline(always)]
    fn take_events(&mut self) -> Delivery<H> {
        self.log.take()
    }
}

impl<S: Source, P: Policy, H: Hook> Drop for Segregated<S, P, H> {
    fn drop(&mut self) {
        self.note_slabs();
        // SAFETY: all blocks go with the strategy; and it is always this source.
        unsafe {
            self.release_large();
            self.large.trim(self.chunks.source());
        }
        self.log.take().deliver();
    }
}

impl<S: Source, P: Policy, H: Hook> fmt::Debug for Segregated<S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Segregated")
            .field("bytes_used", &self.bytes_used())
            .field("bytes_held", &self.bytes_held())
            .field("slabs", &self.slab_count)
            .finish_non_exhaustive()
    }
}
