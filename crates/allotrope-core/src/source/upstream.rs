//! A source of regions that another allocator gives out as blocks.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allotrope_sync::fatal::{self, no_unwinding};

use super::{Contents, Movement, Region, Source};
use crate::layout::granule::GRANULE_SIZE;
use crate::{AllocError, Independent};

/// Another allocator as a [`Source`]: its blocks are the regions.
///
/// Any `Allocator` of allocator-api2 0.2 will do, by value or by reference: `Global`, a
/// `&bumpalo::Bump`, another allocator of this crate; and one of another version in its wrapper of
/// [`compat`](crate::compat).
///
/// What cannot be had whole is asked for by halves. An upstream that returns too few or misaligned
/// bytes breaks its own contract; its block is given back and counts as a failure. So does one that
/// a block has grown into: what it holds moves to a new block, and where that cannot be had, the
/// program aborts, because the old block is gone.
///
/// An upstream that panics ends the program, at once and with a sentence, since a source must not
/// unwind: the allocator that it supplies may be in the middle of its work, or of a lock.
///
/// An upstream must not allocate, directly or indirectly (by a hook of its own, for one), from the
/// very allocator that it supplies. [`Local`](crate::Local), [`Locked`](crate::Locked) and
/// [`ObjectPool`](crate::ObjectPool) abort the program where one does, and so does the `SharedArena` of
/// allotrope-scope. Without the feature `std`, which tells threads apart, a lock waits for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upstream<A> {
    allocator: A,
}

impl<A> Upstream<A> {
    /// The blocks of `allocator` as regions.
    pub const fn new(allocator: A) -> Self {
        Self { allocator }
    }

    /// The allocator that the regions come from.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }
}

impl<A: Allocator> Upstream<A> {
    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// It is one of `allocator`, which `layout` fits, and nobody uses it any more.
    unsafe fn give_back(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        no_unwinding(|| unsafe { self.allocator.deallocate(start, layout) });
    }

    fn checked(&self, block: NonNull<[u8]>, layout: Layout) -> Result<Region, AllocError> {
        if !is_whole(block, layout) {
            // SAFETY: the block was just allocated with this layout, and nobody has it.
            unsafe { self.give_back(block.cast(), layout) };
            return Err(AllocError);
        }
        Ok(Region::new(block, block.len(), Contents::Unknown))
    }

    /// A new block, with the first `kept` bytes of `block`, which is not what `layout` asked for.
    ///
    /// # Safety
    ///
    /// `block` was allocated with `layout`, and nobody uses it.
    #[cold]
    unsafe fn replace(&self, block: NonNull<[u8]>, layout: Layout, kept: usize) -> Region {
        if block.len() < kept {
            fatal::abort("an upstream grew a block, and lost what it held");
        }
        let Ok(region) = self.reserve(layout.size(), layout.size()) else {
            fatal::abort("an upstream grew a block, and returned less than it should");
        };
        // SAFETY: both have so many bytes; they are two blocks.
        unsafe { region.start().copy_from_nonoverlapping(block.cast(), kept) };
        // SAFETY: as the caller promises.
        unsafe { self.give_back(block.cast(), layout) };
        region
    }
}

/// Does the block keep the contract of `Allocator`?
fn is_whole(block: NonNull<[u8]>, layout: Layout) -> bool {
    block.addr().get().is_multiple_of(layout.align()) && block.len() >= layout.size()
}

/// The layout of a region of `size` bytes.
fn layout_of(size: usize) -> Result<Layout, AllocError> {
    Layout::from_size_align(size, GRANULE_SIZE).map_err(|_| AllocError)
}

// SAFETY: a region is a block of `allocator`, which keeps it valid and to itself until it is
// deallocated or `allocator` is dropped, wherever `allocator` moves. Its size lies between the
// requested and the returned one, so the layout of the size fits it.
unsafe impl<A: Allocator> Source for Upstream<A> {
    const REGION_ALIGN: usize = GRANULE_SIZE;

