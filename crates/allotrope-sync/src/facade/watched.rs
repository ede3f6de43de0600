//! A cell that panics when two threads access it at once, for `shuttle`, which has none.
//!
//! Another thread may run in the middle of each access; if it accesses the cell, too, and one of
//! the two writes, the cell notices.

use core::cell::{Cell, UnsafeCell as Unwatched};

/// [`core::cell::UnsafeCell`] behind `loom`'s interface, watched.
#[derive(Debug)]
pub struct UnsafeCell<T> {
    value: Unwatched<T>,
    /// How many threads read; -1 while one writes.
    accesses: Cell<isize>,
}

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self { value: Unwatched::new(value), accesses: Cell::new(0) }
    }

    /// Calls `access` with a pointer through which it may only read.
    #[track_caller]
    pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        assert!(self.accesses.get() >= 0, "read while another thread writes");
        self.watch(1, || access(self.value.get()))
    }

    /// Calls `access` with a pointer through which it may write.
    #[track_caller]
    pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        assert!(self.accesses.get() == 0, "written while another thread reads or writes");
        self.watch(-1, || access(self.value.get()))
    }

    fn watch<R>(&self, change: isize, access: impl FnOnce() -> R) -> R {
        self.accesses.set(self.accesses.get() + change);
        shuttle::thread::yield_now();
        let result = access();
        self.accesses.set(self.accesses.get() - change);
        result
    }
}
