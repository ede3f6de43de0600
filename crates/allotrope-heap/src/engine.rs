//! The engine of a heap: every request takes the way of its layout.
//!
//! ```text
//! Engine ── classes    free lists of the size classes   (`class.rs`, `slab.rs`)
//!        └─ store      pages and extents                (`store.rs`)
//! ```
//!
//! It is a strategy, one algorithm over one state; [`LocalHeap`](crate::LocalHeap) makes an allocator
//! of it.

mod reclaim;
mod resize;

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use allotrope_core::parts::{Large, Log, SizeClass, ValidPolicy, dangling};
use allotrope_core::{AllocError, Delivery, Event, EventKind, Hook, NoHook, Policy, Source};
use allotrope_sync::facade::const_fn;

use crate::class::{Class, Look};
use crate::route::{Strategy, Way};
use crate::store::{Store, Weight};

/// After how many falls the free lists are given back. One class that is emptied falls 16 times.
const FALLS: u16 = 48;

/// All of a heap.
pub(crate) struct Engine<S: Source, P: Policy, H: Hook> {
    pub(crate) classes: [Class; SizeClass::COUNT],
    pub(crate) store: Store<S, P, H>,
    /// How many times lists were found to fall.
    falls: u16,
    /// Are they given back at every look, until one is found empty? Then there were falls.
    is_draining: bool,
    policy: PhantomData<P>,
}

// SAFETY: all memory belongs to this engine alone, and to no thread.
unsafe impl<S, P, H> Send for Engine<S, P, H>
where
    S: Source + Send,
    P: Policy,
    H: Hook<Record: Send> + Send,
{
}

impl<S: Source, P: Policy> Engine<S, P, NoHook> {
    const_fn! {
        pub(crate) fn new(source: S) -> Self {
            Self::over(Store::new(source, Large::new(), Log::silent()))
        }
    }
}

impl<S: Source, P: Policy, H: Hook> Engine<S, P, H> {
    pub(crate) fn with_hook(source: S, hook: H) -> Self {
        Self::over(Store::new(source, Large::new(), Log::new(hook)))
    }

    const fn over(store: Store<S, P, H>) -> Self {
        const { ValidPolicy::<P>::CHECKED };
        let classes = [const { Class::new() }; SizeClass::COUNT];
        let (falls, is_draining) = (0, false);
        Self { classes, store, falls, is_draining, policy: PhantomData }
    }

    #[inline(always)]
    const fn class_mut(&mut self, class: SizeClass) -> &mut Class {
        &mut self.classes[class.index()]
    }

    #[inline(always)]
    fn note(&mut self, kind: EventKind, start: NonNull<u8>, layout: Layout, extent: usize) {
        self.store.log.push(|| Event { kind, address: start.addr().get(), layout, extent });
    }

