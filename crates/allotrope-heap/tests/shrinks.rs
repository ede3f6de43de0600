//! Blocks that shrink when there is no more memory.
//!
//! Goal: a shrink that fails although the block could stay, or that changes something although it
//! failed; a block that shrank in place and is freed or counted by its old size.
//!
//! Method: every pair of layouts on either side of every limit, on every route and through every view,
//! with a heap that is full: its source lends nothing more, and nothing is free for the new layout.

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::{Allocator, Global};
use allotrope_core::{Buffer, OsPages, Policy, Source, Upstream};
use allotrope_heap::{HeapRc, LocalHeap, Route, Strategy};

/// Low limits and small regions, so that a heap is soon full.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 4096;
    const GROWTH_SIZE: usize = 32 * 1024;
    const RESERVE_SIZE: usize = 128 * 1024;
    const LARGEST_CLASS: usize = 256;
    const LARGEST_MEDIUM: usize = 12 * 1024;
}

/// `Global`, that lends nothing more once it is closed, and counts what is out.
#[derive(Default)]
struct Closing {
    is_closed: Cell<bool>,
    blocks: Cell<usize>,
}

// SAFETY: every call is one of `Global`'s, or a refusal.
unsafe impl Allocator for &Closing {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, allocator_api2::alloc::AllocError> {
        if self.is_closed.get() {
            return Err(allocator_api2::alloc::AllocError);
        }
        self.blocks.set(self.blocks.get() + 1);
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.blocks.set(self.blocks.get() - 1);
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Layouts on either side of every limit of [`Tiny`], each with every one that is no larger.
fn pairs() -> impl Iterator<Item = (Layout, Layout)> {
    const SIZES: [usize; 8] = [0, 1, 24, 100, 300, 5000, 13_000, 30_000];
    let layouts = || SIZES.into_iter().flat_map(|size| [1, 4096].map(|align| layout(size, align)));
    let all = layouts().flat_map(move |old| layouts().map(move |new| (old, new)));
    all.filter(|(old, new)| new.size() <= old.size())
}

/// What a shrink has to do where no block for the new layout can be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    /// It succeeds, in place.
    Stays,
    /// It fails, unless the block happens to be aligned.
    MayFail,
}

impl Rule {
    /// The table of `Strategy::shrink`, for a heap; large blocks may be pages of its region.
    fn of(routes: (Route, Route), old: Layout, new: Layout, are_all_pages: bool) -> Self {
        let stays = match routes {
            (_, Route::Empty) => true,
            _ if new.align() > old.align() => false,
            (Route::Small { block_size: before }, Route::Small { block_size: after }) => {
                before == after
            }
            (Route::Medium { .. }, Route::Medium { .. })
            | (Route::Large { .. }, Route::Large { .. }) => true,
            (Route::Large { .. }, Route::Medium { .. }) => are_all_pages,
            _ => false,
        };
        if stays { Self::Stays } else { Self::MayFail }
    }
}

/// Shrinks a block of a heap that is full, and frees everything. Says whether it was refused.
fn sweep<S: Source>(
    memory: &impl Allocator,
    heap: &LocalHeap<S, Tiny>,
    (old, new): (Layout, Layout),
    rule: Rule,
    close: impl Fn(),
) -> bool {
    let what = format!("{old:?} to {new:?}");
    // A handle's own count lies in its heap.
    let at_rest = heap.bytes_used();
    let (Some(before), Some(after)) = (cost(memory, heap, old), cost(memory, heap, new)) else {
        return false;
    };
    let Ok(block) = memory.allocate(old) else { return false };
    // SAFETY: the block is in use, and so long.
    unsafe { block.cast::<u8>().write_bytes(7, block.len()) };
    close();
    let mut others = Vec::new();
    while new.size() > 0
        && let Ok(other) = memory.allocate(new)
    {
        // SAFETY: as above.
        unsafe { other.cast::<u8>().write_bytes(9, other.len()) };
        others.push(other);
    }
    let (used, start) = (heap.bytes_used(), block.cast::<u8>());
    let size = if others.len().is_multiple_of(2) { block.len() } else { old.size() };
    // SAFETY: the block is in use, and the size fits it.
    let shrunk = unsafe { memory.shrink(start, layout(size, old.align()), new) };
    let (block, kept, align) = match shrunk {
        Ok(shrunk) => {
            assert!(shrunk.cast() == start || new.size() == 0 || old.size() == 0, "{what}");
            assert_eq!(heap.bytes_used(), used - before + after, "{what}");
            (shrunk, new.size(), new.align())
        }
        Err(_) => {
            assert_eq!(rule, Rule::MayFail, "{what}");
            assert_eq!(heap.bytes_used(), used, "{what}");
            (block, block.len(), old.align())
        }
    };
    assert_eq!(heap.check_invariants(), Ok(()), "{what}");
    // SAFETY: the blocks are in use, and freed here.
    unsafe {
        let is_kept = (0..kept).all(|at| block.cast::<u8>().add(at).read() == 7);
        assert!(is_kept, "{what}");
        memory.deallocate(block.cast(), layout(block.len(), align));
        for other in others {
            let is_kept = (0..other.len()).all(|at| other.cast::<u8>().add(at).read() == 9);
            assert!(is_kept, "{what}");
            memory.deallocate(other.cast(), layout(other.len(), new.align()));
        }
    }
    assert_eq!(heap.check_invariants(), Ok(()), "{what}");
    assert_eq!(heap.bytes_used(), at_rest, "{what}");
    shrunk.is_err()
}

/// How many bytes a block for `layout` takes, if there is one.
fn cost<S: Source>(
    memory: &impl Allocator,
    heap: &LocalHeap<S, Tiny>,
    layout: Layout,
) -> Option<usize> {
    let block = memory.allocate(layout).ok()?;
    let used = heap.bytes_used();
    // SAFETY: just allocated.
    unsafe { memory.deallocate(block.cast(), layout) };
    Some(used - heap.bytes_used())
}

/// The routes of both layouts.
fn routes<S: Source>(heap: &LocalHeap<S, Tiny>, old: Layout, new: Layout) -> (Route, Route) {
    (heap.explain(old).route, heap.explain(new).route)
}

#[test]
fn over_an_upstream_that_has_no_more() {
    let upstream = Closing::default();
    let mut refusals = 0;
    for (old, new) in pairs() {
        let heap = LocalHeap::<_, Tiny>::with_policy(Upstream::new(&upstream));
        let rule = Rule::of(routes(&heap, old, new), old, new, false);
        let close = || upstream.is_closed.set(true);
        refusals += usize::from(sweep(&&heap, &heap, (old, new), rule, close));
        drop(heap);
        upstream.is_closed.set(false);

        let handle = HeapRc::from_heap(LocalHeap::<_, Tiny>::with_policy(Upstream::new(&upstream)));
        let handle = handle.unwrap();
        sweep(&handle.clone(), &handle, (old, new), rule, close);
        drop(handle);
        upstream.is_closed.set(false);
        assert_eq!(upstream.blocks.get(), 0, "{old:?} to {new:?}");
    }
    assert!(refusals > 10, "only {refusals} were refused");
}

#[test]
fn at_the_limit() {
    for (old, new) in pairs() {
        let heap = LocalHeap::<_, Tiny>::with_policy(OsPages::new());
        let rule = Rule::of(routes(&heap, old, new), old, new, false);
        sweep(&&heap, &heap, (old, new), rule, || heap.set_limit(Some(heap.bytes_held())));
    }
}

#[test]
fn in_a_full_buffer() {
    let mut bytes = vec![MaybeUninit::<u8>::uninit(); 192 * 1024];
    for size in [48 * 1024, 192 * 1024] {
        for (old, new) in pairs() {
            let heap = LocalHeap::<_, Tiny>::with_policy(Buffer::new(&mut bytes[..size]));
            let rule = Rule::of(routes(&heap, old, new), old, new, true);
            sweep(&&heap, &heap, (old, new), rule, || ());
        }
    }
}

#[test]
fn through_views() {
    let upstream = Closing::default();
    for (old, new) in pairs() {
        for strategy in [Strategy::BestFit, Strategy::Extents, Strategy::Slabs] {
            let heap = LocalHeap::<_, Tiny>::with_policy(Upstream::new(&upstream));
            let rule = match strategy {
                Strategy::Slabs => Rule::MayFail,
                _ if new.size() > 0 && new.align() > old.align() => Rule::MayFail,
                _ => Rule::Stays,
            };
            let close = || upstream.is_closed.set(true);
            sweep(&heap.with(strategy), &heap, (old, new), rule, close);
            drop(heap);
            upstream.is_closed.set(false);
            assert_eq!(upstream.blocks.get(), 0, "{old:?} to {new:?}");
        }
    }
}
