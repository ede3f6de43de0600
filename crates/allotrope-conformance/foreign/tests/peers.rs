//! Allocators that are widely used: what they promise, at the limits that they document.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::ptr::{NonNull, null_mut};

use allocator_api2::alloc::Allocator;
use allotrope_conformance::{AsAllocator, Subject, Suite, TestUpstream};
use allotrope_conformance_foreign::adapters::ByRef;
use allotrope_conformance_foreign::judged;

#[test]
fn rlsf_in_a_buffer() {
    judged("rlsf_in_a_buffer", || {
        Suite::of(RlsfInBuffer).max_size(8192).only_from_upstream(true).fills_again(true).run()
    })
    .must_be_kept();
}

#[test]
fn dlmalloc_as_the_global_allocator() {
    judged("dlmalloc_as_the_global_allocator", || {
        Suite::global(|_| dlmalloc::GlobalDlmalloc).run_shared()
    })
    .must_be_kept();
}

#[test]
fn dlmalloc_over_an_upstream() {
    judged("dlmalloc_over_an_upstream", || {
        Suite::global(Dl::new).max_size(8192).only_from_upstream(true).gives_all_back(false).run()
    })
    .must_be_kept();
}

// Arenas reuse no block but the last; so there are fewer calls, and a limit on the arena.

#[test]
fn bumpalo_with_a_limit() {
    judged("bumpalo_with_a_limit", || {
        Suite::new(|_| {
            let bump = bumpalo::Bump::new();
            bump.set_allocation_limit(Some(64 << 20));
            ByRef(bump)
        })
        .max_size(4096)
        .max_align(1024)
        .steps(3_000)
        .run()
    })
    .must_be_kept();
}

#[test]
fn bump_scope_over_its_global() {
    judged("bump_scope_over_its_global", || {
        Suite::new(|_| ByRef(bump_scope::Bump::<bump_scope::alloc::Global>::new()))
            .max_size(4096)
            .max_align(1024)
            .steps(3_000)
            .run()
    })
    .must_be_kept();
}

struct RlsfInBuffer;

impl Subject for RlsfInBuffer {
    type Allocator<'u> = AsAllocator<Rlsf<'u>>;

    fn make<'u>(&self, upstream: &'u TestUpstream) -> Self::Allocator<'u> {
        let mut tlsf = rlsf::Tlsf::new();
        tlsf.insert_free_block(upstream.buffer(256 * 1024));
        AsAllocator::new(Rlsf(RefCell::new(tlsf)))
    }
}

/// rlsf's table for one thread.
struct Rlsf<'b>(RefCell<rlsf::Tlsf<'b, u32, u16, 20, 16>>);

// SAFETY: the promises are those of the table inside.
unsafe impl GlobalAlloc for Rlsf<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.borrow_mut().allocate(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let start = NonNull::new(start).expect("a block does not start at address 0");
        // SAFETY: the caller's promises are those of the table inside.
        unsafe { self.0.borrow_mut().deallocate(start, layout.align()) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = NonNull::new(start).expect("a block does not start at address 0");
        let Ok(layout) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        // SAFETY: the caller's promises are those of the table inside; the alignment is the same.
        unsafe { self.0.borrow_mut().reallocate(start, layout) }.map_or(null_mut(), NonNull::as_ptr)
    }
}

/// dlmalloc over the upstream, for one thread.
struct Dl(RefCell<dlmalloc::Dlmalloc<Pages>>);

impl Dl {
    fn new(upstream: TestUpstream) -> Self {
        Self(RefCell::new(dlmalloc::Dlmalloc::new_with_allocator(Pages(upstream))))
    }
}

// SAFETY: the promises are those of dlmalloc, which takes the same layouts.
unsafe impl GlobalAlloc for Dl {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe { self.0.borrow_mut().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe { self.0.borrow_mut().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { self.0.borrow_mut().free(start, layout.size(), layout.align()) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe { self.0.borrow_mut().realloc(start, layout.size(), layout.align(), size) }
    }
}

/// Pages of the upstream, which dlmalloc keeps.
struct Pages(TestUpstream);

// SAFETY: pages are memory of the upstream, which nobody else uses, and which stays valid.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let layout = Layout::from_size_align(size, 4096).ok();
        let pages = layout.and_then(|layout| self.0.allocate(layout).ok());
        pages.map_or((null_mut(), 0, 0), |pages| (pages.cast().as_ptr(), size, 0))
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        4096
    }
}
