//! The first best fit of this project, frozen: later ones are held against it.
//!
//! It is `allotrope_core::BestFit` as it was when it first packed as tightly as its prototype, cut
//! down to what one buffer needs: no sources, further regions, known zeros, hooks or checks. The files
//! beside this one were copied then, and nothing but a broken build is a reason to touch them.

mod area;
mod bins;
mod edges;
mod granule;
mod space;
mod table;

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use area::{Geometry, edges_size};
use edges::Edges;
use granule::{GRANULE_SHIFT, granules_for, granules_of_align};
use space::Space;
use table::InBlock;

use crate::contestants::{Heap, move_block};

pub struct FirstBestFit(Box<Space<InBlock>>);

impl FirstBestFit {
    #[inline(always)]
    fn granule_at(&self, block: *mut u8) -> u32 {
        ((block.addr() - self.0.table.start().addr().get()) >> GRANULE_SHIFT) as u32
    }

    #[inline(always)]
    fn address(&self, granule: u32) -> *mut u8 {
        // SAFETY: callers pass granules of the buffer.
        unsafe { self.0.table.granule(granule) }.as_ptr()
    }
}

// SAFETY: granules lie in the buffer, and a block is cut from free ones only.
unsafe impl Heap for FirstBestFit {
    const NAME: &'static str = "(allotrope, first)";

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let geometry = Geometry::new(start.addr(), len, 0).expect("room for the bitmap");
        let start = NonNull::new(start).expect("a buffer is somewhere");
        // SAFETY: the bitmap and the granules lie in the buffer, which is lent to this heap alone.
        unsafe {
            start.add(geometry.edges).write_bytes(0, edges_size(geometry.capacity));
            let table = InBlock::new(start.add(geometry.granules));
            let mut space =
                Box::new(Space::new(table, Edges::new(start.add(geometry.edges).cast())));
            space.extend(geometry.capacity);
            FirstBestFit(space)
        }
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let sizes = granules_for(layout.size()).zip(granules_of_align(layout.align()));
        let Some((size, align)) = sizes else { return null_mut() };
        let phase = (self.0.table.start().addr().get() >> GRANULE_SHIFT) as u32;
        let found = match align {
            1 => self.0.allocate(size).map(|run| run.start),
            _ => self.0.allocate_aligned(size, align, phase).map(|(start, _)| start),
        };
        found.map_or(null_mut(), |start| self.address(start))
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        let Some(size) = granules_for(layout.size()) else { return };
        let granule = self.granule_at(block);
        // SAFETY: the caller gives up a block of this layout.
        unsafe { self.0.free(granule, size) };
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let sizes = granules_for(layout.size()).zip(granules_for(new_size));
        let Some((old, new)) = sizes else { return null_mut() };
        let granule = self.granule_at(block);
        // SAFETY: the block is in use and `old` granules long; what is moved lies in it, and in
        // what is free below it.
        unsafe {
            if new == old || (new > old && self.0.grow(granule, old, new).is_some()) {
                return block;
            }
            if new < old {
                self.0.free(granule + new, old - new);
                return block;
            }
            let moved = move_block(self, block, layout, new_size);
            if !moved.is_null() || layout.align() > 1 << GRANULE_SHIFT {
                return moved;
            }
            let Some(all) = self.0.grow_down(granule, old, new) else { return null_mut() };
            self.address(all.start).copy_from(block, layout.size());
            self.0.insert_rest(all, new);
            self.address(all.start)
        }
    }
}
