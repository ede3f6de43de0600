//! `allotrope-conformance`, from code that is not `unsafe`.

#![forbid(unsafe_code)]

use std::alloc::{Layout, System};
use std::sync::Arc;

use allocator_api2::alloc::Global;
use allotrope_conformance::child::{self, Ended};
use allotrope_conformance::misuse::{self, Misuse, Switch, ends_at_misuse};
use allotrope_conformance::{
    AsAllocator, Checked, Conditions, Counted, Failure, Made, Operation, Promise, Report, Subject,
    Suite, TestUpstream,
};
use allotrope_core::{BestFit, Local, Locked, Upstream};

#[test]
fn a_suite_with_every_setting() {
    let suite: Suite<Made<_>> =
        Suite::new(|upstream| Local::new(BestFit::new(Upstream::new(upstream))));
    let suite: Suite<Checked<_, _>> =
        suite.invariants(|heap| heap.check_invariants().map_err(|broken| broken.to_string()));
    let suite: Suite<Counted<_, _>> = suite.bytes_used(|heap| heap.bytes_used());
    let suite = suite
        .limits(&[1024])
        .max_size(4096)
        .max_align(64)
        .max_live(50)
        .max_live_bytes(50_000)
        .sweeps(false)
        .steps(300)
        .checked_steps(10, 10)
        .seeds([1, 2])
        .bytes_limits(&[10_000])
        .failing_calls(5)
        .threads(2)
        .short_lives(10)
        .fills_again(false)
        .only_from_upstream(true)
        .gives_all_back(true)
        .impossible_requests(true)
        .trace(false);
    let report: Result<Report, Box<Failure>> = suite.run();
    assert!(report.unwrap().operations > 0);
    suite.assert();
    suite.assert_sent();
    assert!(suite.run_sent().is_ok());
}

#[test]
fn suites_of_threads_and_of_global_allocators() {
    let suite = || Suite::global(|_| System).max_size(1024).sweeps(false).steps(200).short_lives(5);
    suite().assert_shared();
    suite().assert_threads();
    suite().assert_twins(&Suite::new(|_| Locked::new(BestFit::new(Upstream::new(Global)))));
    assert!(suite().run_shared().is_ok() && suite().run_threads().is_ok());
    assert!(suite().run_twins(&suite()).is_ok());
}

/// A subject that lies about what it can say.
struct Liar;

impl Subject for Liar {
    type Allocator<'u> = TestUpstream;

    fn make(&self, upstream: &TestUpstream) -> TestUpstream {
        upstream.clone()
    }

    fn bytes_used(&self, _: &TestUpstream) -> Option<usize> {
        Some(7)
    }
}

#[test]
fn calls_that_make_no_sense_are_not_made() {
    let layout = Layout::new::<u64>();
    let (block, zeroed, excess) = (3, true, usize::MAX);
    let calls = [
        Operation::Deallocate { block, excess },
        Operation::Allocate { block, layout, zeroed },
        Operation::Allocate { block, layout, zeroed },
        Operation::Grow { block, excess, layout: Layout::new::<u8>(), zeroed },
        Operation::Shrink { block, excess, layout: Layout::new::<[u8; 100]>() },
        Operation::Deallocate { block, excess },
        Operation::Deallocate { block, excess },
        Operation::Shrink { block: 4, excess, layout },
    ];
    let failure = Suite::of(Liar).replay(&calls, Conditions::default()).unwrap_err();
    assert!(!failure.promise.sentence().is_empty() && failure.promise != Promise::Disjoint);
    assert_eq!(calls[0].block(), 3);
    assert!(Suite::new(|upstream| upstream).replay(&calls, Conditions::default()).is_ok());
}

#[test]
fn an_upstream_alone() {
    let upstream = TestUpstream::alone(Conditions::default());
    upstream.buffer(100)[99].write(1);
    let boxed = allocator_api2::boxed::Box::new_in(1_u64, upstream.clone());
    assert_eq!((upstream.calls(), upstream.refusals(), upstream.bytes_lent()), (1, 0, 8));
    drop(boxed);
    assert_eq!(upstream.check(), Ok(()));
}

#[test]
fn a_global_allocator_stays_in_its_place() {
    let allocator = AsAllocator::new(System);
    let before: *const System = allocator.global();
    let (boxed, moved) =
        (allocator_api2::boxed::Box::new_in(1, allocator.clone()), Arc::new(allocator));
    assert_eq!((*boxed, before), (1, std::ptr::from_ref(moved.global())));
}

#[test]
fn children_with_a_role() {
    const ROLE: &str = "a child that has nothing to do";
    if child::role().is_some() {
        return;
    }
    let ended: Ended = child::play("children_with_a_role", ROLE);
    ended.must_have_succeeded();
    ended.must_not_have_said("panicked");
    assert!(ended.has_succeeded());
    // Named, and not called: nobody misuses an allocator without `unsafe`.
    let _ = (Ended::must_have_aborted, ends_at_misuse::<Switch>);
    let of: [Misuse; 7] = [
        misuse::FREED_TWICE,
        misuse::LARGE_FREED_TWICE,
        misuse::FREED_FROM_ELSEWHERE,
        misuse::GROWN_FROM_ELSEWHERE,
        misuse::FREED_FROM_WITHIN,
        misuse::FREED_AS_LARGE,
        misuse::GROWN_AFTER_FREE,
    ];
    assert!(of.iter().all(|(kind, _)| !kind.is_empty()) && !misuse::HOOK.is_empty());
}
