//! What goes through every wrapper is still an allocator of 0.2 that keeps its promises.
//!
//! Goal: a layout, a length or an error that a version or a wrapper changes on the way.
//!
//! Method: the suite of `allotrope-conformance`, which speaks 0.2, on a chain of wrappers: the
//! outermost speaks 0.2 to the suite, each asks the next one in another version, and the innermost
//! asks ours.
//!
//! `ALLOTROPE_STEPS` says how many calls each random script makes.

use std::env;

use allotrope_conformance::{Subject, Suite, TestUpstream};
use allotrope_core::{BestFit, BySize, Local, Locked, Pool, Segregated, Upstream};
use allotrope_versions::{Chain, chain, inside};

#[test]
fn best_fit_through_every_version() {
    let suite = Suite::new(|upstream| chain(Local::new(BestFit::new(Upstream::new(upstream)))));
    steps(suite)
        .limits(&[1008, 1024])
        .only_from_upstream(true)
        .invariants(|heap: &Chain<Local<_>>| inside(heap).check_invariants().map_err(broken))
        .assert_sent();
}

#[test]
fn best_fit_over_every_version() {
    let suite = Suite::new(|upstream| Local::new(BestFit::new(Upstream::new(chain(upstream)))));
    steps(suite).only_from_upstream(true).assert_sent();
}

#[test]
fn a_pool_through_every_version() {
    let suite = Suite::new(|upstream| chain(Pool::new(Upstream::new(upstream))));
    steps(suite).limits(&[4096]).max_size(8192).only_from_upstream(true).assert_sent();
}

#[test]
fn size_classes_through_every_version() {
    let suite = Suite::new(|upstream| chain(Locked::new(Segregated::new(Upstream::new(upstream)))));
    steps(suite).limits(&[8192]).max_size(16 * 1024).only_from_upstream(true).assert_sent();
}

#[test]
fn parts_of_a_composition_through_every_version() {
    let suite = Suite::new(|upstream: TestUpstream| {
        let small = chain(Local::new(BestFit::new(Upstream::new(upstream.clone()))));
        chain(BySize::<64, _, _>::new(small, chain(upstream)))
    });
    steps(suite).limits(&[64]).only_from_upstream(true).assert_sent();
}

fn steps<S: Subject>(suite: Suite<S>) -> Suite<S> {
    match env::var("ALLOTROPE_STEPS").map(|steps| steps.parse()) {
        Ok(Ok(steps)) => suite.steps(steps),
        Ok(Err(error)) => panic!("ALLOTROPE_STEPS: {error}"),
        Err(_) => suite,
    }
}

fn broken(broken: impl ToString) -> String {
    broken.to_string()
}
