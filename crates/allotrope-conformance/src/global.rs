//! A `GlobalAlloc` as an `Allocator`, so that the same suite tests it.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use allocator_api2::alloc::{AllocError, Allocator};

/// Makes every call of an [`Allocator`] one of the [`GlobalAlloc`] inside.
///
/// `GlobalAlloc` has no returned length, so that a block's length is what was requested, and it
/// forbids size 0, so that such blocks never reach it. A grow or shrink is a `realloc` where the
/// alignment stays, else an `alloc`, a copy and a `dealloc`.
///
/// A `GlobalAlloc` is made for a static: its blocks may lie in the value itself, and a clone of it may
/// be another allocator. So it has a place of its own, which all clones of this share.
#[derive(Debug, Default)]
pub struct AsAllocator<G>(Arc<G>);

impl<G> AsAllocator<G> {
    /// Calls `global`, from a place that it stays in.
    pub fn new(global: G) -> Self {
        Self(Arc::new(global))
    }

    /// The `GlobalAlloc` inside.
    pub fn global(&self) -> &G {
        &self.0
    }
}

impl<G> Clone for AsAllocator<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G: GlobalAlloc> AsAllocator<G> {
    /// # Safety
    ///
    /// As for [`Allocator::grow`] and [`Allocator::shrink`].
    unsafe fn resize(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        if old.size() == 0 || new.size() == 0 || old.align() != new.align() {
            let block = self.allocate(new)?;
            let kept = old.size().min(new.size());
            // SAFETY: both blocks are `kept` bytes long, and they are two (or `kept` is 0).
            unsafe { start.copy_to_nonoverlapping(block.cast(), kept) };
            // SAFETY: the caller gives the old block up, and `old` fits it.
            unsafe { self.deallocate(start, old) };
            return Ok(block);
        }
        // SAFETY: the block is live with layout `old` (caller; the length is exactly what was
        // requested), and the new size is neither 0 nor too large for the alignment.
        slice(unsafe { self.0.realloc(start.as_ptr(), old, new.size()) }, new.size())
    }
}

// SAFETY: the promises are those of the `GlobalAlloc` inside, call by call, which stays in its place
// until the last clone is dropped; blocks of size 0 are never accessed.
unsafe impl<G: GlobalAlloc> Allocator for AsAllocator<G> {
    fn allocate(&self, layout: Layout) -> Allocated {
        if layout.size() == 0 {
            return slice(ptr::without_provenance_mut(layout.align()), 0);
        }
        // SAFETY: the size is not 0.
        slice(unsafe { self.0.alloc(layout) }, layout.size())
    }

    fn allocate_zeroed(&self, layout: Layout) -> Allocated {
        if layout.size() == 0 {
            return self.allocate(layout);
        }
        // SAFETY: the size is not 0.
        slice(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the block is live and was allocated with this layout (caller).
            unsafe { self.0.dealloc(start.as_ptr(), layout) };
        }
    }

    unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promises are those of `resize`.
        unsafe { self.resize(start, old, new) }
    }

    unsafe fn grow_zeroed(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promises are those of `resize`.
        let block = unsafe { self.resize(start, old, new) }?;
        // SAFETY: the new block is at least as long as the old one was, and all ours.
        unsafe { block.cast::<u8>().add(old.size()).write_bytes(0, new.size() - old.size()) };
        Ok(block)
    }

    unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promises are those of `resize`.
        unsafe { self.resize(start, old, new) }
    }
}

type Allocated = Result<NonNull<[u8]>, AllocError>;

fn slice(start: *mut u8, len: usize) -> Allocated {
    NonNull::new(start).map(|start| NonNull::slice_from_raw_parts(start, len)).ok_or(AllocError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use allocator_api2::boxed::Box;
    use std::cell::{Cell, UnsafeCell};

    /// Hands out its own bytes, and knows how many blocks it has out.
    #[derive(Default)]
    struct Inline {
        bytes: UnsafeCell<[u64; 8]>,
        out: Cell<usize>,
    }

    // SAFETY: one block at a time, in bytes that stay where the value does.
    unsafe impl GlobalAlloc for Inline {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if self.out.get() > 0 || layout.size() > 64 || layout.align() > 8 {
                return ptr::null_mut();
            }
            self.out.set(1);
            self.bytes.get().cast()
        }

        unsafe fn dealloc(&self, start: *mut u8, _: Layout) {
            assert_eq!((start.cast(), self.out.get()), (self.bytes.get(), 1));
            self.out.set(0);
        }
    }

    #[test]
    fn blocks_outlive_a_move_and_are_freed_by_a_clone() {
        let boxed = Box::new_in([1_u64, 2, 3], AsAllocator::new(Inline::default()));
        let moved = std::boxed::Box::new(boxed);
        assert_eq!(**moved, [1, 2, 3]);
        let (start, allocator) = Box::into_raw_with_allocator(*moved);
        let clone = allocator.clone();
        drop(allocator);
        // SAFETY: the block is the allocator's, of which this is a clone.
        drop(unsafe { Box::from_raw_in(start, clone) });
    }
}
