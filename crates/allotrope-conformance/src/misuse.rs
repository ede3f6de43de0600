//! Misuse of a global allocator, which is found under the allocator's own lock.
//!
//! Each misuse runs in a child process, whose global allocator is the one under test, and whose panic
//! hook allocates: where the misuse is found by a panic, the child waits for itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::panic;
use std::process;
use std::sync::OnceLock;

use crate::child;

/// An allocator as a global one.
pub type Global = &'static (dyn GlobalAlloc + Sync);

const SMALL: Layout = Layout::new::<[u64; 8]>();
const LARGE: Layout = Layout::new::<[u64; 25_000]>();

/// Memory that no strategy has given out.
static FOREIGN: [u64; 8] = [0; 8];

/// What is done wrong.
pub type Misuse = (&'static str, unsafe fn(Global));

/// A block is freed twice.
pub const FREED_TWICE: Misuse = ("freed twice", |heap| {
    // SAFETY: there is none for the second call: this is the misuse that must be found. So it is in all
    // that follow.
    unsafe {
        let block = heap.alloc(SMALL);
        heap.dealloc(block, SMALL);
        heap.dealloc(block, SMALL);
    }
});

/// A large block is freed twice.
pub const LARGE_FREED_TWICE: Misuse = ("large, freed twice", |heap| {
    // SAFETY: as above.
    unsafe {
        let block = heap.alloc(LARGE);
        heap.dealloc(block, LARGE);
        heap.dealloc(block, LARGE);
    }
});

/// Memory that is no block is freed.
pub const FREED_FROM_ELSEWHERE: Misuse = ("freed, from elsewhere", |heap| {
    // SAFETY: as above.
    unsafe { heap.dealloc((&raw const FOREIGN).cast_mut().cast(), SMALL) };
});

/// Memory that is no block is resized.
pub const GROWN_FROM_ELSEWHERE: Misuse = ("grown, from elsewhere", |heap| {
    // SAFETY: as above.
    unsafe { heap.realloc((&raw const FOREIGN).cast_mut().cast(), LARGE, 2 * LARGE.size()) };
});

/// What lies within a block is freed.
pub const FREED_FROM_WITHIN: Misuse = ("freed, from within", |heap| {
    // SAFETY: as above.
    unsafe {
        let block = heap.alloc(SMALL);
        heap.dealloc(block.add(8), SMALL);
    }
});

/// A block is freed with the layout of a large one.
pub const FREED_AS_LARGE: Misuse = ("freed as a large one", |heap| {
    // SAFETY: as above.
    unsafe {
        let block = heap.alloc(SMALL);
        heap.dealloc(block, LARGE);
    }
});

/// A block is freed, and then resized.
pub const GROWN_AFTER_FREE: Misuse = ("grown after it was freed", |heap| {
    // SAFETY: as above.
    unsafe {
        let block = heap.alloc(SMALL);
        heap.dealloc(block, SMALL);
        heap.realloc(block, SMALL, 4 * SMALL.size());
    }
});

/// The allocator that this process was told to have.
static CHOSEN: OnceLock<Global> = OnceLock::new();

/// The system's allocator, and from a moment on the chosen one. What is freed then may be of either, and
/// leaks.
#[derive(Debug)]
pub struct Switch;

// SAFETY: each block is one of the system's or of the chosen allocator's.
unsafe impl GlobalAlloc for Switch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let chosen = CHOSEN.get().map(|chosen| {
            // SAFETY: as the caller promises.
            unsafe { chosen.alloc(layout) }
        });
        match chosen {
            Some(block) if !block.is_null() => block,
            // SAFETY: as the caller promises.
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if CHOSEN.get().is_none() {
            // SAFETY: the block is the system's, which was the only one so far.
            unsafe { System.dealloc(start, layout) };
        }
    }
}

/// What a panic hook says, so that nobody takes it for silence.
pub const HOOK: &str = "the panic hook ran";

/// Lets every panic say so, and allocate.
fn hear_panics() {
    panic::set_hook(Box::new(|info| {
        eprintln!("{HOOK}: {info}");
        black_box(vec![0_u8; 64]);
    }));
}

/// Runs the test `name` again for each misuse, in a child whose global allocator is `heap`; it must abort, and
/// say which promise was broken. The program's global allocator is [`Switch`].
///
/// # Panics
///
/// Where a child does not abort.
///
/// # Safety
///
/// In a child each misuse is committed: the allocator that `heap` makes finds each of them before it
/// does what it is asked for.
///
/// ```compile_fail,E0133
/// use allotrope_conformance::misuse::{FREED_TWICE, ends_at_misuse};
/// ends_at_misuse("test", || std::alloc::System, &[FREED_TWICE]);
/// ```
pub unsafe fn ends_at_misuse<G: GlobalAlloc + Sync + 'static>(
    name: &str,
    heap: fn() -> G,
    of: &[Misuse],
) {
    if let Some(role) = child::role() {
        hear_panics();
        let heap: Global = Box::leak(Box::new(heap()));
        assert!(CHOSEN.set(heap).is_ok());
        if let Some((_, misuse)) = of.iter().find(|(kind, _)| *kind == role) {
            // SAFETY: the allocator finds it (caller), and the process ends by it.
            unsafe { misuse(heap) };
        }
        black_box(vec![0_u8; 64]);
        // Nobody could free what is of the one and the other allocator.
        process::exit(0);
    }
    child::play(name, "nothing").must_have_succeeded();
    for (kind, _) in of {
        let ended = child::play(name, kind);
        ended.must_have_aborted("allotrope: a ");
        ended.must_not_have_said(HOOK);
    }
}
