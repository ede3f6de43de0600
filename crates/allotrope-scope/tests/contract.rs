//! Arenas and scopes keep the promises of an allocator.
//!
//! Goal: blocks that overlap, are misaligned, lost or overwritten; memory that is not given back;
//! state that changes although a call failed.
//!
//! Method: the suite of `allotrope-conformance`, over an upstream that counts and fails, over a
//! buffer, and over the operating system's pages.
//!
//! `ALLOTROPE_STEPS` says how many calls each random script makes.

use std::alloc::Layout;
use std::env;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::{Promise, Report, Subject, Suite, TestUpstream};
use allotrope_core::{Buffer, OsPages, Source, Upstream};
use allotrope_scope::{Arena, Guard, Scope};

/// The suite with as many steps as the environment says.
fn steps<S: Subject>(suite: Suite<S>) -> Suite<S> {
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite,
    }
}

#[track_caller]
fn report(report: Report) {
    println!("{report:?}");
}

/// What an arena's account must add up to.
fn check<S: Source>(arena: &Arena<S>) -> Result<(), String> {
    let (mut held, mut used) = (0, 0);
    for chunk in arena.chunks() {
        if chunk.used() > chunk.size() {
            return Err(format!("{chunk:?} uses more than there is"));
        }
        (held, used) = (held + chunk.size(), used + chunk.used());
    }
    if (held, used) != (arena.bytes_held(), arena.bytes_used()) {
        return Err(format!("{arena:?} has chunks of {held} bytes, {used} in use"));
    }
    arena.check_invariants().map_err(|broken| broken.to_string())
}

#[test]
fn arena_over_an_upstream() {
    let suite = Suite::new(|upstream| Arena::with_source(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[512, 2048, 4096])
            .max_size(64 * 1024)
            .only_from_upstream(true)
            .invariants(check)
            .assert_sent(),
    );
}

#[test]
fn arena_of_small_chunks() {
    let suite = Suite::new(|upstream| {
        let arena = Arena::with_source(Upstream::new(upstream));
        arena.set_chunk_cap(256);
        arena
    });
    report(steps(suite).max_size(4096).only_from_upstream(true).invariants(check).assert_sent());
}

#[test]
fn arena_over_pages() {
    let suite = Suite::new(|_| Arena::with_source(OsPages::new()));
    report(steps(suite).limits(&[8192, 32_768]).invariants(check).assert_sent());
}

#[test]
fn arena_in_one_buffer() {
    let suite = steps(Suite::of(InBuffer(1 << 20)));
    report(suite.only_from_upstream(true).max_size(4096).max_live_bytes(64 * 1024).assert());
}

#[test]
fn arena_in_tiny_buffers() {
    for size in (0..300).step_by(7).chain((300..4096).step_by(97)) {
        let suite = steps(Suite::of(InBuffer(size))).steps(200);
        let suite = suite.only_from_upstream(true).max_size(size.max(16));
        if let Err(failure) = suite.run() {
            assert_eq!(failure.promise, Promise::Serves, "{size}: {failure}");
        }
    }
}

#[test]
fn scope_over_an_upstream() {
    let suite = Suite::new(|upstream| InScope::new(Upstream::new(upstream)));
    report(
        steps(suite)
            .limits(&[512, 2048, 4096])
            .max_size(64 * 1024)
            .only_from_upstream(true)
            .assert(),
    );
}

#[test]
fn scope_in_a_scope_of_small_chunks() {
    let suite = Suite::new(|upstream| {
        let scope = InScope::new(Upstream::new(upstream));
        scope.arena().set_chunk_cap(256);
        scope
    });
    report(steps(suite).max_size(4096).only_from_upstream(true).assert());
}

struct InBuffer(usize);

impl Subject for InBuffer {
    type Allocator<'u> = Arena<Buffer<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        Arena::with_source(Buffer::new(upstream.buffer(self.0)))
    }

    fn check(&self, arena: &Self::Allocator<'_>) -> Result<(), String> {
        check(arena)
    }
}

/// A scope in an arena of its own, behind a guard of its own.
///
/// # Invariants
///
/// 1. The scope borrows the guard and the guard the arena, which are in boxes and go after it.
struct InScope<S: Source + 'static> {
    scope: ManuallyDrop<Scope<'static, 'static, S>>,
    guard: NonNull<Guard<'static, S>>,
    arena: NonNull<Arena<S>>,
}

impl<S: Source + 'static> InScope<S> {
    fn new(source: S) -> Self {
        let arena = NonNull::from_mut(Box::leak(Box::new(Arena::with_source(source))));
        // SAFETY: invariant 1.
        let guard = unsafe { &mut *arena.as_ptr() }.enter();
        let guard = NonNull::from_mut(Box::leak(Box::new(guard)));
        // SAFETY: invariant 1.
        let scope = ManuallyDrop::new(unsafe { &mut *guard.as_ptr() }.scope());
        Self { scope, guard, arena }
    }

    fn arena(&self) -> &Arena<S> {
        // SAFETY: invariant 1; the call below does not touch blocks.
        unsafe { self.arena.as_ref() }
    }
}

impl<S: Source + 'static> Drop for InScope<S> {
    fn drop(&mut self) {
        // SAFETY: invariant 1; all three were made by `new`, and are not used any more.
        unsafe {
            ManuallyDrop::drop(&mut self.scope);
            drop(Box::from_raw(self.guard.as_ptr()));
            let arena = Box::from_raw(self.arena.as_ptr());
            assert_eq!(arena.bytes_used(), 0, "the scope has left something");
        }
    }
}

// SAFETY: every call is the scope's.
unsafe impl<S: Source + 'static> Allocator for InScope<S> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Allocator::allocate(&*self.scope, layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { Allocator::deallocate(&*self.scope, start, layout) };
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Allocator::grow(&*self.scope, start, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Allocator::grow_zeroed(&*self.scope, start, old, new) }
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Allocator::shrink(&*self.scope, start, old, new) }
    }
}
