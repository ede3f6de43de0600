//! Shared arenas keep the promises of an allocator, for one thread, and handed from one to another.
//!
//! Goal and method as in `contract.rs`, for an arena by reference and through a handle.

use std::alloc::Layout;
use std::cell::OnceCell;
use std::env;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::{Promise, Report, Subject, Suite, TestUpstream};
use allotrope_core::{Buffer, OsPages, Source, Upstream};
use allotrope_scope::{LocalArena, SharedArena};

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

#[test]
fn shared_arena_over_an_upstream() {
    let suite = Suite::new(|upstream| SharedArena::with_source(Upstream::new(upstream)));
    let suite = steps(suite).limits(&[512, 2048, 4096]).max_size(64 * 1024);
    report(suite.only_from_upstream(true).assert_shared());
}

#[test]
fn shared_arena_of_small_chunks() {
    let suite = Suite::new(|upstream| {
        let mut arena = SharedArena::with_source(Upstream::new(upstream));
        arena.set_chunk_cap(256);
        arena
    });
    report(steps(suite).max_size(4096).only_from_upstream(true).assert_shared());
}

#[test]
fn shared_arena_over_pages() {
    let suite = Suite::new(|_| SharedArena::with_source(OsPages::new()));
    report(steps(suite).limits(&[8192, 32_768]).assert_shared());
}

#[test]
fn shared_arena_in_one_buffer() {
    let suite = steps(Suite::of(InBuffer(1 << 20)));
    report(suite.only_from_upstream(true).max_size(4096).max_live_bytes(64 * 1024).assert());
}

#[test]
fn shared_arena_in_tiny_buffers() {
    for size in (0..300).step_by(21).chain((300..8192).step_by(197)) {
        let suite = steps(Suite::of(InBuffer(size))).steps(200);
        let suite = suite.only_from_upstream(true).max_size(size.max(16));
        if let Err(failure) = suite.run() {
            assert_eq!(failure.promise, Promise::Serves, "{size}: {failure}");
        }
    }
}

#[test]
fn handle_over_an_upstream() {
    let suite = Suite::new(|upstream| WithHandle::new(Upstream::new(upstream)));
    let suite = steps(suite).limits(&[512, 2048, 4096]).max_size(64 * 1024);
    report(suite.only_from_upstream(true).assert());
}

struct InBuffer(usize);

impl Subject for InBuffer {
    type Allocator<'u> = SharedArena<Buffer<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        SharedArena::with_source(Buffer::new(upstream.buffer(self.0)))
    }
}

/// A handle with an arena of its own, made when there is memory for it.
///
/// # Invariants
///
/// 1. The handle borrows the arena, which is in a box and goes after it.
struct WithHandle<S: Source + 'static> {
    handle: ManuallyDrop<OnceCell<LocalArena<'static, S>>>,
    arena: NonNull<SharedArena<S>>,
}

impl<S: Source + 'static> WithHandle<S> {
    fn new(source: S) -> Self {
        let arena = NonNull::from_mut(Box::leak(Box::new(SharedArena::with_source(source))));
        Self { handle: ManuallyDrop::default(), arena }
    }

    fn handle(&self) -> Result<&LocalArena<'static, S>, AllocError> {
        if self.handle.get().is_none() {
            // SAFETY: invariant 1.
            let handle = unsafe { self.arena.as_ref() }.try_local()?;
            assert!(self.handle.set(handle).is_ok());
        }
        self.handle.get().ok_or(AllocError)
    }
}

impl<S: Source + 'static> Drop for WithHandle<S> {
    fn drop(&mut self) {
        // SAFETY: invariant 1; both were made by `new`, and are not used any more.
        unsafe {
            ManuallyDrop::drop(&mut self.handle);
            drop(Box::from_raw(self.arena.as_ptr()));
        }
    }
}

// SAFETY: every call is the handle's; blocks stay as long as the arena.
unsafe impl<S: Source + 'static> Allocator for WithHandle<S> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Allocator::allocate(self.handle()?, layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        let handle = self.handle().expect("it has served a block");
        // SAFETY: as the caller promises.
        unsafe { Allocator::deallocate(handle, start, layout) };
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Allocator::grow(self.handle()?, start, old, new) }
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { Allocator::shrink(self.handle()?, start, old, new) }
    }
}
