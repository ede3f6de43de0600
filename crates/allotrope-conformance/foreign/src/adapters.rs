//! Adapters: every call is one of the allocator inside, and nothing is added to it.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allocator_api2_03::alloc::Allocator as Allocator03;
use allocator_api2_04::alloc::Allocator as Allocator04;
use allotrope_conformance::TestUpstream;

/// An arena, where the reference to it is the allocator.
#[derive(Debug)]
pub struct ByRef<T>(pub T);

/// As [`ByRef`], for allocator-api2 0.3. The allocator stays where it is when this is moved.
#[derive(Debug)]
pub struct From03<T>(pub Box<T>);

/// An allocator of allocator-api2 0.4.
#[derive(Debug)]
pub struct From04<A>(pub A);

/// The upstream, for allocators that want one of allocator-api2 0.4.
#[derive(Clone, Debug)]
pub struct To04(pub TestUpstream);

/// Forwards all calls to an expression.
macro_rules! forward {
    ($self:ident => $inner:expr) => {
        fn allocate(&$self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            $inner.allocate(layout).map_err(|_| AllocError)
        }
        fn allocate_zeroed(&$self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            $inner.allocate_zeroed(layout).map_err(|_| AllocError)
        }
        unsafe fn deallocate(&$self, start: NonNull<u8>, layout: Layout) {
            // SAFETY: the caller's promises are those of the allocator inside.
            unsafe { $inner.deallocate(start, layout) }
        }
        forward!($self => $inner, grow);
        forward!($self => $inner, grow_zeroed);
        forward!($self => $inner, shrink);
    };
    ($self:ident => $inner:expr, $resize:ident) => {
        unsafe fn $resize(&$self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's promises are those of the allocator inside.
            unsafe { $inner.$resize(start, old, new).map_err(|_| AllocError) }
        }
    };
}

// SAFETY: the promises are those of the allocator inside, call by call.
unsafe impl<T> Allocator for ByRef<T>
where
    for<'a> &'a T: Allocator,
{
    forward!(self => (&self.0));
}

// SAFETY: the promises are those of the allocator inside, call by call.
unsafe impl<T> Allocator for From03<T>
where
    for<'a> &'a T: Allocator03,
{
    forward!(self => (&*self.0));
}

// SAFETY: the promises are those of the allocator inside, call by call.
unsafe impl<A: Allocator04> Allocator for From04<A> {
    forward!(self => self.0);
}

// SAFETY: the upstream's promises are those of the same trait in another version.
unsafe impl Allocator04 for To04 {
    fn allocate(
        &self,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, allocator_api2_04::alloc::AllocError> {
        self.0.allocate(layout).map_err(|_| allocator_api2_04::alloc::AllocError)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are those of the upstream.
        unsafe { self.0.deallocate(start, layout) };
    }
}
