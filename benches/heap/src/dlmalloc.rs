//! dlmalloc for one thread, without the lock that its global allocator has.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;

use bench_kit::compat::FromGlobal;
use dlmalloc::Dlmalloc;

use crate::contestants::Home;

pub struct Contestant(Unlocked);

impl Home for Contestant {
    const NAME: &'static str = "dlmalloc";
    type Handle<'a> = FromGlobal<&'a Unlocked>;

    fn new() -> Self {
        Contestant(Unlocked(UnsafeCell::new(Dlmalloc::new())))
    }

    fn handle(&self) -> Self::Handle<'_> {
        FromGlobal(&self.0)
    }
}

/// dlmalloc by shared references, which stay with their thread.
pub struct Unlocked(UnsafeCell<Dlmalloc>);

// SAFETY: dlmalloc's methods do what those of the trait promise. It is not `Sync`, and no call of
// its methods makes another one, so a call has the cell for itself.
unsafe impl GlobalAlloc for Unlocked {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; the size and alignment are a layout's.
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as above; the caller gives up a block of ours of this layout.
        unsafe { (*self.0.get()).free(start, layout.size(), layout.align()) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; the size and alignment are a layout's.
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the caller passes a block of ours of this layout.
        unsafe { (*self.0.get()).realloc(start, layout.size(), layout.align(), size) }
    }
}
