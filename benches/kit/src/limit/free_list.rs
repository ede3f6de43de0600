//! The limit of global allocators: one pop, one push.
//!
//! # Invariants
//!
//! 1. Every block in a list is free, at least 16 bytes long and starts with the list's next block.
//! 2. A block serves the layouts of one class until the process ends, and any thread may own it:
//!    a freed block joins the list of the thread that frees it.
//! 3. `frontier` to `end` was never handed out.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

use super::{CLASSES, class_of, class_of_size, map};

/// Sizes from here on are mapped, remapped and unmapped by themselves.
const MAPPED_FROM: usize = 256 << 10;

/// Thread-local free lists over memory that is never given back.
#[derive(Clone, Copy, Debug)]
pub struct LimitFreeList;

struct Lists {
    heads: UnsafeCell<[*mut u8; CLASSES]>,
    frontier: Cell<*mut u8>,
    end: Cell<*mut u8>,
}

thread_local! {
    static LISTS: Lists = const {
        Lists {
            heads: UnsafeCell::new([null_mut(); CLASSES]),
            frontier: Cell::new(null_mut()),
            end: Cell::new(null_mut()),
        }
    };
}

#[cold]
#[inline(never)]
fn refill(lists: &Lists, bytes: usize) -> *mut u8 {
    if lists.end.get().addr() - lists.frontier.get().addr() < bytes {
        let size = 4 << 20;
        let start = map(size);
        if start.is_null() {
            return null_mut();
        }
        lists.frontier.set(start);
        lists.end.set(start.wrapping_add(size));
    }
    let block = lists.frontier.get();
    lists.frontier.set(block.wrapping_add(bytes));
    block
}

// SAFETY: a block comes from a list of its class or from beyond a frontier, where none was handed
// out before (invariants 1 to 3), or is a mapping of its own. Block sizes are multiples of 16, and
// powers of two for larger alignments. Nothing here unwinds.
unsafe impl GlobalAlloc for LimitFreeList {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size().max(layout.align());
        if size >= MAPPED_FROM {
            return map(size);
        }
        LISTS.with(|lists| {
            let (class, bytes) = class_of(layout);
            // SAFETY: the lists are this thread's, and no other reference to them is alive: the
            // code below calls nothing that allocates.
            let heads = unsafe { &mut *lists.heads.get() };
            let head = &mut heads[class];
            let block = *head;
            if block.is_null() {
                return refill(lists, bytes);
            }
            // SAFETY: invariant 1.
            *head = unsafe { *block.cast() };
            block
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let size = layout.size().max(layout.align());
        if size >= MAPPED_FROM {
            // SAFETY: the caller gives up a block of this layout, which `alloc` mapped.
            unsafe { libc::munmap(block.cast(), size) };
            return;
        }
        LISTS.with(|lists| {
            let (class, _) = class_of(layout);
            // SAFETY: as in `alloc`.
            let heads = unsafe { &mut *lists.heads.get() };
            let head = &mut heads[class];
            // SAFETY: the caller gives up a block of this class, so it has room for a link.
            unsafe { *block.cast() = *head };
            *head = block;
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the method called.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && layout.size().max(layout.align()) < MAPPED_FROM {
            // SAFETY: the block holds `layout.size()` bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() >= MAPPED_FROM && new_size >= MAPPED_FROM {
            let may_move = libc::MREMAP_MAYMOVE;
            // SAFETY: the caller's block of this layout is a mapping of its own.
            let moved = unsafe { libc::mremap(block.cast(), layout.size(), new_size, may_move) };
            return if moved == libc::MAP_FAILED { null_mut() } else { moved.cast() };
        }
        if layout.align() <= 16
            && layout.size().max(new_size) < MAPPED_FROM
            && class_of_size(layout.size()).0 == class_of_size(new_size).0
        {
            return block;
        }
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, is a layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller promises that the new size is not zero.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: two blocks, both at least as long as what is copied.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_size)) };
            // SAFETY: the caller's block of this layout, which is not used again.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}
