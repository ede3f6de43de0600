//! stalloc 0.7.0: two mistakes in how alignments change.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allocator_api2::boxed::Box;
use allocator_api2_03::alloc::Allocator as Stalloc03;
use allotrope_conformance::{Conditions, Operation, Subject, Suite, TestUpstream};
use allotrope_conformance_foreign::adapters::From03;
use allotrope_conformance_foreign::judged;
use stalloc::Stalloc;

#[test]
fn a_grow_ignores_a_larger_alignment() {
    let verdict = judged("a_grow_ignores_a_larger_alignment", || suite(64).run());
    let text = verdict.must_be_broken("Alignment");
    assert!(text.contains("= grow"), "{text}");
}

/// Of two neighbours of one unit, one is not aligned to two; both are grown to that.
#[test]
fn a_grow_of_a_whole_unit_ignores_it_too() {
    let verdict = judged("a_grow_of_a_whole_unit_ignores_it_too", || {
        let unit = Layout::from_size_align(16, 16).expect("a sensible layout");
        let aligned = unit.align_to(32).expect("a sensible layout");
        let allocate = |block| Operation::Allocate { block, layout: unit, zeroed: false };
        let grow = |block| Operation::Grow { block, excess: 0, layout: aligned, zeroed: false };
        let calls = [allocate(0), allocate(1), grow(0), grow(1)];
        suite(32).replay(&calls, Conditions::default())
    });
    verdict.must_be_broken("Alignment");
}

#[test]
fn a_shrink_copies_the_old_size() {
    let verdict = judged("a_shrink_copies_the_old_size", || without_grow(64).run());
    // What it copies too much can overlap what it copies from; std's own assertions see that first.
    if cfg!(debug_assertions) {
        verdict.must_die_of("copy_nonoverlapping requires");
        return;
    }
    let text = verdict.must_be_broken("Content");
    assert!(text.contains("= shrink") && !text.contains("= grow"), "{text}");
}

#[test]
fn without_alignments_above_its_unit_it_keeps_its_promises() {
    judged("without_alignments_above_its_unit_it_keeps_its_promises", || without_grow(16).run())
        .must_be_kept();
}

/// The allocator lies in memory of the upstream, so that what it hands out after it has damaged its
/// own list is not written to.
fn without_grow(max_align: usize) -> Suite<impl Subject> {
    Suite::new(|upstream| {
        let padded = Padded(Pool::new(), [0; 8192]);
        WithoutGrow(Box::new_in(padded, upstream))
    })
    .max_size(4096)
    .max_align(max_align)
    .only_from_upstream(true)
}

fn suite(max_align: usize) -> Suite<impl Subject> {
    Suite::new(|_| From03(std::boxed::Box::new(Pool::new()))).max_size(4096).max_align(max_align)
}

type Pool = Stalloc<1024, 16>;

/// stalloc with the trait's own `grow`, so that the mistake in its `grow` does not hide the next.
struct WithoutGrow(Box<Padded, TestUpstream>);

/// Behind the allocator lies memory that takes what is written beyond it.
#[repr(C)]
struct Padded(Pool, [u8; 8192]);

// SAFETY: as for stalloc; what the trait provides calls the methods below.
unsafe impl Allocator for WithoutGrow {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Stalloc03::allocate(&&self.0.0, layout).map_err(|_| AllocError)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are those of stalloc.
        unsafe { Stalloc03::deallocate(&&self.0.0, start, layout) };
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are those of stalloc.
        unsafe { Stalloc03::shrink(&&self.0.0, start, old, new).map_err(|_| AllocError) }
    }
}
