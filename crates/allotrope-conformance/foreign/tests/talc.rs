//! talc 5.1.1: right in a buffer; `AllocatorSource` has two mistakes.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2_04::alloc::{AllocError, Allocator};
use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_conformance_foreign::adapters::{From04, To04};
use allotrope_conformance_foreign::judged;
use talc::TalcCell;
use talc::source::{AllocatorSource, Manual};

#[test]
fn talc_in_a_buffer() {
    judged("talc_in_a_buffer", || {
        Suite::of(TalcInBuffer).max_size(8192).only_from_upstream(true).fills_again(true).run()
    })
    .must_be_kept();
}

#[test]
fn the_source_makes_an_impossible_layout_of_a_size_near_isize_max() {
    let verdict = judged("the_source_makes_an_impossible_layout_of_a_size_near_isize_max", || {
        over_upstream(OneAlign).run()
    });
    // Without std's assertions the impossible layout is passed on, and happens to be refused.
    if cfg!(debug_assertions) {
        verdict.must_die_of("Layout::from_size_align_unchecked requires");
    }
}

#[test]
fn the_source_gives_memory_back_with_another_alignment() {
    let verdict = judged("the_source_gives_memory_back_with_another_alignment", || {
        over_upstream(To04).impossible_requests(false).run()
    });
    verdict.must_be_broken("UpstreamCalls");
}

#[test]
fn with_one_alignment_for_all_the_source_keeps_its_promises() {
    judged("with_one_alignment_for_all_the_source_keeps_its_promises", || {
        over_upstream(OneAlign).impossible_requests(false).run()
    })
    .must_be_kept();
}

fn over_upstream<A>(adapt: fn(TestUpstream) -> A) -> Suite<impl Subject>
where
    A: Allocator + std::fmt::Debug,
{
    Suite::new(move |upstream| {
        From04(TalcCell::new(AllocatorSource::with_block_size(adapt(upstream), 64 * 1024)))
    })
    .max_size(8192)
    .only_from_upstream(true)
}

struct TalcInBuffer;

impl Subject for TalcInBuffer {
    type Allocator<'u> = From04<TalcCell<Manual>>;

    fn make(&self, upstream: &TestUpstream) -> Self::Allocator<'_> {
        let buffer = upstream.buffer(256 * 1024);
        let talc = TalcCell::new(Manual);
        // SAFETY: the suite drops the allocator before the upstream whose buffer this is, and
        // nothing else uses the buffer.
        unsafe { talc.claim(buffer.as_mut_ptr().cast(), buffer.len()) }.expect("room for talc");
        From04(talc)
    }
}

/// The upstream for an allocator that does not remember which alignment it asked for.
#[derive(Debug)]
struct OneAlign(TestUpstream);

// SAFETY: the upstream's promises, with the same larger alignment in all calls.
unsafe impl Allocator for OneAlign {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let layout = layout.align_to(64).map_err(|_| AllocError)?;
        allocator_api2::alloc::Allocator::allocate(&self.0, layout).map_err(|_| AllocError)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        let Ok(layout) = layout.align_to(64) else { return };
        // SAFETY: the block was allocated with this alignment; the rest is the caller's promise.
        unsafe { allocator_api2::alloc::Allocator::deallocate(&self.0, start, layout) };
    }
}
