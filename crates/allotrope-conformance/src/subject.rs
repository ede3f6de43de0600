//! What is tested: a way of making an allocator over an upstream.

#![forbid(unsafe_code)]

use allocator_api2::alloc::Allocator;

use crate::upstream::TestUpstream;

/// Makes the allocator under test.
///
/// A closure does where the allocator owns its upstream or needs none (see [`Suite::new`]); this
/// trait is for allocators that borrow the upstream, or a buffer of it:
///
/// ```
/// use std::{alloc::Layout, cell::Cell, mem::MaybeUninit, ptr::NonNull};
/// use allocator_api2::alloc::{AllocError, Allocator};
/// use allotrope_conformance::{Subject, Suite, TestUpstream};
///
/// /// The smallest allocator in a buffer: it hands out everything once, and reuses nothing.
/// struct Bump<'b>(Cell<&'b mut [MaybeUninit<u8>]>);
///
/// // SAFETY: every block is split off the buffer, so that no two overlap.
/// unsafe impl Allocator for Bump<'_> {
///     fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
///         let rest = self.0.take();
///         let skip = rest.as_ptr().align_offset(layout.align());
///         if skip.saturating_add(layout.size()) > rest.len() {
///             self.0.set(rest);
///             return Err(AllocError);
///         }
///         let (block, rest) = rest[skip..].split_at_mut(layout.size());
///         self.0.set(rest);
///         Ok(NonNull::slice_from_raw_parts(NonNull::from_mut(block).cast(), layout.size()))
///     }
///     unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
/// }
///
/// struct InBuffer;
/// impl Subject for InBuffer {
///     type Allocator<'u> = Bump<'u>;
///     fn make<'u>(&self, upstream: &'u TestUpstream) -> Bump<'u> {
///         Bump(Cell::new(upstream.buffer(64 * 1024)))
///     }
/// }
/// Suite::of(InBuffer).max_size(4096).only_from_upstream(true).assert();
/// ```
///
/// [`Suite::new`]: crate::Suite::new
pub trait Subject {
    /// The allocator under test, which may borrow its upstream.
    type Allocator<'u>: Allocator;

    /// Makes a new allocator over `upstream`, or over a buffer of it, or over neither.
    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u>;

    /// Checks the invariants of `allocator`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        let _ = allocator;
        Ok(())
    }

    /// How many bytes are in use of `allocator`, where it can say: none when it was given back all
    /// its blocks.
    fn bytes_used(&self, allocator: &Self::Allocator<'_>) -> Option<usize> {
        let _ = allocator;
        None
    }
}

/// A closure from an upstream to an allocator, as a [`Subject`].
#[derive(Clone, Copy, Debug)]
pub struct Made<F>(pub(crate) F);

impl<F: Fn(TestUpstream) -> A, A: Allocator> Subject for Made<F> {
    type Allocator<'u> = A;

    fn make(&self, upstream: &TestUpstream) -> A {
        (self.0)(upstream.clone())
    }
}

/// A [`Subject`] with a closure that checks invariants.
#[derive(Clone, Copy, Debug)]
pub struct Checked<S, C> {
    pub(crate) subject: S,
    pub(crate) check: C,
}

impl<S, C> Subject for Checked<S, C>
where
    S: Subject,
    C: Fn(&S::Allocator<'_>) -> Result<(), String>,
{
    type Allocator<'u> = S::Allocator<'u>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        self.subject.make(upstream)
    }

    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        self.subject.check(allocator)?;
        (self.check)(allocator)
    }

    fn bytes_used(&self, allocator: &Self::Allocator<'_>) -> Option<usize> {
        self.subject.bytes_used(allocator)
    }
}

/// A [`Subject`] with a closure that says how many bytes are in use.
#[derive(Clone, Copy, Debug)]
pub struct Counted<S, C> {
    pub(crate) subject: S,
    pub(crate) count: C,
}

impl<S, C> Subject for Counted<S, C>
where
    S: Subject,
    C: Fn(&S::Allocator<'_>) -> usize,
{
    type Allocator<'u> = S::Allocator<'u>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        self.subject.make(upstream)
    }

    fn check(&self, allocator: &Self::Allocator<'_>) -> Result<(), String> {
        self.subject.check(allocator)
    }

    fn bytes_used(&self, allocator: &Self::Allocator<'_>) -> Option<usize> {
        Some((self.count)(allocator))
    }
}
