//! The arenas that are compared.
//!
//! To add one: implement [`Arena`] and add it to `for_each_arena!`. Override `scope_of_100` for an
//! arena that has scopes.

use std::hint::black_box;

use allocator_api2::alloc::Allocator;

/// An arena of values of any type.
pub trait Arena {
    /// Its name in the tables.
    const NAME: &'static str;
    /// Its handle for collections (allocator-api2 0.2).
    type Handle<'a>: Allocator + Copy
    where
        Self: 'a;

    fn new() -> Self;
    #[allow(clippy::mut_from_ref, reason = "every call makes a new value, as arenas do")]
    fn alloc<T: 'static>(&self, value: T) -> &mut T;
    #[allow(clippy::mut_from_ref, reason = "every call makes a new slice, as arenas do")]
    fn slice<T: Copy>(&self, slice: &[T]) -> &mut [T];
    #[allow(clippy::mut_from_ref, reason = "every call makes a new string, as arenas do")]
    fn str(&self, str: &str) -> &mut str;
    fn handle(&self) -> Self::Handle<'_>;
    /// Frees everything, keeping memory for the next use where it can.
    fn reset(&mut self);
    /// Enters a scope, makes a hundred small values, leaves the scope.
    fn scope_of_100(&mut self) {
        hundred!(self);
        self.reset();
    }
}

/// A hundred small values of three kinds.
macro_rules! hundred {
    ($arena:expr) => {
        for i in 0..25u64 {
            black_box($arena.alloc(i as u32));
            black_box($arena.alloc(i));
            black_box($arena.alloc([i; 3]));
            black_box($arena.alloc(!i));
        }
    };
}
pub(crate) use hundred;

/// An arena of values of one type; every [`Arena`] is one.
pub trait ArenaOf<T> {
    /// Its name in the tables.
    const LABEL: &'static str;

    fn make() -> Self;
    #[allow(clippy::mut_from_ref, reason = "every call makes a new value, as arenas do")]
    fn put(&self, value: T) -> &mut T;
    fn clear(&mut self);
}

impl<A: Arena, T: 'static> ArenaOf<T> for A {
    const LABEL: &'static str = A::NAME;

    #[inline(always)]
    fn make() -> Self {
        A::new()
    }

    #[inline(always)]
    fn put(&self, value: T) -> &mut T {
        self.alloc(value)
    }

    #[inline(always)]
    fn clear(&mut self) {
        self.reset()
    }
}

/// Calls `$m!(Type)` for every arena of any type.
macro_rules! for_each_arena {
    ($m:ident) => {
        $m!(BumpaloDefault);
        $m!(BumpaloAlign8);
        $m!(BumpScopeDefault);
        $m!(BumpScopeFast);
        $m!(BumpScopeFast8);
        $m!(Blink);
        for_each_c_peer!($m);
        $m!(LimitArena);
        $m!(Ours);
    };
}
pub(crate) use for_each_arena;
