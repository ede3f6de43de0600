//! The synchronization primitives that this workspace is written against.
//!
//! Concurrent code imports atomics, cells and threads from here and from nowhere else. A normal
//! build gets `core`'s types; `RUSTFLAGS="--cfg loom"` swaps in `loom`'s, which explore every
//! interleaving, and `--cfg shuttle` those of `shuttle`, which tries random ones of what is too big
//! for that. No other file asks which of them is running, with one exception: constructors,
//! which are `const` in a normal build and cannot be in `loom`'s. [`const_fn`] writes those.
//!
//! A target without compare-and-swap gets [`cells`](self::atomic) of the same interface. They are not
//! `Sync`, so what is made of them is not either, and serves one thread at a time there. What makes
//! no sense then is absent: whole files switch on `target_has_atomic`.
//!
//! The API is `loom`'s where the two differ: [`cell::UnsafeCell`] hands out its pointer to a
//! closure, so that `loom` sees when an access begins and ends.

#[cfg(loom)]
pub use loom::{hint, lazy_static, sync::atomic, thread};

/// See the [module documentation](self).
#[cfg(loom)]
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

#[cfg(shuttle)]
pub use shuttle::{hint, sync::atomic, thread};

#[cfg(shuttle)]
#[path = "facade/watched.rs"]
pub mod cell;

#[cfg(not(any(loom, shuttle)))]
pub use core::hint;
#[cfg(all(not(any(loom, shuttle)), target_has_atomic = "ptr"))]
pub use core::sync::atomic;

#[cfg(not(target_has_atomic = "ptr"))]
#[path = "facade/cells.rs"]
pub mod atomic;

// Its tests run where there are others.
#[cfg(all(test, target_has_atomic = "ptr"))]
mod cells;

/// See the [module documentation](self).
#[cfg(not(any(loom, shuttle)))]
pub mod cell {
    /// [`core::cell::UnsafeCell`] behind `loom`'s interface.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        #[inline(always)]
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// Calls `access` with a pointer through which it may only read.
        #[inline(always)]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Calls `access` with a pointer through which it may write.
        #[inline(always)]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

/// A function that is `const` in a normal build, and is not under `loom`.
///
/// It takes documentation and `#[inline]`, and no other attribute: the compiler does not hold those
/// that a foreign macro writes against `forbid(unsafe_code)`, and `no_mangle` is one.
///
/// ```
/// allotrope_sync::const_fn! {
///     /// Seven.
///     #[inline]
///     pub fn seven() -> usize { 7 }
/// }
/// assert_eq!(seven(), 7);
/// ```
/// ```compile_fail
/// allotrope_sync::const_fn! {
///     #[unsafe(no_mangle)]
///     pub fn malloc(size: usize) -> usize { size }
/// }
/// ```
#[cfg(not(loom))]
#[macro_export]
macro_rules! const_fn {
    ($(#[doc = $text:literal])* #[inline] $visibility:vis fn $($rest:tt)*) => {
        $(#[doc = $text])* #[inline] $visibility const fn $($rest)*
    };
    ($(#[doc = $text:literal])* $visibility:vis fn $($rest:tt)*) => {
        $(#[doc = $text])* $visibility const fn $($rest)*
    };
    ($(#[doc = $text:literal])* $visibility:vis unsafe fn $($rest:tt)*) => {
        $(#[doc = $text])* $visibility const unsafe fn $($rest)*
    };
}
/// A function that is `const` in a normal build, and is not under `loom`.
///
/// It takes documentation and `#[inline]`, and no other attribute: the compiler does not hold those
/// that a foreign macro writes against `forbid(unsafe_code)`, and `no_mangle` is one.
#[cfg(loom)]
#[macro_export]
macro_rules! const_fn {
    ($(#[doc = $text:literal])* #[inline] $visibility:vis fn $($rest:tt)*) => {
        $(#[doc = $text])* #[inline] $visibility fn $($rest)*
    };
    ($(#[doc = $text:literal])* $visibility:vis fn $($rest:tt)*) => {
        $(#[doc = $text])* $visibility fn $($rest)*
    };
    ($(#[doc = $text:literal])* $visibility:vis unsafe fn $($rest:tt)*) => {
        $(#[doc = $text])* $visibility unsafe fn $($rest)*
    };
}
pub use const_fn;

/// An array of as many values as its type says, all made by one expression; constant in a normal
/// build.
#[cfg(not(loom))]
#[macro_export]
macro_rules! array_of {
    ($value:expr) => {
        [const { $value }; _]
    };
}
/// An array of as many values as its type says, all made by one expression; constant in a normal
/// build.
#[cfg(loom)]
#[macro_export]
macro_rules! array_of {
    ($value:expr) => {
        core::array::from_fn(|_| $value)
    };
}
pub use array_of;

/// A static that is there from the start; under `loom`, from its first use in each execution. It takes
/// documentation, and no attribute, as [`const_fn`] does.
#[cfg(not(loom))]
#[macro_export]
macro_rules! process_wide {
    ($(#[doc = $text:literal])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[doc = $text])* static $name: $type = $value;
    };
}
/// A static that is there from the start; under `loom`, from its first use in each execution.
#[cfg(loom)]
#[macro_export]
macro_rules! process_wide {
    ($(#[doc = $text:literal])* static $name:ident: $type:ty = $value:expr;) => {
        $crate::facade::lazy_static! { $(#[doc = $text])* static ref $name: $type = $value; }
    };
}
pub use process_wide;

/// A constant that a trait asks for, of a type that has none under `loom`: there it does not
/// compile once somebody uses it.
#[cfg(not(loom))]
#[macro_export]
macro_rules! constant {
    ($value:expr) => {
        $value
    };
}
/// A constant that a trait asks for, of a type that has none under `loom`: there it does not
/// compile once somebody uses it.
#[cfg(loom)]
#[macro_export]
macro_rules! constant {
    ($value:expr) => {
        panic!("loom's types are not made in constants")
    };
}
pub use constant;
