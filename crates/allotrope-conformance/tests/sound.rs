//! Allocators that are known to be right pass, with every kind of script.

use std::alloc::System;

use allocator_api2::alloc::Global;
use allotrope_conformance::{Conditions, Suite};

#[test]
fn the_upstream_itself_passes() {
    let report = Suite::new(|upstream| upstream).only_from_upstream(true).assert_shared();
    assert!(report.served > 0 && report.upstream_refusals > 0, "{report:?}");
}

#[test]
fn the_upstream_itself_may_move_between_threads() {
    Suite::new(|upstream| upstream).steps(1_000).max_size(4096).assert_sent();
}

#[test]
fn std_global_passes() {
    Suite::new(|_| Global).assert_shared();
}

#[test]
fn std_system_passes() {
    Suite::global(|_| System).assert_shared();
}

#[test]
fn an_empty_replay_passes() {
    Suite::new(|_| Global).replay(&[], Conditions::default()).unwrap();
}