    /// Allocates a block the way of its layout.
    #[inline(always)]
    pub(crate) fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match SizeClass::for_layout(layout, P::LARGEST_CLASS) {
            Some(class) => self.allocate_small(class, layout),
            None => self.allocate_unclassed(layout),
        }
    }

    #[inline(never)]
    fn allocate_unclassed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match Way::unclassed::<P>(layout) {
            Way::Medium(extent) => {
                let (start, _) = self.take_block(extent, layout.align())?;
                self.note(EventKind::Allocate, start, layout, extent);
                Ok(NonNull::slice_from_raw_parts(start, extent))
            }
            way => self.allocate_pages(way, layout, false),
        }
    }

    /// Allocates a block the given way.
    pub(crate) fn allocate_by(
        &mut self,
        way: Way,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        match way {
            Way::Small(class) => self.allocate_small(class, layout),
            way => self.allocate_pages(way, layout, false),
        }
    }

    #[inline(always)]
    fn allocate_small(
        &mut self,
        class: SizeClass,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = match self.class_mut(class).pop(class) {
            Some(block) => block,
            None => Self::refill(self, class).ok_or(AllocError)?,
        };
        self.note(EventKind::Allocate, block, layout, class.block_size());
        Ok(NonNull::slice_from_raw_parts(block, class.block_size()))
    }

    /// Allocates a block of zeros the given way.
    pub(crate) fn allocate_zeroed_by(
        &mut self,
        way: Way,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !matches!(way, Way::Small(_)) {
            return self.allocate_pages(way, layout, true);
        }
        let block = self.allocate_by(way, layout)?;
        // SAFETY: the block is new, and valid for writes of its whole length.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Hands out a block of a class whose list is empty.
    ///
    /// The ABI of C says that it does not unwind, as allocators must not: whoever inlines the fast path
    /// has no landing pad for it.
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "called from here alone")]
    extern "C" fn refill(&mut self, class: SizeClass) -> Option<NonNull<u8>> {
        if self.falls != 0 {
            self.falls = if self.is_draining { 0 } else { self.falls.saturating_sub(8) };
            self.is_draining = false;
        }
        self.give_back(Weight::Small);
        let Self { classes, store, .. } = self;
        // SAFETY: each class is at its index, and this is the store of all.
        match unsafe { classes[class.index()].refill(class, store) } {
            Ok(block) => Some(block),
            Err(AllocError) => self.refill_at_last(class),
        }
    }

    /// Gives all blocks that wait in free lists back to their slabs.
    pub(crate) fn flush_all(&mut self) {
        for class in &mut self.classes {
            // SAFETY: as in `refill`.
            unsafe { class.flush(&mut self.store) };
        }
    }

    /// Allocates what has no class.
    fn allocate_pages(
        &mut self,
        way: Way,
        layout: Layout,
        is_zeroed: bool,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (start, extent, is_zero) = match way {
            Way::Medium(extent) => {
                let (start, is_zero) = self.take_block(extent, layout.align())?;
                (start, extent, is_zero)
            }
            Way::Large(extent) => self.allocate_large(extent, layout, is_zeroed)?,
            Way::Empty => return Ok(dangling(layout)),
            Way::Small(_) | Way::Refused => return Err(AllocError),
        };
        let block = NonNull::slice_from_raw_parts(start, extent);
        if is_zeroed && !is_zero {
            // SAFETY: the block is new, and valid for writes of its whole length.
            unsafe { start.write_bytes(0, extent) };
        }
        self.note(EventKind::Allocate, start, layout, extent);
        Ok(block)
    }

    #[inline(always)]
    fn take_block(
        &mut self,
        extent: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, bool), AllocError> {
        self.give_back(Weight::Pages);
        match self.store.take_block(extent, align) {
            Err(AllocError) => self.take_block_at_last(extent, align),
            taken => taken,
        }
    }

    /// A large block, its extent, and whether it is zero.
    fn allocate_large(
        &mut self,
        extent: usize,
        layout: Layout,
        is_zeroed: bool,
    ) -> Result<(NonNull<u8>, usize, bool), AllocError> {
        if let Ok(start) = self.allocate_extent(extent, layout, is_zeroed) {
            return Ok((start, extent, true));
        }
        // Pages serve it where the source has one region, or no more.
        self.give_back(Weight::Pages);
        if self.store.has_room_for(extent)
            && let Ok((start, is_zero)) = self.store.take_block(extent, layout.align())
        {
            return Ok((start, extent, is_zero));
        }
        self.allocate_large_at_last(extent, layout, is_zeroed)
    }

    /// An extent of its own; if it `is_zeroed`, it is.
    fn allocate_extent(
        &mut self,
        extent: usize,
        layout: Layout,
        is_zeroed: bool,
    ) -> Result<NonNull<u8>, AllocError> {
        if !self.store.has_room_for(extent) {
            return Err(AllocError);
        }
        let Store { large, source, .. } = &mut self.store;
        // SAFETY: it is always this source.
        let block = unsafe {
            if is_zeroed {
                large.allocate_zeroed(source, layout)
            } else {
                large.allocate(source, layout)
            }
        };
        match block {
            // What the extent needs besides, for its alignment or to be remembered, counts as well.
            Ok(block) if !self.store.has_room_for(0) => {
                let Store { large, source, .. } = &mut self.store;
                // SAFETY: just allocated, with this layout; and always this source.
                unsafe {
                    large.deallocate(source, block.cast(), layout);
                    large.trim(source);
                }
                Err(AllocError)
            }
            Ok(block) => {
                self.store.note(EventKind::Refill, block.cast(), extent);
                Ok(block.cast())
            }
            Err(AllocError) => Err(AllocError),
        }
    }

    /// Frees a block that came the way of its layout.
    ///
    /// # Safety
    ///
    /// As for [`Strategy::deallocate`](allotrope_core::Strategy::deallocate).
    #[inline(always)]
    pub(crate) unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe {
            match SizeClass::for_layout(layout, P::LARGEST_CLASS) {
                Some(class) => self.deallocate_small(class, start, layout),
                None => self.deallocate_unclassed(start, layout),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate).
    #[inline(never)]
    unsafe fn deallocate_unclassed(&mut self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe {
            match Way::unclassed::<P>(layout) {
                Way::Medium(extent) => {
                    self.note(EventKind::Free, start, layout, extent);
                    self.store.give_block(start, extent);
                    self.give_back(Weight::Pages);
                }
                way => self.deallocate_pages(way, start, layout),
            }
        }
    }

    /// Frees a block that came the given way.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate).
    pub(crate) unsafe fn deallocate_by(&mut self, way: Way, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe {
            match way {
                Way::Small(class) => self.deallocate_small(class, start, layout),
                way => self.deallocate_pages(way, start, layout),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate), with a block of this class.
    #[inline(always)]
    unsafe fn deallocate_small(&mut self, class: SizeClass, start: NonNull<u8>, layout: Layout) {
        self.note(EventKind::Free, start, layout, class.block_size());
        // SAFETY: the block is of this class's slabs, for it came this way, and free now (caller).
        if unsafe { self.class_mut(class).push(start, class) } {
            Self::relax(self, class);
        }
    }

    /// Looks at a class's list. By the ABI of C, see `refill`, it is a tail call where a free is the last
    /// that a function does.
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "called from here alone")]
    extern "C" fn relax(&mut self, class: SizeClass) {
        let Self { classes, store, .. } = self;
        let of = &mut classes[class.index()];
        if self.is_draining {
            // SAFETY: as in `refill`.
            unsafe { of.drain(store) };
        } else {
            // SAFETY: as in `refill`.
            match unsafe { of.relax(class, store) } {
                Look::Anew(forgotten) => self.falls = self.falls.saturating_sub(forgotten),
                Look::Falling => self.falls += 1,
            }
            if self.falls >= FALLS {
                self.is_draining = true;
                for of in classes {
                    // SAFETY: as in `refill`.
                    unsafe { of.drain(store) };
                }
            }
        }
        self.give_back(Weight::Small);
    }

    /// Gives back what is behind free pages, if it is time to.
    #[inline(always)]
    fn give_back(&mut self, weight: Weight) {
        if self.store.has_fallen(weight) {
            self.give_back_pages();
        }
    }

    #[cold]
    #[inline(never)]
    fn give_back_pages(&mut self) {
        self.flush_all();
        self.store.discard_free();
    }

    /// Frees what has no class.
    ///
    /// # Safety
    ///
    /// As for [`deallocate_by`](Self::deallocate_by).
    unsafe fn deallocate_pages(&mut self, way: Way, start: NonNull<u8>, layout: Layout) {
        let Some(extent @ 1..) = way.extent() else { return };
        self.note(EventKind::Free, start, layout, extent);
        // SAFETY: as the caller promises; a large block that lies in no page of ours is an extent.
        unsafe {
            if matches!(way, Way::Large(_)) && self.store.place_of(start).is_none() {
                self.store.large.deallocate(&self.store.source, start, layout);
                self.store.note(EventKind::Release, start, extent);
                return;
            }
            self.store.give_block(start, extent);
        }
        self.give_back(Weight::Pages);
    }

    #[inline(always)]
    fn note_resize(
        &mut self,
        ways: (Way, Way),
        start: NonNull<u8>,
        old: Layout,
        block: NonNull<[u8]>,
        new: Layout,
    ) {
        self.note(EventKind::Free, start, old, ways.0.extent().unwrap_or(0));
        self.note(EventKind::Allocate, block.cast(), new, block.len());
    }

    pub(crate) fn allocate_batch(
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

    /// The ways of two layouts, by a strategy or by the layouts.
    #[inline(always)]
    pub(crate) const fn way(strategy: Option<Strategy>, layout: Layout) -> Way {
        match strategy {
            None => Way::of::<P>(layout),
            Some(strategy) => Way::by(strategy, layout),
        }
    }

    /// The classes, each with what it has.
    pub(crate) fn each_class(&self) -> impl Iterator<Item = (SizeClass, &Class)> {
        self.classes.iter().enumerate().map(|(index, of)| (SizeClass::at(index), of))
    }

    #[inline(always)]
    pub(crate) fn take_log(&mut self) -> Delivery<H> {
        self.store.log.take()
    }

    /// Checks the invariants of all parts.
    pub(crate) fn check(&self) -> Result<(), (&'static str, usize)> {
        for (index, class) in self.classes.iter().enumerate() {
            class.check(index, &self.store)?;
        }
        if self.page_blocks().map(|block| block.1).sum::<usize>() != self.store.in_blocks {
            return Err(("the bytes in blocks of pages are counted", 0));
        }
        self.store.check()
    }
}
