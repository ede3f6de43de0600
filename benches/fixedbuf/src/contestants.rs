//! The heaps that are compared, each inside one buffer.
//!
//! To add one: implement [`Heap`] and add it to `for_each_heap!`.

use std::alloc::Layout;

/// A heap over a buffer that outlives it; null means no room.
///
/// # Safety
///
/// Blocks fit their layout, lie inside the buffer (save `UNBOUNDED` ones), and overlap no other
/// block that is not freed.
pub unsafe trait Heap: Sized {
    /// Its name in the tables.
    const NAME: &'static str;
    /// Not held to the buffer: a contrast for speed, left out of the space tables.
    const UNBOUNDED: bool = false;
    /// Linear in its free blocks: dropped from a workload that takes it too long.
    const SLOW: bool = false;
    /// Known to need more than the whole buffer for some traces: left out of them.
    const WASTEFUL: bool = false;

    /// A heap in `len` bytes from `start`.
    ///
    /// # Safety
    ///
    /// The buffer is valid for reads and writes while the heap and its blocks are used, and nobody
    /// else's; `start` is aligned to a page.
    unsafe fn new(start: *mut u8, len: usize) -> Self;

    /// A block, or null.
    ///
    /// # Safety
    ///
    /// The size is not zero.
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8;

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, and is not used again.
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout);

    /// Changes the size of a block, which may move; null leaves it as it was.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, and is not used again unless the result is
    /// null. `new_size` is not zero and makes a layout with the same alignment.
    #[inline(always)]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are those of the function called.
        unsafe { move_block(self, block, layout, new_size) }
    }
}

/// Grows or shrinks a block by moving it.
///
/// # Safety
///
/// As for [`Heap::reallocate`].
#[inline(always)]
pub unsafe fn move_block<H: Heap>(
    heap: &mut H,
    block: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the caller promises a layout.
    let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
    // SAFETY: the caller promises that the size is not zero.
    let moved = unsafe { heap.allocate(new) };
    if !moved.is_null() {
        // SAFETY: two blocks, both at least as long as what is copied.
        unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_size)) };
        // SAFETY: the caller gives up its block of this layout.
        unsafe { heap.deallocate(block, layout) };
    }
    moved
}

/// Calls `$m!(Type)` for every heap.
macro_rules! for_each_heap {
    ($m:ident) => {
        $m!(Talc);
        $m!(Rlsf);
        $m!(RlsfFine);
        $m!(Dl);
        $m!(Galloc);
        $m!(Buddy);
        $m!(LinkedList);
        for_each_c_peer!($m);
        $m!(Limit);
        $m!(OurBestFit);
        $m!(FirstBestFit);
    };
}
pub(crate) use for_each_heap;
