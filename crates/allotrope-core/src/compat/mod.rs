//! Allocators of one version of the `Allocator` trait where another version is asked for.
//!
//! | an allocator of | is one of every version in | with the features |
//! |---|---|---|
//! | allocator-api2 0.2: `&bumpalo::Bump` | `From02` | `allocator-api2-02` and those of the other versions |
//! | allocator-api2 0.3 | `From03` | `allocator-api2-03` … |
//! | allocator-api2 0.4: `talc` | `From04` | `allocator-api2-04` … |
//! | `core::alloc`, on nightly: `std::alloc::System` | `FromNightly` | `nightly` … |
//!
//! These are for allocators of other crates. What allocates in this crate speaks every version that
//! is turned on, and needs no wrapper.
//!
//! Our own bounds ([`Upstream`](crate::Upstream), [`Fallback`](crate::Fallback) and its kin) ask for
//! 0.2, and so do hashbrown's maps: an allocator of another version goes in by its wrapper.
//! The other way, an allocator of 0.2 goes by `From02` into a container of another version.
//!
//! A wrapper adds nothing: each call is the same call of the allocator inside, with the same
//! layouts, and returns the same block, or its own version's error. So blocks are as long as they
//! are there, size 0 is served as it is there, and one grows in place where it does there. A
//! wrapper of a reference (`From04::new(&allocator)`) is an allocator as the reference is, and a
//! clone of a wrapper holds a clone of what is inside.
//!
//! # Two features called `nightly`
//!
//! The feature `nightly` of allocator-api2 0.2 makes its trait the one of `core::alloc`. Cargo turns
//! it on for a whole program when one of its crates asks for it. Together with our `nightly`
//! and `allocator-api2-02` that would be two impls of one trait, and the compiler says, of each type:
//!
//! ```text
//! error[E0119]: conflicting implementations of trait `Allocator` for type `Local<_>`
//! ```
//!
//! Such a program turns our default features off and takes `nightly` without `allocator-api2-02`: what
//! speaks `core::alloc` speaks allocator-api2 0.2 then, and is at home in hashbrown's maps with
//! hashbrown's own `nightly`. What is bound on 0.2 here (`Upstream`, the combinators) it has to
//! do without.
//!
//! # Invariants
//!
//! 1. All versions of the trait ask the same of an allocator, and of who calls it. So what is kept
//!    inside is kept outside.

#[cfg(feature = "allocator-api2-02")]
mod from_02;
#[cfg(feature = "allocator-api2-03")]
mod from_03;
#[cfg(feature = "allocator-api2-04")]
mod from_04;
#[cfg(feature = "nightly")]
mod from_nightly;

#[cfg(feature = "allocator-api2-02")]
pub use from_02::From02;
#[cfg(feature = "allocator-api2-03")]
pub use from_03::From03;
#[cfg(feature = "allocator-api2-04")]
pub use from_04::From04;
#[cfg(feature = "nightly")]
pub use from_nightly::FromNightly;

/// Makes a wrapper with the one field `allocator`, which speaks the [version](crate::api) in the
/// file `$version`, an allocator of every version.
#[allow(unused_macros, reason = "no version may be on")]
macro_rules! carry {
    ($wrapper:ident, $version:ident) => {
        impl<A> $wrapper<A> {
            /// Speaks every version for `allocator`.
            pub const fn new(allocator: A) -> Self {
                Self { allocator }
            }

            /// The allocator inside.
            pub const fn allocator(&self) -> &A {
                &self.allocator
            }

            /// The allocator itself.
            pub fn into_inner(self) -> A {
                self.allocator
            }
        }

        // SAFETY: blocks are those of the allocator inside.
        unsafe impl<A: $crate::Independent> $crate::Independent for $wrapper<A> {}

        // What `impl_allocator` makes impls of.
        impl<A: $crate::api::$version::Allocator> $wrapper<A> {
            $crate::compat::carry!(allocates allocate);
            $crate::compat::carry!(allocates allocate_zeroed);
            $crate::compat::carry!(resizes grow);
            $crate::compat::carry!(resizes grow_zeroed);
            $crate::compat::carry!(resizes shrink);

            /// # Safety
            ///
            /// As for the trait's method.
            #[inline]
            unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
                // SAFETY: as the caller promises, by invariant 1.
                unsafe { self.allocator.deallocate(start, layout) };
            }
        }

        // SAFETY: blocks are those of the allocator inside, which moves with the wrapper and is
        // cloned with it: invariant 1.
        unsafe impl<A: $crate::api::$version::Allocator> $crate::api::Sound for $wrapper<A> {}
        $crate::api::impl_allocator!([A: $crate::api::$version::Allocator] $wrapper<A>);
    };
    (allocates $method:ident) => {
        #[inline]
        fn $method(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            self.allocator.$method(layout).map_err(AllocError::from)
        }
    };
    (resizes $method:ident) => {
        /// # Safety
        ///
        /// As for the trait's method.
        #[inline]
        unsafe fn $method(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises, by invariant 1.
            unsafe { self.allocator.$method(start, old, new) }.map_err(AllocError::from)
        }
    };
}
#[allow(unused_imports, reason = "no version may be on")]
use carry;
