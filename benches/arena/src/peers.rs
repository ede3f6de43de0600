//! The arena crates.

use std::hint::black_box;

use bench_kit::compat::From04;
use bump_scope::settings::BumpSettings;

use crate::contestants::{Arena, ArenaOf, hundred};

macro_rules! bumpalo_arena {
    ($ty:ident, $name:literal, $align:literal) => {
        pub struct $ty(bumpalo::Bump<$align>);

        impl Arena for $ty {
            const NAME: &'static str = $name;
            type Handle<'a> = &'a bumpalo::Bump<$align>;

            fn new() -> Self {
                $ty(bumpalo::Bump::with_min_align())
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
        }
    };
}
bumpalo_arena!(BumpaloDefault, "bumpalo", 1);
bumpalo_arena!(BumpaloAlign8, "bumpalo min-align 8", 8);

macro_rules! bump_scope_arena {
    ($ty:ident, $name:literal, $settings:ty) => {
        pub struct $ty(bump_scope::Bump<bump_scope::alloc::Global, $settings>);

        impl Arena for $ty {
            const NAME: &'static str = $name;
            type Handle<'a> = &'a bump_scope::Bump<bump_scope::alloc::Global, $settings>;

            fn new() -> Self {
                $ty(bump_scope::Bump::new())
            }

            #[inline(always)]
            fn alloc<T: 'static>(&self, value: T) -> &mut T {
                bump_scope::BumpBox::leak(self.0.alloc(value))
            }

            #[inline(always)]
            fn slice<T: Copy>(&self, slice: &[T]) -> &mut [T] {
                bump_scope::BumpBox::leak(self.0.alloc_slice_copy(slice))
            }

            #[inline(always)]
            fn str(&self, str: &str) -> &mut str {
                bump_scope::BumpBox::leak(self.0.alloc_str(str))
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
                self.0.scoped(|scope| hundred!(scope));
            }
        }
    };
}
bump_scope_arena!(BumpScopeDefault, "bump-scope", BumpSettings);
// Downwards, no claim, no dealloc, no shrink; with alignment 1 and 8.
type Fast<const ALIGN: usize> = BumpSettings<ALIGN, false, true, false, false, false>;
bump_scope_arena!(BumpScopeFast, "bump-scope fast", Fast<1>);
bump_scope_arena!(BumpScopeFast8, "bump-scope fast align 8", Fast<8>);

pub struct Blink(blink_alloc::Blink);

impl Arena for Blink {
    const NAME: &'static str = "blink-alloc";
    type Handle<'a> = From04<'a, blink_alloc::BlinkAlloc>;

    fn new() -> Self {
        Blink(blink_alloc::Blink::new())
    }

    #[inline(always)]
    fn alloc<T: 'static>(&self, value: T) -> &mut T {
        self.0.put_no_drop(value)
    }

    #[inline(always)]
    fn slice<T: Copy>(&self, slice: &[T]) -> &mut [T] {
        self.0.copy_slice(slice)
    }

    #[inline(always)]
    fn str(&self, str: &str) -> &mut str {
        self.0.copy_str(str)
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        From04(self.0.allocator())
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset()
    }
}

/// typed-arena holds one type and cannot be emptied, only dropped.
pub struct Typed<T>(typed_arena::Arena<T>);

impl<T: 'static> ArenaOf<T> for Typed<T> {
    const LABEL: &'static str = "typed-arena";

    fn make() -> Self {
        Typed(typed_arena::Arena::new())
    }

    #[inline(always)]
    fn put(&self, value: T) -> &mut T {
        self.0.alloc(value)
    }

    fn clear(&mut self) {
        self.0 = typed_arena::Arena::new();
    }
}
