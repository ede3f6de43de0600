//! What an arena and a scope have in common: places for blocks and values, where scopes begin.

use std::fmt;
use std::iter;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allotrope_core::{AllocError, Source};
use allotrope_scope::{Arena, Guard, InitError, Mark, Scope};

use super::kept::{Kept, unwind};

/// An arena or a scope.
pub trait Home<S: Source>: Allocator {
    /// Begins a scope.
    fn enter(&mut self) -> Guard<'_, S>;

    /// Makes a mark, where that can be done.
    fn mark(&self) -> Option<Mark>;

    /// How many bytes are in use, where it knows.
    fn bytes_used(&self) -> Option<usize>;

    /// Keeps a value with this number; is there room for it?
    fn keep(&self, number: u32, panics: bool, is_large: bool) -> bool;

    /// Puts a value of some kind here, whose bytes are all `fill`, an ASCII character.
    fn put(&self, kind: u8, size: usize, fill: u8) -> Option<NonNull<[u8]>>;

    /// Calls `inside` while a value is made that fails, by an error or a panic.
    fn fail(&self, kind: u8, inside: &mut dyn FnMut());
}

/// The methods of an arena and of a scope have the same names, but for marks.
macro_rules! home {
    ([$($generics:tt)*] $type:ty, |$this:ident| $mark:expr, $used:expr) => {
        impl<$($generics)*> Home<S> for $type {
            fn enter(&mut self) -> Guard<'_, S> { <$type>::enter(self) }

            fn mark(&self) -> Option<Mark> { let $this = self; $mark }

            fn bytes_used(&self) -> Option<usize> { let $this = self; $used }

            fn keep(&self, number: u32, panics: bool, is_large: bool) -> bool {
                if is_large {
                    return self.try_keep(Kept::<200>::new(number, panics)).is_ok();
                }
                self.try_keep(Kept::<3>::new(number, panics)).is_ok()
            }

            fn put(&self, kind: u8, size: usize, fill: u8) -> Option<NonNull<[u8]>> {
                let small = size.min(999);
                let bytes: &[u8] = match kind % 8 {
                    0 => self.try_alloc([fill; 3]).ok()?,
                    1 => self.try_alloc([fill; 600]).ok()?,
                    2 => self.try_alloc_with(|| [fill; 5000]).ok()?,
                    3 => self.try_alloc_slice_copy(&vec![fill; size]).ok()?,
                    4 => self.try_alloc_slice_fill_with(small, |_| fill).ok()?,
                    5 => self.try_alloc_slice_fill_iter(iter::repeat_n(fill, small)).ok()?,
                    6 => self.try_alloc_try_with(|| Ok::<_, u8>([fill; 70])).ok()?,
                    _ => self.try_alloc_fmt(format_args!("{}", Repeat(fill, small))).ok()?.as_bytes(),
                };
                Some(NonNull::from_ref(bytes))
            }

            fn fail(&self, kind: u8, inside: &mut dyn FnMut()) {
                let failed = match kind % 4 {
                    0 => self.try_alloc_try_with(|| { inside(); Err::<[u64; 5], _>(7) }).map(drop),
                    1 => self.try_alloc_try_with(|| { inside(); Err::<[u64; 300], _>(7) }).map(drop),
                    2 => lacking(self.try_alloc_with(|| -> [u64; 5] { inside(); unwind() })),
                    _ => lacking(self.try_alloc_slice_fill_with(300, |index| {
                        if index == 200 { inside(); unwind() }
                        index
                    })),
                };
                assert!(matches!(failed, Err(InitError::Init(7) | InitError::Alloc(_))));
            }
        }
    };
}

home!([S: Source] Arena<S>, |this| this.try_begin_scope().ok(), Some(Self::bytes_used(this)));
home!(['s, 'o, S: Source] Scope<'s, 'o, S>, |_this| None, None);

/// What is left of a value whose closure panics: there was no memory.
fn lacking<T>(result: Result<T, AllocError>) -> Result<(), InitError<i32>> {
    result.map(drop).map_err(InitError::Alloc)
}

/// Text of so many equal characters, one by one.
struct Repeat(u8, usize);

impl fmt::Display for Repeat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.1).try_for_each(|_| fmt::Write::write_char(formatter, char::from(self.0)))
    }
}
