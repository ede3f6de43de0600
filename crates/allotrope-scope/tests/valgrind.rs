//! Valgrind sees accesses to what was freed, although its memory is still ours.
//!
//! Method: each test runs again in a child process, under valgrind. A misuse must make it fail with
//! valgrind's report, and a proper use must not. `cargo xtask valgrind` runs this, with the feature.

#![cfg(all(feature = "valgrind", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::alloc::Layout;
use std::env;
use std::hint::black_box;
use std::process::{Command, Output};

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::{BestFit, Local, OsPages, Pool, Segregated};
use allotrope_scope::Arena;

const ROLE: &str = "ALLOTROPE_VALGRIND_ROLE";

/// What valgrind makes of the exit status if it has reported anything.
const REPORTED: i32 = 99;

fn is_child() -> bool {
    env::var_os(ROLE).is_some()
}

/// Runs the test `name` again, under valgrind.
fn child(name: &str) -> Output {
    let program = env::current_exe().expect("a test has a program");
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=no"]).arg(format!("--error-exitcode={REPORTED}"));
    command.arg(program).args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, "child").output().expect("valgrind is installed")
}

/// Valgrind must see that what `misuse` returns is read.
fn is_caught(name: &str, misuse: impl FnOnce() -> *const u64) {
    if is_child() {
        // SAFETY: there is none: this is the misuse that must be caught.
        black_box(unsafe { misuse().read_volatile() });
        return;
    }
    let output = child(name);
    let report = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(REPORTED), "the misuse went unnoticed: {report}");
    assert!(report.contains("Invalid read of size 8"), "another report: {report}");
}

/// Valgrind must not report anything.
fn is_clean(name: &str, proper_use: impl FnOnce()) {
    if is_child() {
        return proper_use();
    }
    let output = child(name);
    let report = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{report}");
}

/// The address of a block of `allocator` that was freed.
fn freed(allocator: &impl Allocator) -> *const u64 {
    let layout = Layout::new::<[u64; 20]>();
    let block = allocator.allocate(layout).unwrap().cast::<u64>();
    // SAFETY: the block is 160 bytes long, and freed once.
    unsafe {
        allocator.deallocate(block.cast(), layout);
        block.add(10).as_ptr()
    }
}

#[test]
fn use_after_scope_is_caught() {
    is_caught("use_after_scope_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        arena.scope(|scope| &raw const *scope.alloc(1_u64))
    });
}

#[test]
fn use_after_the_end_of_a_mark_is_caught() {
    is_caught("use_after_the_end_of_a_mark_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        let mark = arena.begin_scope();
        let value = &raw const *arena.alloc(1_u64);
        arena.end_scope(mark).unwrap();
        value
    });
}

#[test]
fn use_beyond_a_value_is_caught() {
    is_caught("use_beyond_a_value_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        // SAFETY: the place is in the chunk.
        unsafe { (&raw const *arena.alloc(1_u64)).add(1) }
    });
}

#[test]
fn use_of_a_freed_block_is_caught() {
    is_caught("use_of_a_freed_block_is_caught", || {
        freed(Box::leak(Box::new(Local::new(BestFit::new(OsPages::new())))))
    });
}

#[test]
fn use_of_a_freed_block_of_a_class_is_caught() {
    is_caught("use_of_a_freed_block_of_a_class_is_caught", || {
        freed(Box::leak(Box::new(Local::new(Segregated::new(OsPages::new())))))
    });
}

#[test]
fn use_of_a_freed_block_of_a_pool_is_caught() {
    is_caught("use_of_a_freed_block_of_a_pool_is_caught", || {
        freed(Box::leak(Box::new(Pool::new(OsPages::new()))))
    });
}

#[test]
fn memory_of_a_scope_may_be_used_again() {
    is_clean("memory_of_a_scope_may_be_used_again", || {
        let mut arena = Arena::new();
        for turn in 0..50_usize {
            let sum = arena.scope(|scope| {
                let mut numbers = ArenaVec::new_in(&*scope);
                numbers.extend(0..turn * 100);
                numbers.iter().sum::<usize>()
            });
            assert_eq!(sum, (turn * 100) * (turn * 100).saturating_sub(1) / 2);
        }
    });
}

#[test]
fn freed_blocks_may_be_handed_out_again() {
    fn churn(allocator: &impl Allocator) {
        for size in (8..4000).step_by(56).chain((8..4000).step_by(104)) {
            let mut bytes = ArenaVec::new_in(allocator);
            bytes.resize(size, 1_u8);
            bytes.extend_from_within(..size / 2);
            bytes.shrink_to_fit();
            assert!(bytes.iter().all(|byte| *byte == 1));
        }
    }
    is_clean("freed_blocks_may_be_handed_out_again", || {
        churn(&Local::new(BestFit::new(OsPages::new())));
        churn(&Local::new(Segregated::new(OsPages::new())));
        churn(&Pool::new(OsPages::new()));
    });
}
