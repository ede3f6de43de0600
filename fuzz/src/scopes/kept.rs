//! Values that write down their number when they are dropped, and notice if they were overwritten.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::mem;
use std::panic::resume_unwind;
use std::thread;

thread_local! {
    static DROPPED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// What a planned panic unwinds with.
pub struct Planned;

/// Unwinds, and nobody prints a word.
pub fn unwind() -> ! {
    resume_unwind(Box::new(Planned))
}

/// A value that needs a drop.
pub struct Kept<const N: usize> {
    number: u32,
    copies: [u32; N],
    panics: bool,
}

impl<const N: usize> Kept<N> {
    /// The value with this number; panics when it is dropped, if told so and nothing else has.
    pub const fn new(number: u32, panics: bool) -> Self {
        Self { number, copies: [number; N], panics }
    }
}

impl<const N: usize> Drop for Kept<N> {
    fn drop(&mut self) {
        let is_whole = self.copies.iter().all(|copy| *copy == self.number);
        let number = if is_whole { self.number } else { u32::MAX };
        DROPPED.with_borrow_mut(|dropped| dropped.push(number));
        if self.panics && !thread::panicking() {
            unwind();
        }
    }
}

/// The numbers of the values that were dropped since this was asked last.
pub fn take_dropped() -> Vec<u32> {
    DROPPED.with_borrow_mut(mem::take)
}
