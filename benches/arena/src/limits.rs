//! The least that could work: a bump of a pointer.

use std::alloc::Layout;
use std::hint::black_box;

use bench_kit::compat::Limit;
use bench_kit::limit::LimitBump;

use crate::contestants::{Arena, hundred};
use crate::raw::{Blocks, put, put_slice, put_str};

pub struct LimitArena(LimitBump);

// SAFETY: a bump hands out every byte once until it is reset, which takes `&mut self`; the scope
// below, too, ends after the uses of its values.
unsafe impl Blocks for LimitArena {
    #[inline(always)]
    fn block(&self, layout: Layout) -> *mut u8 {
        self.0.allocate(layout)
    }
}

impl Arena for LimitArena {
    const NAME: &'static str = "limit-bump";
    type Handle<'a> = Limit<'a>;

    fn new() -> Self {
        LimitArena(LimitBump::new(1 << 30))
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

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        Limit(&self.0)
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset()
    }

    fn scope_of_100(&mut self) {
        let mark = self.0.mark();
        hundred!(self);
        self.0.reset_to(mark);
    }
}
