//! AddressSanitizer sees accesses to what a scope has freed, although its memory is still ours.
//!
//! Method: each misuse runs in a child process, which must die of the sanitizer's report; a proper
//! use in another must not. `cargo xtask asan` runs this, with `--cfg allotrope_asan`.

#![cfg(allotrope_asan)]

use std::env;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::process::Command;

use allotrope_core::Buffer;
use allotrope_scope::Arena;

const ROLE: &str = "ALLOTROPE_ASAN_ROLE";

/// Runs `misuse` in a child, which is the test `name` again, and checks that the sanitizer ends it.
fn is_caught(name: &str, misuse: impl FnOnce() -> *const u64) {
    if env::var_os(ROLE).is_some() {
        // SAFETY: there is none: this is the misuse that must be caught.
        black_box(unsafe { misuse().read_volatile() });
        return;
    }
    let program = env::current_exe().expect("a test has a program");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, "misuse");
    let output = command.output().expect("the test's own program starts");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the misuse went unnoticed");
    assert!(report.contains("use-after-poison"), "another failure: {report}");
}

#[test]
fn use_after_scope_is_caught() {
    is_caught("use_after_scope_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        arena.scope(|scope| &raw const *scope.alloc(1_u64))
    });
}

#[test]
fn use_after_a_scope_of_many_chunks_is_caught() {
    is_caught("use_after_a_scope_of_many_chunks_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        arena.scope(|scope| {
            (0..100_000).for_each(|n| _ = scope.alloc(n));
            let value = &raw const *scope.alloc(1_u64);
            (0..500_000).for_each(|n| _ = scope.alloc(n));
            value
        })
    });
}

#[test]
fn use_of_a_large_block_after_its_scope_is_caught() {
    is_caught("use_of_a_large_block_after_its_scope_is_caught", || {
        let arena = Box::leak(Box::new(Arena::new()));
        arena.alloc(1);
        arena.scope(|scope| &raw const scope.alloc_slice_fill_with(1 << 20, |n| n as u64)[9999])
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
fn use_of_what_was_shrunk_away_is_caught() {
    is_caught("use_of_what_was_shrunk_away_is_caught", || {
        let arena = &*Box::leak(Box::new(Arena::new()));
        let mut numbers = allocator_api2::vec::Vec::new_in(arena);
        numbers.extend(0..100_u64);
        let last = &raw const numbers[99];
        numbers.truncate(10);
        numbers.shrink_to_fit();
        std::mem::forget(numbers);
        last
    });
}

#[test]
fn a_buffer_is_its_owners_again_when_the_arena_is_gone() {
    let mut bytes = vec![MaybeUninit::new(0_u8); 4096];
    let mut arena = Arena::with_source(Buffer::new(&mut bytes));
    arena.scope(|scope| _ = scope.alloc(1));
    drop(arena);
    bytes.fill(MaybeUninit::new(7));
    // SAFETY: all bytes were just written.
    assert!(bytes.iter().all(|byte| unsafe { byte.assume_init() } == 7));
}

#[test]
fn memory_of_a_scope_may_be_used_again() {
    let mut arena = Arena::new();
    for turn in 0..100 {
        let sum = arena.scope(|scope| {
            let values = scope.alloc_slice_fill_with(turn * 1000, |n| n);
            values.iter().sum::<usize>()
        });
        assert_eq!(sum, (turn * 1000) * (turn * 1000).saturating_sub(1) / 2);
    }
}
