//! The suite can fail: allocators that break one promise each are convicted of that promise.
//!
//! Every one of them is [`Toy`], which is right, with one [`Bug`]. Its memory is one block of the
//! upstream, so that even wild writes stay where they do no harm.

mod wrong;

use std::alloc::{GlobalAlloc, Layout, System};

use allotrope_conformance::{Failure, Operation, Promise, Subject, Suite};
use wrong::{Bug, Shared, SharedBug, Toy};

#[test]
fn a_right_allocator_is_acquitted() {
    suite(None).run().unwrap();
}

#[test]
fn misaligned_blocks_are_found() {
    let failure = convicted(Bug::IgnoresAlignment, Promise::Alignment);
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_grow_that_ignores_a_larger_alignment_is_found() {
    let failure = convicted(Bug::GrowsInPlaceWhateverTheAlignment, Promise::Alignment);
    assert_eq!(failure.minimal.len(), 3, "{failure}");
}

#[test]
fn short_blocks_are_found() {
    let failure = convicted(Bug::ReturnsShortBlocks, Promise::Length);
    assert_eq!(failure.minimal.len(), 1, "{failure}");
}

#[test]
fn overlapping_blocks_are_found() {
    let failure = convicted(Bug::OverlapsByOneGranule, Promise::Disjoint);
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn blocks_beyond_the_memory_are_found() {
    let failure = convicted(Bug::ForgetsTheEnd, Promise::Contained);
    assert!(failure.minimal.len() < 200, "{failure}");
}

#[test]
fn a_write_into_a_live_block_is_found() {
    let failure = convicted(Bug::WritesBehindWhatItFrees, Promise::Content);
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_grow_that_forgets_to_copy_is_found() {
    let failure = convicted(Bug::GrowCopiesLess, Promise::GrowKeepsContent);
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_shrink_that_forgets_to_copy_is_found() {
    let failure = convicted(Bug::ShrinkDoesNotCopy, Promise::ShrinkKeepsContent);
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_shrink_that_copies_the_old_size_is_found() {
    // What is written over may be a live block, or lie beyond the memory: first come.
    let failure = suite(Some(Bug::ShrinkCopiesTheOldSize)).run().unwrap_err();
    let seen = [Promise::Content, Promise::UpstreamBounds];
    assert!(seen.contains(&failure.promise), "{failure}");
}

#[test]
fn memory_that_is_not_zeroed_is_found() {
    let failure = convicted(Bug::ZeroesOnlyWhatIsNew, Promise::Zeroed);
    assert_eq!(failure.minimal.len(), 1, "{failure}");
}

#[test]
fn a_grow_that_zeroes_too_little_is_found() {
    convicted(Bug::GrowZeroesTooLittle, Promise::Zeroed);
}

#[test]
fn a_failed_grow_that_frees_the_old_block_is_found() {
    convicted(Bug::FailedGrowScribbles, Promise::FailureKeepsState);
}

#[test]
fn a_free_that_trusts_the_size_is_found() {
    convicted(Bug::FreesByTheSizeGiven, Promise::FitsRange);
}

#[test]
fn a_request_near_the_end_of_the_address_space_that_wraps_is_found() {
    let failure = convicted(Bug::Wraps, Promise::RefusesTheImpossible);
    assert_eq!(failure.minimal.len(), 1, "{failure}");
}

#[test]
fn an_allocator_that_always_fails_is_found() {
    convicted(Bug::AlwaysFails, Promise::Serves);
}

#[test]
fn a_panic_is_found() {
    let failure = convicted(Bug::PanicsOnSizeZero, Promise::Returns);
    assert_eq!(failure.minimal.len(), 1, "{failure}");
}

#[test]
fn a_write_before_the_memory_is_found() {
    convicted(Bug::WritesBeforeTheMemory, Promise::UpstreamBounds);
}

#[test]
fn memory_given_back_with_another_layout_is_found() {
    convicted(Bug::GivesBackWithAnotherLayout, Promise::UpstreamCalls);
}

#[test]
fn memory_that_is_not_given_back_is_found() {
    let failure = convicted(Bug::GivesNothingBack, Promise::NothingLost);
    assert!(failure.minimal.is_empty(), "{failure}");
}

#[test]
fn fragments_that_are_never_coalesced_are_found() {
    let failure = suite(Some(Bug::LosesSmallBlocks)).fills_again(true).run().unwrap_err();
    assert_eq!(failure.promise, Promise::FillsAgain, "{failure}");
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_broken_invariant_is_found() {
    let failure = Suite::new(|upstream| Toy::new(upstream, None))
        .max_size(2048)
        .invariants(|toy| if toy.blocks() < 3 { Ok(()) } else { Err("three blocks".to_owned()) })
        .run()
        .unwrap_err();
    assert_eq!(failure.promise, Promise::Invariants, "{failure}");
    assert_eq!(failure.minimal.len(), 3, "{failure}");
    assert!(failure.to_string().contains("three blocks"), "{failure}");
}

#[test]
fn threads_that_get_the_same_memory_are_found() {
    let failure = Suite::new(wrong::Racy::new).max_size(1024).run_shared().unwrap_err();
    assert!(OVERLAPS.contains(&failure.promise), "{failure}");
}

/// What two threads see that have the same memory.
const OVERLAPS: [Promise; 6] = [
    Promise::Content,
    Promise::Disjoint,
    Promise::GrowKeepsContent,
    Promise::ShrinkKeepsContent,
    Promise::Zeroed,
    Promise::FailureKeepsState,
];

#[test]
fn a_right_allocator_of_many_threads_is_acquitted() {
    let report = shared(None).run_shared().unwrap();
    assert!(report.served > 0, "{report:?}");
    shared(None).run_twins(&shared(None)).unwrap();
}

#[test]
fn a_block_that_two_threads_popped_is_found() {
    let suite = shared(Some(SharedBug::PopsTwice));
    suite.run().expect("one thread alone sees nothing wrong");
    let failure = suite.run_threads().unwrap_err();
    assert!(OVERLAPS.contains(&failure.promise), "{failure}");
    assert!(failure.to_string().contains("seed 1"), "{failure}");
}

#[test]
fn remote_frees_that_are_lost_are_found() {
    let suite = shared(Some(SharedBug::LosesRemoteFrees));
    suite.run().expect("one thread alone sees nothing wrong");
    let failure = suite.run_threads().unwrap_err();
    assert_eq!(failure.promise, Promise::NothingInUse, "{failure}");
}

#[test]
fn a_request_that_only_the_twin_serves_is_found() {
    let suite = shared(Some(SharedBug::RefusesNowAndThen));
    suite.run_shared().expect("no promise forbids to refuse");
    let failure = suite.run_twins(&shared(None)).unwrap_err();
    assert_eq!(failure.promise, Promise::AgreesWithTwin, "{failure}");
}

#[test]
fn a_count_that_differs_from_the_twins_is_found() {
    let doubled = Suite::new(|upstream| Shared::new(upstream, None))
        .max_size(2048)
        .steps(300)
        .bytes_used(|shared| 2 * shared.bytes_used());
    let failure = doubled.run_twins(&shared(None)).unwrap_err();
    assert_eq!(failure.promise, Promise::AgreesWithTwin, "{failure}");
    assert!(failure.detail.contains("bytes are in use"), "{failure}");
}

fn shared(bug: Option<SharedBug>) -> Suite<impl for<'u> Subject<Allocator<'u> = Shared>> {
    let steps = if cfg!(miri) { 300 } else { 3_000 };
    Suite::new(move |upstream| Shared::new(upstream, bug))
        .max_size(2048)
        .max_align(256)
        .steps(steps)
        .short_lives(200)
        .bytes_used(|shared| shared.bytes_used())
}

#[test]
fn a_global_allocator_whose_realloc_is_wrong_is_found() {
    /// Its `realloc` forgets the last byte.
    struct Forgetful;
    // SAFETY: every block is one of the system's; the bytes of `realloc` are wrong on purpose.
    unsafe impl GlobalAlloc for Forgetful {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promises are the system's.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
            // SAFETY: the caller's promises are the system's.
            unsafe { System.dealloc(start, layout) };
        }
        unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller's promises are the system's; the byte lies in the new block.
            unsafe {
                let start = System.realloc(start, layout, size);
                if !start.is_null() {
                    start.add(layout.size().min(size) - 1).write(0);
                }
                start
            }
        }
    }
    let failure = Suite::global(|_| Forgetful).run().unwrap_err();
    let seen = [Promise::GrowKeepsContent, Promise::ShrinkKeepsContent];
    assert!(seen.contains(&failure.promise), "{failure}");
    assert_eq!(failure.minimal.len(), 2, "{failure}");
}

#[test]
fn a_failure_can_be_read_and_replayed() {
    let failure = convicted(Bug::GrowCopiesLess, Promise::GrowKeepsContent);
    let text = failure.to_string();
    assert!(text.contains("1. b") && text.contains("2. b") && text.contains("grow"), "{text}");
    assert!(matches!(failure.minimal[..], [Operation::Allocate { .. }, Operation::Grow { .. }]));
    let again = suite(Some(Bug::GrowCopiesLess)).replay(&failure.minimal, failure.conditions);
    assert_eq!(again.unwrap_err().promise, failure.promise);
    suite(None).replay(&failure.minimal, failure.conditions).unwrap();
}

fn convicted(bug: Bug, promise: Promise) -> Box<Failure> {
    let failure = suite(Some(bug)).run().expect_err("the bug was not found");
    println!("{bug:?}: {failure}");
    assert_eq!(failure.promise, promise, "{bug:?}: {failure}");
    assert!(failure.reproduced, "{bug:?}: {failure}");
    failure
}

fn suite(bug: Option<Bug>) -> Suite<impl allotrope_conformance::Subject<Allocator<'static> = Toy>> {
    let steps = if cfg!(miri) { 300 } else { 3_000 };
    Suite::new(move |upstream| Toy::new(upstream, bug))
        .max_size(2048)
        .max_align(256)
        .steps(steps)
        .only_from_upstream(true)
}
