//! `OsPages` in a child that was forked while other threads were reserving and releasing.
//!
//! The child calls nothing but the system and our own code: after a fork of a process with threads
//! it may not rely on any lock, such as that of the system's allocator.

#![cfg(all(target_os = "linux", not(any(loom, shuttle, allotrope_asan, allotrope_tsan))))]

use std::alloc::Layout;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use allotrope_core::{BestFit, OsPages, Source, Strategy};

/// Makes a heap, and regions of several lengths, and gives all back. Returns whether what was lent
/// was zero and apart from each other.
fn work(tag: u8) -> bool {
    let source = OsPages::new();
    let mut is_right = true;
    for size in [1, 64 * 1024, 300_000, 5 << 20] {
        let Ok(region) = source.reserve(size, size) else { return false };
        // SAFETY: the region is on loan, and committed before it is used.
        unsafe {
            let is_committed = source.commit(&region, 0..size).is_ok();
            let bytes = [region.start(), region.start().add(size - 1)];
            is_right &= is_committed && bytes.iter().all(|byte| byte.read() == 0);
            bytes.iter().for_each(|byte| byte.write(tag));
            is_right &= bytes.iter().all(|byte| byte.read() == tag);
            source.release(region);
        }
    }
    let mut heap = BestFit::new(source);
    let layout = Layout::new::<[u64; 100]>();
    for _ in 0..100 {
        let Ok(block) = heap.allocate(layout) else { return false };
        // SAFETY: the block is new, and longer than that.
        unsafe { block.cast::<u8>().write(tag) };
    }
    is_right && heap.check_invariants().is_ok()
}

#[test]
fn a_forked_child_goes_on_whatever_other_threads_were_doing() {
    const CHILDREN: usize = 300;
    let is_over = AtomicBool::new(false);
    let failed = thread::scope(|threads| {
        for tag in [2, 3] {
            let is_over = &is_over;
            threads.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(work(tag));
                }
            });
        }
        let failed = (0..CHILDREN).filter(|_| !child_ends_well()).count();
        is_over.store(true, Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, 0, "of {CHILDREN} children");
}

/// Forks a child that works, and waits for it.
fn child_ends_well() -> bool {
    // SAFETY: the child calls only what is said above, and ends without unwinding.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = i32::from(!work(4));
        // SAFETY: ends the process.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the system writes to a value of the right type.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}
