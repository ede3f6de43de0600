//! Arenas that threads share, from one thread: what sharing costs where nobody else is there.

use std::hint::black_box;

use allotrope_scope::{Arena, LocalArena, SharedArena};
use bench_kit::count::{Meter, Sample};
use blink_alloc::{Blink, BlinkAlloc, LocalBlinkAlloc, SyncBlinkAlloc};

use crate::N;

/// An arena, and what a thread puts values there with.
pub trait Shared {
    /// Its name in the tables.
    const NAME: &'static str;
    /// What a thread gets.
    type Handle<'a>
    where
        Self: 'a;

    fn new() -> Self;
    fn handle(&self) -> Self::Handle<'_>;
    #[allow(clippy::mut_from_ref, reason = "every call makes a new value, as arenas do")]
    fn put<'h, T: 'static>(handle: &'h Self::Handle<'_>, value: T) -> &'h mut T;
    #[allow(clippy::mut_from_ref, reason = "every call makes a new string, as arenas do")]
    fn str<'h>(handle: &'h Self::Handle<'_>, str: &str) -> &'h mut str;
    fn reset(&mut self);
}

/// Of our arenas: a name, what the arena and the handle are, and how the one comes from the other.
macro_rules! ours {
    ($ty:ident, $name:literal, $arena:ty, $handle:ty, |$from:ident| $make:expr) => {
        pub struct $ty($arena);

        impl Shared for $ty {
            const NAME: &'static str = $name;
            type Handle<'a> = $handle;

            fn new() -> Self {
                $ty(<$arena>::new())
            }

            fn handle(&self) -> Self::Handle<'_> {
                let $from = &self.0;
                $make
            }

            #[inline(always)]
            fn put<'h, T: 'static>(handle: &'h Self::Handle<'_>, value: T) -> &'h mut T {
                handle.alloc(value)
            }

            #[inline(always)]
            fn str<'h>(handle: &'h Self::Handle<'_>, str: &str) -> &'h mut str {
                handle.alloc_str(str)
            }

            fn reset(&mut self) {
                self.0.reset();
            }
        }
    };
}
ours!(OneThread, "Arena of one thread", Arena, &'a Arena, |arena| arena);
ours!(ByHandle, "SharedArena::local", SharedArena, LocalArena<'a>, |arena| arena.local());
ours!(ByReference, "&SharedArena", SharedArena, &'a SharedArena, |arena| arena);

/// The same of blink-alloc's.
macro_rules! blink {
    ($ty:ident, $name:literal, $arena:ty, $handle:ty, |$from:ident| $make:expr) => {
        pub struct $ty($arena);

        impl Shared for $ty {
            const NAME: &'static str = $name;
            type Handle<'a> = Blink<$handle>;

            fn new() -> Self {
                $ty(<$arena>::new())
            }

            fn handle(&self) -> Self::Handle<'_> {
                let $from = &self.0;
                Blink::new_in($make)
            }

            #[inline(always)]
            fn put<'h, T: 'static>(handle: &'h Self::Handle<'_>, value: T) -> &'h mut T {
                handle.put_no_drop(value)
            }

            #[inline(always)]
            fn str<'h>(handle: &'h Self::Handle<'_>, str: &str) -> &'h mut str {
                handle.copy_str(str)
            }

            fn reset(&mut self) {
                self.0.reset();
            }
        }
    };
}
blink!(BlinkOneThread, "blink of one thread", BlinkAlloc, &'a BlinkAlloc, |arena| arena);
blink!(BlinkByHandle, "blink local", SyncBlinkAlloc, LocalBlinkAlloc<'a>, |arena| arena.local());
blink!(BlinkByReference, "blink sync", SyncBlinkAlloc, &'a SyncBlinkAlloc, |arena| arena);

/// `turns` times: `N` values by one handle, then reset.
pub fn values<A: Shared, T: 'static>(
    meter: &Meter,
    turns: usize,
    make: impl Fn(u64) -> T,
) -> (usize, Sample) {
    repeat::<A>(meter, turns, |handle| {
        for i in 0..N {
            black_box(A::put(handle, make(black_box(i as u64))));
        }
        N
    })
}

/// `turns` times: copies of `input` by one handle, then reset.
pub fn strs<A: Shared>(meter: &Meter, turns: usize, input: &[&str]) -> (usize, Sample) {
    repeat::<A>(meter, turns, |handle| {
        for str in input {
            black_box(A::str(handle, black_box(*str)));
        }
        input.len()
    })
}

fn repeat<A: Shared>(
    meter: &Meter,
    turns: usize,
    mut work: impl FnMut(&A::Handle<'_>) -> usize,
) -> (usize, Sample) {
    let mut arena = A::new();
    let mut turn = || {
        let handle = arena.handle();
        black_box(&handle); // its state must be in memory, as in real use
        let operations = work(&handle);
        drop(handle);
        arena.reset();
        operations
    };
    turn();
    meter.measure(|| (0..turns).map(|_| turn()).sum())
}
