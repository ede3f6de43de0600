//! Our arena, with its default settings.

use std::hint::black_box;

use crate::contestants::{Arena, hundred};

pub struct Ours(allotrope_scope::Arena);

impl Arena for Ours {
    const NAME: &'static str = "allotrope Arena";
    type Handle<'a> = &'a allotrope_scope::Arena;

    fn new() -> Self {
        Ours(allotrope_scope::Arena::new())
    }

    #[inline(always)]
    fn alloc<T: 'static>(&self, value: T) -> &mut T {
        self.0.alloc(value)
    }

    #[inline(always)]
    fn slice<T: Copy>(&self, slice: &[T]) -> &mut [T] {
        self.0.alloc_slice_copy(slice)
    }

    #[inline(always)]
    fn str(&self, str: &str) -> &mut str {
        self.0.alloc_str(str)
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset()
    }

    fn scope_of_100(&mut self) {
        self.0.scope(|scope| hundred!(scope));
    }
}
