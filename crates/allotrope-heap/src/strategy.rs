//! The engine as a strategy: the ways are those of the layouts.

use core::alloc::Layout;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Broken, Delivery, Hook, Policy, Source, Strategy};

use crate::class::Class;
use crate::engine::Engine;
use crate::route::Way;

// SAFETY: slabs hand out every block once, aligned and as long as their class says; runs of pages and
// extents are each of one block. All stay where they are. A layout's way and extent are the same for
// every size that fits. Nothing unwinds: a `Firm` source ends
// the program where it would, and so does what `promised!` finds.
unsafe impl<S: Source, P: Policy, H: Hook> Strategy for Engine<S, P, H> {
    type Hook = H;

    const MAY_REENTER: bool = S::MAY_REENTER;

    fn extent(layout: Layout) -> Option<usize> {
        Way::of::<P>(layout).extent()
    }

    #[inline(always)]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Self::allocate(self, layout)
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_zeroed_by(Way::of::<P>(layout), layout)
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises; the layout says which way the block came.
        unsafe { Self::deallocate(self, start, layout) };
    }

    #[inline]
    unsafe fn grow(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Self::grow(self, start, old, new) }
    }

    unsafe fn grow_zeroed(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.grow_zeroed_by((Way::of::<P>(old), Way::of::<P>(new)), start, old, new) }
    }

    unsafe fn shrink(
        &mut self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.shrink_by((Way::of::<P>(old), Way::of::<P>(new)), start, old, new) }
    }

    fn reset(&mut self) {
        self.classes.fill(Class::new());
        // SAFETY: to borrow a strategy mutably for this ends all blocks (`Strategy::reset`).
        unsafe { self.store.reset() };
    }

    fn trim(&mut self) {
        self.reclaim();
    }

    fn bytes_used(&self) -> usize {
        let small = self.each_class().map(|(class, of)| of.used() as usize * class.block_size());
        small.sum::<usize>() + self.store.in_blocks + self.store.large.bytes_used()
    }

    fn bytes_free(&self) -> usize {
        let free = |of: &Class| (of.available + of.listed()) as usize;
        let small = self.each_class().map(|(class, of)| free(of) * class.block_size());
        small.sum::<usize>() + self.store.bytes_free()
    }

    fn bytes_held(&self) -> usize {
        self.store.bytes_held()
    }

    fn largest_free_block(&self) -> usize {
        let small = self.each_class().filter(|(_, of)| of.available > 0 || of.free.is_some());
        let small = small.map(|(class, _)| class.block_size()).max().unwrap_or(0);
        small.max(self.store.longest_free())
    }

    fn check_invariants(&self) -> Result<(), Broken> {
        self.check().map_err(|(invariant, address)| Broken { invariant, address })
    }

    #[inline(always)]
    fn take_events(&mut self) -> Delivery<H> {
        self.take_log()
    }
}