    // `A` is anybody's.
    const MAY_REENTER: bool = true;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        let mut size = wanted.max(least);
        loop {
            let region = layout_of(size).and_then(|layout| {
                let block = no_unwinding(|| self.allocator.allocate(layout))?;
                self.checked(block, layout)
            });
            if region.is_ok() || size == least {
                return region;
            }
            size = (size / 2).max(least);
        }
    }

    unsafe fn release(&self, region: Region) {
        let Ok(layout) = layout_of(region.size()) else {
            // Longer than any layout says: a block that cannot be given back is lost.
            return;
        };
        // SAFETY: `region` is a block of `allocator` (caller) that this layout fits.
        unsafe { self.give_back(region.start(), layout) };
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        let (Ok(old), Ok(new)) = (layout_of(region.size()), layout_of(size)) else {
            return Err(region);
        };
        if movement == Movement::Never || new.size() < old.size() {
            return Err(region);
        }
        // SAFETY: the region is a block of `allocator` that `old` fits, and `new` is no smaller.
        match no_unwinding(|| unsafe { self.allocator.grow(region.start(), old, new) }) {
            Ok(block) if is_whole(block, new) => {
                Ok(Region::new(block, block.len(), Contents::Unknown))
            }
            // SAFETY: the block is that of the region now, which the caller gives up.
            Ok(block) => Ok(unsafe { self.replace(block, new, old.size()) }),
            Err(_) => Err(region),
        }
    }
}

// SAFETY: regions are blocks of `allocator`.
unsafe impl<A: Independent> Independent for Upstream<A> {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use allocator_api2::alloc::Global;
    use std::cell::Cell;

    /// Returns blocks that are shorter or less aligned than asked, and counts what is out.
    struct Faulty {
        missing: usize,
        shift: usize,
        limit: usize,
        out: Cell<usize>,
    }

    impl Faulty {
        fn new(missing: usize, shift: usize, limit: usize) -> Self {
            Self { missing, shift, limit, out: Cell::new(0) }
        }
    }

    fn padded(layout: Layout) -> Layout {
        Layout::from_size_align(layout.size() + 64, layout.align()).unwrap()
    }

    // SAFETY: it does not keep the contract, which is what it is for; its blocks lie inside
    // blocks of `Global`.
    unsafe impl Allocator for Faulty {
        fn allocate(
            &self,
            layout: Layout,
        ) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
            if layout.size() > self.limit {
                return Err(allocator_api2::alloc::AllocError);
            }
            let block = Global.allocate(padded(layout))?.cast::<u8>();
            self.out.set(self.out.get() + 1);
            // SAFETY: the block is 64 bytes longer than `layout`, and `shift` is less.
            let start = unsafe { block.add(self.shift) };
            Ok(NonNull::slice_from_raw_parts(start, layout.size() - self.missing))
        }

        unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            self.out.set(self.out.get() - 1);
            // SAFETY: `allocate` shifted the block by as much.
            unsafe { Global.deallocate(start.sub(self.shift), padded(layout)) };
        }
    }

    #[test]
    fn short_and_misaligned_blocks_are_given_back() {
        for (missing, shift) in [(1, 0), (0, 8), (16, 8)] {
            let faulty = Faulty::new(missing, shift, usize::MAX);
            assert_eq!(Upstream::new(&faulty).reserve(1024, 4096), Err(AllocError));
            assert_eq!(faulty.out.get(), 0);
        }
    }

    #[test]
    fn what_cannot_be_had_is_halved_down_to_the_least() {
        let faulty = Faulty::new(0, 0, 3000);
        let upstream = Upstream::new(&faulty);
        let region = upstream.reserve(1000, 10_000).unwrap();
        assert_eq!(region.size(), 2500);
        // SAFETY: lent just above.
        unsafe { upstream.release(region) };
        assert_eq!(upstream.reserve(3001, 10_000), Err(AllocError));
        assert_eq!(faulty.out.get(), 0);
    }

    #[test]
    fn sizes_beyond_any_layout_are_errors() {
        assert_eq!(Upstream::new(Global).reserve(usize::MAX, usize::MAX), Err(AllocError));
    }

    #[test]
    fn growing_moves_the_contents() {
        let upstream = Upstream::new(Global);
        let region = upstream.reserve(100, 100).unwrap();
        // SAFETY: the region is ours, and 100 bytes long.
        unsafe { region.start().write_bytes(7, 100) };
        // SAFETY: as above, and nobody else has it.
        let region = unsafe { upstream.grow_region(region, 50, Movement::Allowed) }.unwrap_err();
        // SAFETY: as above.
        let region = unsafe { upstream.grow_region(region, 9999, Movement::Never) }.unwrap_err();
        // SAFETY: as above.
        let region = unsafe { upstream.grow_region(region, 9999, Movement::Allowed) }.unwrap();
        assert!(region.size() >= 9999);
        // SAFETY: the first 100 bytes were written before it grew.
        assert_eq!(unsafe { region.start().add(99).read() }, 7);
        // SAFETY: as above.
        unsafe { upstream.release(region) };
    }
}
