//! Single blocks from mimalloc as a contrast, and mimalloc below all contestants.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;

use mimalloc::MiMalloc;

use crate::contestants::Arena;
use crate::raw::{Blocks, put, put_slice, put_str};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

macro_rules! for_each_c_peer {
    ($m:ident) => {
        $m!(Boxes);
    };
}
pub(crate) use for_each_c_peer;

/// Single blocks, remembered and freed one by one at reset.
pub struct Boxes(RefCell<Vec<(*mut u8, Layout)>>);

// SAFETY: `GlobalAlloc` promises blocks that fit their layout and do not overlap; they are freed
// by `reset` and `drop`, which take `&mut self`.
unsafe impl Blocks for Boxes {
    #[inline(always)]
    fn block(&self, layout: Layout) -> *mut u8 {
        // SAFETY: this harness makes no values of size zero.
        let block = unsafe { MiMalloc.alloc(layout) };
        self.0.borrow_mut().push((block, layout));
        block
    }
}

impl Arena for Boxes {
    const NAME: &'static str = "(boxes on mimalloc)";
    type Handle<'a> = allocator_api2::alloc::Global;

    fn new() -> Self {
        Boxes(RefCell::new(Vec::new()))
    }

    #[inline(always)]
    fn alloc<T: 'static>(&self, value: T) -> &mut T {
        put(self, value)
    }

    #[inline(always)]
    fn slice<T: Copy>(&self, slice: &[T]) -> &mut [T] {
        put_slice(self, slice)
    }

    #[inline(always)]
    fn str(&self, str: &str) -> &mut str {
        put_str(self, str)
    }

    fn handle(&self) -> Self::Handle<'_> {
        allocator_api2::alloc::Global
    }

    fn reset(&mut self) {
        for (block, layout) in self.0.get_mut().drain(..) {
            // SAFETY: `block` came from this allocator with this layout, and the values made in it
            // borrowed `self`.
            unsafe { MiMalloc.dealloc(block, layout) };
        }
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        self.reset();
    }
}
