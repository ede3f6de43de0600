//! The heap crates, and the limit.
//!
//! A heap that needs a fixed address is boxed; the others too, so that all are alike.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

use bench_kit::limit::LimitSegregated;

use crate::contestants::{Heap, move_block};

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(null_mut(), NonNull::as_ptr)
}

/// A pointer that is not null, because it is a block or a buffer.
///
/// # Safety
///
/// It is not null.
#[inline(always)]
unsafe fn not_null(block: *mut u8) -> NonNull<u8> {
    // SAFETY: the caller promises it.
    unsafe { NonNull::new_unchecked(block) }
}

pub struct Talc(Box<talc::base::Talc<talc::source::Manual, talc::DefaultBinning>>);

// SAFETY: talc keeps to the memory that it claimed, which is the buffer.
unsafe impl Heap for Talc {
    const NAME: &'static str = "talc";

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let mut talc = Box::new(talc::base::Talc::new(talc::source::Manual));
        // SAFETY: the caller lends the buffer to this heap alone.
        unsafe { talc.claim(start, len) }.expect("room for talc's own data");
        Talc(talc)
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises that the size is not zero.
        or_null(unsafe { self.0.allocate(layout) })
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.deallocate(block, layout) }
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are those of the methods called; a block that could not
        // be changed in place is as it was.
        unsafe {
            if self.0.try_realloc_in_place(block, layout, new_size) {
                return block;
            }
            move_block(self, block, layout, new_size)
        }
    }
}

macro_rules! rlsf_heap {
    ($ty:ident, $name:literal, $lists:ty, $list_count:literal) => {
        pub struct $ty(Box<rlsf::Tlsf<'static, u32, $lists, 24, $list_count>>);

        // SAFETY: rlsf keeps to the memory that it was given, which is the buffer.
        unsafe impl Heap for $ty {
            const NAME: &'static str = $name;

            unsafe fn new(start: *mut u8, len: usize) -> Self {
                let mut tlsf = Box::new(rlsf::Tlsf::new());
                // SAFETY: the caller lends the buffer, which is not at null, to this heap alone.
                unsafe {
                    let buffer = NonNull::slice_from_raw_parts(not_null(start), len);
                    tlsf.insert_free_block_ptr(buffer).expect("a block");
                }
                $ty(tlsf)
            }

            #[inline(always)]
            unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
                or_null(self.0.allocate(layout))
            }

            #[inline(always)]
            unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
                // SAFETY: the caller gives up a block of ours.
                unsafe { self.0.deallocate(not_null(block), layout.align()) }
            }

            #[inline(always)]
            unsafe fn reallocate(&mut self, block: *mut u8, old: Layout, size: usize) -> *mut u8 {
                // SAFETY: the caller passes a block of ours, and a size that makes a layout.
                unsafe {
                    let new = Layout::from_size_align_unchecked(size, old.align());
                    or_null(self.0.reallocate(not_null(block), new))
                }
            }
        }
    };
}
// 16 second-level lists as in its documentation, and 64 as in its GlobalTlsf.
rlsf_heap!(Rlsf, "rlsf", u16, 16);
rlsf_heap!(RlsfFine, "rlsf 64 lists", u64, 64);

/// The buffer as dlmalloc's "system": pages handed out in order, none taken back.
pub struct BufferPages {
    frontier: Cell<*mut u8>,
    left: Cell<usize>,
}

// SAFETY: it owns its pages, which belong to no thread in particular.
unsafe impl Send for BufferPages {}

// SAFETY: `frontier` to `left` bytes behind it are the buffer's and were never handed out.
unsafe impl dlmalloc::Allocator for BufferPages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let Some(left) = self.left.get().checked_sub(size) else { return (null_mut(), 0, 0) };
        self.left.set(left);
        let start = self.frontier.get();
        self.frontier.set(start.wrapping_add(size));
        (start, size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        4096
    }
}

pub struct Dl(Box<dlmalloc::Dlmalloc<BufferPages>>);

// SAFETY: dlmalloc keeps to the pages it gets, which are the buffer's.
unsafe impl Heap for Dl {
    const NAME: &'static str = "dlmalloc";

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let pages = BufferPages { frontier: Cell::new(start), left: Cell::new(len) };
        let mut dlmalloc = Box::new(dlmalloc::Dlmalloc::new_with_allocator(pages));
        dlmalloc.set_granularity(4096);
        Dl(dlmalloc)
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size and alignment are a layout's.
        unsafe { self.0.malloc(layout.size(), layout.align()) }
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of ours of this layout.
        unsafe { self.0.free(block, layout.size(), layout.align()) }
    }

    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes a block of ours of this layout.
        unsafe { self.0.realloc(block, layout.size(), layout.align(), new_size) }
    }
}

pub struct Galloc(Box<good_memory_allocator::Allocator>);

// SAFETY: good_memory_allocator keeps to the memory it was given, which is the buffer.
unsafe impl Heap for Galloc {
    const NAME: &'static str = "good_memory_allocator";
    const SLOW: bool = true;
    const WASTEFUL: bool = true;

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let mut heap = Box::new(good_memory_allocator::Allocator::empty());
        // SAFETY: the caller lends the buffer to this heap alone.
        unsafe { heap.init(start.expose_provenance(), len) };
        Galloc(heap)
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: `new` initialized it, and the caller promises that the size is not zero.
        unsafe { self.0.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller gives up a block of ours.
        unsafe { self.0.dealloc(block) }
    }
}

pub struct Buddy(Box<buddy_system_allocator::Heap<32>>);

// SAFETY: buddy_system_allocator keeps to the memory it was given, which is the buffer.
unsafe impl Heap for Buddy {
    const NAME: &'static str = "buddy_system";
    const SLOW: bool = true;

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        let mut heap = Box::new(buddy_system_allocator::Heap::new());
        // SAFETY: the caller lends the buffer to this heap alone.
        unsafe { heap.init(start.expose_provenance(), len) };
        Buddy(heap)
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        or_null(self.0.alloc(layout).ok())
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of ours of this layout.
        unsafe { self.0.dealloc(not_null(block), layout) }
    }
}

pub struct LinkedList(linked_list_allocator::Heap);

// SAFETY: linked_list_allocator keeps to the memory it was given, which is the buffer.
unsafe impl Heap for LinkedList {
    const NAME: &'static str = "linked_list";
    const SLOW: bool = true;

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        // SAFETY: the caller lends the buffer to this heap alone.
        LinkedList(unsafe { linked_list_allocator::Heap::new(start, len) })
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        or_null(self.0.allocate_first_fit(layout).ok())
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of ours of this layout.
        unsafe { self.0.deallocate(not_null(block), layout) }
    }
}

/// Free lists without splitting or coalescing.
pub struct Limit(Box<LimitSegregated>);

// SAFETY: its blocks lie between the frontier's way through the buffer and are handed out anew
// only after they were freed.
unsafe impl Heap for Limit {
    const NAME: &'static str = "limit-freelist";

    unsafe fn new(start: *mut u8, len: usize) -> Self {
        Limit(Box::new(LimitSegregated::new(start, len)))
    }

    #[inline(always)]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the buffer is there while the heap is used, as the caller of `new` promised.
        unsafe { self.0.allocate(layout) }
    }

    #[inline(always)]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the method called.
        unsafe { self.0.deallocate(block, layout) }
    }
}
