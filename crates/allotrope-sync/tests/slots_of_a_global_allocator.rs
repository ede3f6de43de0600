//! A global allocator may ask for its slot: before `main`, while the slot is being claimed, and in
//! the last destructor of a thread.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use allotrope_sync::slots::{self, CAPACITY, Slot};

/// The system's allocator, which watches who uses each slot.
struct Watching {
    slots: [Use; CAPACITY],
    orphans: Use,
}

/// The calls with one slot.
struct Use {
    calls: AtomicUsize,
    is_inside: AtomicBool,
    overlaps: AtomicUsize,
}

impl Use {
    const fn new() -> Self {
        Self {
            calls: AtomicUsize::new(0),
            is_inside: AtomicBool::new(false),
            overlaps: AtomicUsize::new(0),
        }
    }

    fn note(&self) {
        let others = self.is_inside.swap(true, Ordering::Relaxed);
        self.overlaps.fetch_add(usize::from(others), Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.is_inside.store(false, Ordering::Relaxed);
    }
}

#[global_allocator]
static WATCHING: Watching =
    Watching { slots: [const { Use::new() }; CAPACITY], orphans: Use::new() };

impl Watching {
    fn note(&self) {
        slots::with(|slot| match slot {
            Slot::Owned(index) => self.slots[index].note(),
            Slot::Orphan => self.orphans.note(),
        });
    }
}

// SAFETY: all is the system's.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.note();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        self.note();
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }
}

thread_local! {
    static KEPT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn threads_that_allocate_to_the_end_have_few_slots() {
    const THREADS: usize = 8;
    for _ in 0..100 {
        let barrier = Barrier::new(THREADS);
        let work = || {
            // Freed when the thread ends, before or after its exit guard runs.
            KEPT.with_borrow_mut(|kept| kept.extend((0..10).map(|n| n.to_string())));
            barrier.wait();
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
    let all = || WATCHING.slots.iter().chain([&WATCHING.orphans]);
    assert!(all().all(|slot| slot.overlaps.load(Ordering::Relaxed) == 0), "two in one slot");
    let calls: usize = all().map(|slot| slot.calls.load(Ordering::Relaxed)).sum();
    assert!(calls >= 100 * THREADS * 20, "{calls} calls");
    // Libtest has a thread or two; the others are ours.
    let used = WATCHING.slots.iter().filter(|slot| slot.calls.load(Ordering::Relaxed) > 0).count();
    assert!((THREADS..=THREADS + 2).contains(&used), "{used} slots");
}
