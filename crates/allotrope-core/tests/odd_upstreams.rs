//! Upstreams that break the contract of `Allocator`: what has grown is too short, or misaligned.
//!
//! Goal: memory that is taken for more than it is, or given back as what it is not.
//!
//! Method: the blocks are cut from longer ones of `Global`, which are counted.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{Movement, Source, Upstream};

/// `Global`, but what has grown is not what was asked for.
struct BadlyGrown {
    shift: usize,
    missing: usize,
    out: Cell<usize>,
}

impl BadlyGrown {
    fn padded(layout: Layout) -> Layout {
        Layout::from_size_align(layout.size() + 64, 4096).unwrap()
    }
}

// SAFETY: it does not keep the contract, which is what it is for; its blocks lie inside blocks of
// `Global`, less than 64 bytes behind their start, which is a multiple of 4096.
unsafe impl Allocator for BadlyGrown {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        self.out.set(self.out.get() + 1);
        let block = Global.allocate(Self::padded(layout))?;
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.out.set(self.out.get() - 1);
        let shift = start.addr().get() % 4096;
        // SAFETY: `allocate` or `grow` got the block there.
        unsafe { Global.deallocate(start.sub(shift), Self::padded(layout)) };
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        let block = self.allocate(new)?.cast::<u8>();
        // SAFETY: the block is 64 bytes longer than `new`, which is no shorter than `old`.
        unsafe {
            let block = block.add(self.shift);
            block.copy_from_nonoverlapping(start, old.size());
            self.deallocate(start, old);
            Ok(NonNull::slice_from_raw_parts(block, new.size() - self.missing))
        }
    }
}

#[test]
fn a_block_that_had_grown_too_little_was_taken_as_it_was() {
    for (shift, missing) in [(0, 0), (0, 1), (8, 0), (8, 100)] {
        let badly = BadlyGrown { shift, missing, out: Cell::new(0) };
        let source = Upstream::new(&badly);
        let region = source.reserve(1000, 1000).unwrap();
        // SAFETY: the region is ours, and of this size.
        unsafe { region.start().write_bytes(7, 1000) };
        // SAFETY: the region is lent, and not used at its old place.
        let region = unsafe { source.grow_region(region, 9000, Movement::Allowed) }.unwrap();
        assert!(region.size() >= 9000 && region.committed() == region.size());
        assert!(region.start().addr().get().is_multiple_of(16));
        // SAFETY: so many bytes were written.
        let kept = (0..1000).all(|index| unsafe { region.start().add(index).read() } == 7);
        assert!(kept, "{shift} {missing}");
        assert_eq!(badly.out.get(), 1, "what was not whole is given back");
        // SAFETY: lent, and not used any more.
        unsafe { source.release(region) };
        assert_eq!(badly.out.get(), 0);
    }
}

/// Says of its blocks that they are longer than any layout.
struct Boundless {
    given_back: Cell<usize>,
}

// SAFETY: it does not keep the contract, which is what it is for; nobody accesses its blocks.
unsafe impl Allocator for Boundless {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        let block = Global.allocate(layout)?;
        Ok(NonNull::slice_from_raw_parts(block.cast(), isize::MAX as usize - 3))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        assert!(Layout::from_size_align(layout.size(), layout.align()).is_ok());
        self.given_back.set(self.given_back.get() + 1);
        // SAFETY: `allocate` got the block there.
        unsafe { Global.deallocate(start, layout) };
    }
}

#[test]
fn a_block_longer_than_any_layout_was_given_back_by_one_that_is_none() {
    let upstream = Boundless { given_back: Cell::new(0) };
    let source = Upstream::new(&upstream);
    let region = source.reserve(4096, 4096).unwrap();
    let start = region.start();
    // SAFETY: the region is lent, and was never used.
    unsafe { source.release(region) };
    assert_eq!(upstream.given_back.get(), 0, "it is lost instead");
    // SAFETY: `Boundless` got the block there with this layout, and did not give it back.
    unsafe { Global.deallocate(start, Layout::from_size_align(4096, 16).unwrap()) };
}
