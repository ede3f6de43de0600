//! Each test after the bug that taught it.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::{OsPages, Source, Upstream};
use allotrope_scope::{Arena, Mark, MarkError};

type HeapArena = Arena<Upstream<Global>>;

fn heap_arena() -> HeapArena {
    Arena::with_source(Upstream::new(Global))
}

#[test]
fn a_cap_that_is_raised_again_has_an_effect() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    arena.set_chunk_cap(0);
    arena.set_chunk_cap(1 << 20);
    (0..10_000).for_each(|n| _ = arena.alloc(n as u64));
    assert!(arena.chunks().count() < 20, "{} chunks", arena.chunks().count());
}

#[test]
fn chunks_may_be_listed_while_blocks_are_allocated() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    drop(ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena));
    let (held, chunks) = (arena.bytes_held(), arena.chunks());
    arena.alloc([0_u64; 1000]);
    assert!(arena.bytes_held() < held, "no chunk was released");
    assert!(chunks.count() <= 1, "one that was released is listed");
}

#[test]
fn a_chunk_that_comes_into_use_while_chunks_are_listed_is_not_listed_twice() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    drop(ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena));
    let chunks = arena.chunks();
    let again = ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena);
    drop(ArenaVec::<u8, _>::with_capacity_in(1 << 19, &arena));
    let size: usize = chunks.map(|chunk| chunk.size()).sum();
    assert!(size <= arena.bytes_held(), "{size} of {arena:?}");
    drop(again);
}

#[test]
fn the_limit_is_kept_when_a_large_block_grows() {
    let page = OsPages::page_size();
    let arena = Arena::new();
    arena.alloc(1_u64);
    let mut large = ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena);
    let limit = arena.bytes_held() + page / 2;
    arena.set_allocation_limit(Some(limit));
    for size in ((1 << 20)..(1 << 20) + 2 * page).step_by(64) {
        let has_grown = large.try_reserve_exact(size).is_ok();
        // A limit within a page allows the whole of it.
        let bound = limit.next_multiple_of(page.max(OsPages::REGION_ALIGN));
        assert!(arena.bytes_held() <= bound, "{} of {bound}, {has_grown}", arena.bytes_held());
    }
}

#[test]
fn a_large_block_grows_into_what_its_chunk_has_left() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    drop(ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena));
    let mut again = ArenaVec::<u8, _>::with_capacity_in(600_000, &arena);
    let (held, start) = (arena.bytes_held(), again.as_ptr());
    again.resize(600_000, 1);
    again.reserve_exact(100_000);
    assert_eq!((arena.bytes_held(), again.as_ptr()), (held, start));
}

#[test]
fn a_request_that_fails_leaves_unused_chunks_alone() {
    let mut arena = heap_arena();
    arena.set_chunk_cap(4096);
    (0..100).for_each(|_| _ = arena.alloc([0_u64; 100]));
    arena.reset();
    let held = arena.bytes_held();
    arena.set_allocation_limit(Some(5000));
    assert!(arena.try_alloc([0_u64; 1000]).is_err());
    assert_eq!(arena.bytes_held(), held);
}

#[test]
fn unused_chunks_make_way_for_the_limit() {
    let mut arena = heap_arena();
    arena.set_chunk_cap(4096);
    arena.set_allocation_limit(Some(100_000));
    while arena.try_alloc([0_u64; 100]).is_ok() {}
    arena.reset();
    assert!(arena.try_alloc_slice_fill_with(60_000, |_| 0_u8).is_ok(), "{arena:?}");
    assert!(arena.bytes_held() <= 100_000);
}

#[test]
fn shrinking_does_not_release_the_chunk_that_an_open_mark_remembers() {
    let mut arena = heap_arena();
    arena.set_chunk_cap(0);
    arena.alloc(1_u64);
    arena.reset();
    let mark = arena.begin_scope();
    let first = arena.chunks().next();
    arena.shrink_to(0);
    assert_eq!(arena.chunks().next(), first, "the mark was made in this one");
    arena.alloc([2_u64; 40]);
    assert_eq!(arena.end_scope(mark), Ok(()));
    assert_eq!(arena.bytes_used(), 0);
    for n in 0..100 {
        assert_eq!(*arena.alloc([n; 3]), [n; 3]);
    }
}

/// An upstream that once makes a mark in the arena above it.
#[derive(Default)]
struct MakesMark {
    arena: RefCell<Weak<Arena<Upstream<&'static Self>>>>,
    mark: Cell<Option<Mark>>,
}

// SAFETY: every block is one of `Global`.
unsafe impl Allocator for MakesMark {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if let Some(arena) = self.arena.take().upgrade() {
            self.mark.set(Some(arena.begin_scope()));
        }
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

#[test]
fn a_mark_that_the_source_makes_meanwhile_does_not_dangle() {
    let upstream: *mut MakesMark = Box::into_raw(Box::default());
    let owner = upstream;
    // SAFETY: it is freed at the end, after the arena over it.
    let upstream: &'static MakesMark = unsafe { &*upstream };
    let arena = Rc::new(Arena::with_source(Upstream::new(upstream)));
    *upstream.arena.borrow_mut() = Rc::downgrade(&arena);
    let outer = arena.begin_scope();
    let inner = upstream.mark.get().unwrap();
    let mut arena = Rc::into_inner(arena).unwrap();
    assert_eq!(arena.end_scope(outer), Ok(()));
    arena.alloc([0x4141_4141_4141_4141_u64; 40]);
    assert_eq!(arena.end_scope(inner), Err(MarkError::NotOpen));
    drop(arena);
    // SAFETY: a box made it, and nobody uses it any more.
    drop(unsafe { Box::from_raw(owner) });
}

#[test]
fn a_large_block_that_could_not_grow_stays_in_its_scope() {
    let mut arena = heap_arena();
    arena.alloc(1_u64);
    let layout = Layout::from_size_align(100_000, 8).unwrap();
    let block = arena.allocate(layout).unwrap();
    let used = arena.bytes_used();
    let mark = arena.begin_scope();
    arena.set_allocation_limit(Some(arena.bytes_held() + (1 << 20)));
    let impossible = Layout::from_size_align(isize::MAX as usize - 4096, 8).unwrap();
    for larger in [Layout::from_size_align(1 << 22, 8).unwrap(), impossible] {
        // SAFETY: the block is the arena's, with this layout.
        assert!(unsafe { arena.grow(block.cast(), layout, larger) }.is_err());
        arena.set_allocation_limit(None);
    }
    assert_eq!(arena.end_scope(mark), Ok(()));
    assert_eq!(arena.bytes_used(), used, "the block is gone");
}
