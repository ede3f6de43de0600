//! AddressSanitizer sees accesses to freed blocks, although their memory is still ours.
//!
//! Method: each misuse runs in a child process, which must die of the sanitizer's report; a proper
//! use in another must not. `cargo xtask asan` runs this, with `--cfg allotrope_asan`.

#![cfg(allotrope_asan)]

use std::alloc::Layout;
use std::env;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::process::{Command, Output};

use allotrope_core::{
    BestFit, Buffer, FixedSize, Local, ObjectPool, OsPages, Segregated, Strategy,
};

const ROLE: &str = "ALLOTROPE_ASAN_ROLE";

/// Runs the test `name` again as a child, with a role to play.
fn child(name: &str) -> Output {
    let program = env::current_exe().expect("a test has a program");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, "misuse");
    command.output().expect("the test's own program starts")
}

/// Runs `misuse` in a child and checks that the sanitizer ends it.
fn is_caught(name: &str, misuse: impl FnOnce()) {
    if env::var_os(ROLE).is_some() {
        misuse();
        return;
    }
    let output = child(name);
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the misuse went unnoticed");
    assert!(report.contains("use-after-poison"), "another failure: {report}");
}

const LAYOUT: Layout = Layout::new::<[u64; 8]>();

#[test]
fn use_after_free_in_an_object_pool_is_caught() {
    is_caught("use_after_free_in_an_object_pool_is_caught", || {
        let pool = ObjectPool::new(OsPages::new());
        let value = pool.insert([7_u64; 8]);
        let dangling: *const u64 = &value[5];
        drop(value);
        // SAFETY: there is none: this is the misuse that must be caught.
        black_box(unsafe { dangling.read_volatile() });
    });
}

#[test]
fn use_after_free_in_a_fixed_size_pool_is_caught() {
    is_caught("use_after_free_in_a_fixed_size_pool_is_caught", || {
        let mut pool = FixedSize::<64, _>::new(OsPages::new());
        let block = pool.allocate(LAYOUT).unwrap().cast::<u64>();
        // SAFETY: allocated above; the read is the misuse that must be caught.
        unsafe {
            pool.deallocate(block.cast(), LAYOUT);
            black_box(block.add(2).read_volatile());
        }
    });
}

#[test]
fn use_after_free_in_best_fit_is_caught() {
    is_caught("use_after_free_in_best_fit_is_caught", || {
        let mut bytes = vec![MaybeUninit::uninit(); 4096];
        let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
        let block = heap.allocate(LAYOUT).unwrap().cast::<u64>();
        // SAFETY: allocated above; the read is the misuse that must be caught.
        unsafe {
            heap.deallocate(block.cast(), LAYOUT);
            black_box(block.add(3).read_volatile());
        }
    });
}

#[test]
fn use_after_free_in_segregated_is_caught() {
    is_caught("use_after_free_in_segregated_is_caught", || {
        let heap = Local::new(Segregated::new(OsPages::new()));
        let block = heap.allocate(LAYOUT).unwrap().cast::<u64>();
        // SAFETY: allocated above; the read is the misuse that must be caught.
        unsafe {
            heap.deallocate(block.cast(), LAYOUT);
            black_box(block.add(2).read_volatile());
        }
    });
}

#[test]
fn a_block_that_is_only_linked_is_poisoned() {
    is_caught("a_block_that_is_only_linked_is_poisoned", || {
        let heap = Local::new(Segregated::new(OsPages::new()));
        let block = heap.allocate(LAYOUT).unwrap().cast::<u64>();
        // SAFETY: the read is the misuse that must be caught.
        black_box(unsafe { block.add(8 + 1).read_volatile() });
    });
}

#[test]
fn memory_that_was_never_handed_out_is_poisoned() {
    is_caught("memory_that_was_never_handed_out_is_poisoned", || {
        let mut pool = FixedSize::<64, _>::new(OsPages::new());
        let block = pool.allocate(LAYOUT).unwrap().cast::<u64>();
        // SAFETY: the read is the misuse that must be caught.
        black_box(unsafe { block.add(8).read_volatile() });
    });
}

#[test]
fn a_buffer_is_its_owners_again_when_the_allocator_is_gone() {
    let mut bytes = vec![MaybeUninit::new(0_u8); 4096];
    {
        let heap = Local::new(BestFit::new(Buffer::new(&mut bytes)));
        let block = heap.allocate(LAYOUT).unwrap();
        // SAFETY: allocated above, and freed once.
        unsafe { heap.deallocate(block.cast(), LAYOUT) };
    }
    bytes.fill(MaybeUninit::new(1));
    {
        let mut pool = FixedSize::<64, _>::new(Buffer::new(&mut bytes));
        assert!(pool.allocate(LAYOUT).is_ok());
    }
    {
        let mut heap = Segregated::new(Buffer::new(&mut bytes));
        assert!(heap.allocate(LAYOUT).is_ok() && heap.allocate(Layout::new::<u8>()).is_ok());
    }
    bytes.fill(MaybeUninit::new(2));
    // SAFETY: all of it was just filled.
    assert!(bytes.iter().all(|byte| unsafe { byte.assume_init() } == 2));
}
