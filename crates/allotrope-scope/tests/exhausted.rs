//! Arenas of every kind without memory, or with next to none.
//!
//! Goal: a shrink that fails or moves for want of memory; a call that fails and changes something; a panic
//! where an error is promised; things of no size that need memory.
//!
//! Method: a buffer is filled to its last byte and every block of it shrunk, grown and aligned anew; buffers of
//! every size up to 512 bytes serve, or refuse, calls of every kind.

use std::alloc::Layout;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;
use std::thread;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::Buffer;
use allotrope_scope::{Arena, ArenaPool, SharedArena, alloc_fmt, try_alloc_fmt};

type Bytes = Vec<MaybeUninit<u8>>;

fn bytes(size: usize) -> Bytes {
    vec![MaybeUninit::uninit(); size]
}

/// A block in use, filled with its number.
#[derive(Clone, Copy)]
struct Used {
    start: NonNull<u8>,
    layout: Layout,
    number: u8,
}

// SAFETY: the block is memory that belongs to no thread in particular; one at a time uses it here.
unsafe impl Send for Used {}

// SAFETY: as above.
unsafe impl Sync for Used {}

impl Used {
    /// Takes a block for `layout`, if there is one.
    fn take(allocator: &impl Allocator, layout: Layout, number: u8) -> Option<Self> {
        let block = allocator.allocate(layout).ok()?.cast::<u8>();
        // SAFETY: the block is new, and so long.
        unsafe { block.write_bytes(number, layout.size()) };
        Some(Self { start: block, layout, number })
    }

    #[track_caller]
    fn is_whole(self) {
        // SAFETY: the block is in use, and was written.
        let bytes = unsafe { slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) };
        assert!(bytes.iter().all(|byte| *byte == self.number), "block {}", self.number);
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("small")
}

/// Fills everything that `allocator` has with blocks.
fn fill(allocator: &impl Allocator) -> Vec<Used> {
    const LAYOUTS: [(usize, usize); 7] =
        [(600, 8), (200, 64), (64, 16), (10, 1), (9, 4), (128, 128), (1, 1)];
    let mut used = Vec::new();
    loop {
        let before = used.len();
        for (size, align) in LAYOUTS {
            used.extend(Used::take(allocator, layout(size, align), used.len() as u8));
        }
        if used.len() == before {
            return used;
        }
    }
}

/// Without memory, no block grows and none loses anything by that.
fn none_grows(allocator: &impl Allocator, used: &[Used]) {
    for block in used {
        for (more, align) in [(600, 1), (1 << 20, 1), (isize::MAX as usize - 5000, 8)] {
            let new = layout(block.layout.size() + more, align);
            // SAFETY: the block is in use, and `new` is larger.
            assert!(unsafe { allocator.grow(block.start, block.layout, new) }.is_err());
        }
    }
    used.iter().for_each(|block| block.is_whole());
}

/// Every block shrinks in its place, by and by to nothing, and may be aligned less.
fn all_shrink(allocator: &impl Allocator, mut used: Vec<Used>) {
    for size in [599, 300, 100, 64, 63, 10, 9, 8, 1, 0] {
        for block in used.iter_mut().filter(|block| block.layout.size() > size) {
            let new = layout(size, (block.layout.align() / 2).max(1));
            // SAFETY: the block is in use, and `new` is smaller.
            let shrunk = unsafe { allocator.shrink(block.start, block.layout, new) };
            let shrunk = shrunk.expect("a shrink needs no memory").cast::<u8>();
            assert!(size == 0 || shrunk == block.start, "it has moved");
            (block.start, block.layout) = (shrunk, new);
        }
        used.iter().for_each(|block| block.is_whole());
    }
}

/// Blocks that must be aligned more move, or stay as they are.
fn all_may_be_aligned(allocator: &impl Allocator, used: &mut [Used]) {
    for index in 0..used.len() {
        let block = used[index];
        let new = layout(block.layout.size(), 256);
        // SAFETY: the block is in use, and `new` no larger.
        if let Ok(moved) = unsafe { allocator.shrink(block.start, block.layout, new) } {
            let start = moved.cast::<u8>();
            assert!(start.addr().get().is_multiple_of(256));
            used[index] = Used { start, layout: new, ..block };
        }
        used.iter().for_each(|block| block.is_whole());
    }
}

fn without_memory(allocator: &impl Allocator) {
    let mut used = fill(allocator);
    assert!(used.len() > 10);
    none_grows(allocator, &used);
    all_may_be_aligned(allocator, &mut used);
    all_shrink(allocator, used);
}

#[test]
fn without_memory_an_arena_and_its_scopes_shrink_every_block() {
    let [mut memory, mut pooled] = [bytes(20_000), bytes(20_000)];
    let mut arena = Arena::with_source(Buffer::new(&mut memory));
    for _ in 0..2 {
        arena.scope(|scope| {
            without_memory(&&*scope);
        });
        without_memory(&&arena);
        arena.check_invariants().unwrap();
        arena.reset();
    }
    let pool: ArenaPool<Buffer> = ArenaPool::keeping(20_000);
    let arena = pool.get_or(|| Arena::with_source(Buffer::new(&mut pooled)));
    without_memory(&&*arena);
}

#[test]
fn a_shared_arena_shrinks_what_any_thread_has_put_there() {
    let mut memory = bytes(60_000);
    let arena = SharedArena::with_source(Buffer::new(&mut memory));
    let handle = arena.local();
    // The lane of the handle holds what it cannot use for others: both have blocks.
    let mut used = vec![Used::take(&&handle, layout(600, 8), 1).unwrap()];
    used.extend(fill(&&arena));
    used.extend(fill(&&handle));
    let all = used.clone();
    thread::scope(|threads| {
        // A thread without a lane, for which there is no memory.
        let look = threads.spawn(|| {
            assert!(Used::take(&&arena, layout(1, 1), 0).is_none());
            none_grows(&&arena, &all);
            let shrunk: Vec<_> = all
                .iter()
                .map(|block| {
                    let new = layout(block.layout.size() / 2, 1);
                    // SAFETY: the block is in use, by this thread now, and `new` is smaller.
                    let shrunk = unsafe { arena.shrink(block.start, block.layout, new) };
                    assert_eq!(shrunk.map(NonNull::cast), Ok(block.start));
                    Used { layout: new, ..*block }
                })
                .collect();
            shrunk.iter().for_each(|block| block.is_whole());
            shrunk
        });
        used = look.join().unwrap();
    });
    none_grows(&&handle, &used);
    // By lanes that have not put most of them there.
    let (left, right) = used.split_at(used.len() / 2);
    all_shrink(&&arena, left.to_vec());
    all_shrink(&&handle, right.to_vec());
}

#[test]
fn a_thread_without_a_lane_moved_a_vec_that_it_shrank() {
    let arena = SharedArena::new();
    let mut text = ArenaVec::with_capacity_in(100, &arena);
    text.extend_from_slice(b"abc");
    let start = text.as_ptr();
    thread::scope(|threads| {
        let shrink = || {
            text.shrink_to_fit();
            assert_eq!((&text[..], text.capacity()), (&b"abc"[..], 3));
        };
        threads.spawn(shrink).join().unwrap();
    });
    assert_eq!(text.as_ptr(), start);
}

/// What needs no memory is always there.
macro_rules! serves_what_is_empty {
    ($place:expr) => {
        assert_eq!($place.try_alloc_slice_copy(&[0_u64; 0]).map(|slice| slice.len()), Ok(0));
        assert_eq!($place.try_alloc_slice_clone(&[0_u8; 0]).map(|slice| slice.len()), Ok(0));
        assert_eq!($place.try_alloc_slice_fill_with(0, |_| 1_u128).map(|slice| slice.len()), Ok(0));
        assert_eq!($place.try_alloc_slice_fill_iter([(); 7]).map(|slice| slice.len()), Ok(7));
        assert_eq!($place.try_alloc_str("").map(|text| text.len()), Ok(0));
        assert_eq!(try_alloc_fmt!($place, "").map(|text| text.len()), Ok(0));
        assert_eq!(try_alloc_fmt!($place, "{}{}", "", "").map(|text| text.len()), Ok(0));
        assert_eq!($place.try_alloc(()), Ok(&mut ()));
        assert_eq!($place.try_alloc_with(|| [0_u64; 0]), Ok(&mut [0_u64; 0]));
        assert!($place.try_boxed([(); 3]).is_ok());
        for align in [1, 8, 16, 4096] {
            let none = layout(0, align);
            let empty = $place.allocate(none).unwrap().cast::<u8>();
            assert!(empty.addr().get().is_multiple_of(align));
            // SAFETY: the block is the one before, with its layout.
            unsafe {
                let empty = $place.grow(empty, none, none).unwrap().cast();
                let empty = $place.shrink(empty, none, layout(0, 1)).unwrap().cast();
                match $place.grow(empty, layout(0, 1), layout(40, align)) {
                    Ok(grown) => $place.deallocate(grown.cast(), layout(40, align)),
                    Err(_) => $place.deallocate(empty, layout(0, 1)),
                }
            }
        }
    };
}

/// Takes values of all kinds; how many there was room for.
macro_rules! serves_or_refuses {
    ($place:expr) => {{
        let place = $place;
        let mut text = ArenaVec::new_in(place);
        let vec = (0..100_u8).take_while(|n| {
            text.try_reserve(1).is_ok_and(|()| {
                text.push(*n);
                true
            })
        });
        let vec = vec.count();
        assert!(text.iter().zip(0..).all(|(byte, n)| *byte == n));
        drop(text);
        vec + [
            place.try_alloc(1_u8).is_ok(),
            place.try_alloc([1_u64; 9]).is_ok(),
            place.try_alloc_with(|| 1_u128).is_ok(),
            place.try_alloc_try_with(|| Err::<u64, _>([0_u64; 5])).is_ok(),
            place.try_alloc_try_with(|| Ok::<_, u64>([0_u64; 5])).is_ok(),
            place.try_alloc_slice_copy(&[1_u16; 21]).is_ok(),
            place.try_alloc_slice_clone(&[1_u8; 33]).is_ok(),
            place.try_alloc_slice_fill_iter(0..17).is_ok(),
            place.try_alloc_str("one word more than fits").is_ok(),
            try_alloc_fmt!(place, "{:>30}{:>50}", 1, 2).is_ok_and(|text| text.len() == 80),
            try_alloc_fmt!(place, "{}{}", "", 7).is_ok_and(|text| text == "7"),
            place.try_boxed([String::from("dropped with its box")]).is_ok(),
        ]
        .into_iter()
        .filter(|is_served| *is_served)
        .count()
    }};
}

#[test]
fn arenas_in_buffers_of_every_size_serve_or_refuse() {
    let mut served = 0;
    for size in 0..=512 {
        let mut memory = bytes(size + 8);
        let mut arena = Arena::with_source(Buffer::new(&mut memory[size % 8..][..size]));
        serves_what_is_empty!(arena);
        for _ in 0..2 {
            let used = (arena.bytes_used(), arena.bytes_held());
            if arena.try_alloc([0_u64; 100]).is_err() {
                assert_eq!((arena.bytes_used(), arena.bytes_held()), used, "nothing has changed");
            }
            served = serves_or_refuses!(&arena);
            serves_what_is_empty!(arena);
            let mark = arena.try_begin_scope();
            _ = arena.try_keep(String::from("kept"));
            arena.scope(|scope| {
                serves_what_is_empty!(scope);
                _ = serves_or_refuses!(&*scope);
                _ = scope.try_keep(Box::new(1));
            });
            arena.check_invariants().unwrap();
            if let Ok(mark) = mark {
                arena.end_scope(mark).unwrap();
            }
            arena.reset();
        }
        arena.shrink_to(0);
        assert_eq!(arena.bytes_held(), 0);
        serves_what_is_empty!(arena);
    }
    assert!(served > 50, "{served}");
}

#[test]
fn shared_arenas_in_buffers_of_every_size_serve_or_refuse() {
    for size in (0..=512).chain((1..10).map(|n| n * 1000)) {
        let mut memory = bytes(size);
        let mut arena = SharedArena::with_source(Buffer::new(&mut memory));
        for _ in 0..2 {
            serves_what_is_empty!(arena);
            _ = serves_or_refuses!(&arena);
            serves_what_is_empty!(arena);
            for _ in 0..2 {
                if let Ok(handle) = arena.try_local() {
                    serves_what_is_empty!(handle);
                    _ = serves_or_refuses!(&handle);
                }
            }
            thread::scope(|threads| {
                threads.spawn(|| {
                    serves_what_is_empty!(arena);
                    _ = serves_or_refuses!(&arena);
                });
            });
            assert!(arena.bytes_used() <= size);
            arena.reset();
        }
    }
}

#[test]
fn pools_keep_arenas_in_buffers_of_every_size() {
    for size in 0..=512 {
        let mut memory = bytes(size);
        let pool: ArenaPool<Buffer> = ArenaPool::keeping(512);
        {
            let arena = pool.get_or(|| Arena::with_source(Buffer::new(&mut memory)));
            serves_what_is_empty!(arena);
            _ = serves_or_refuses!(&*arena);
        }
        let waits = std::cell::Cell::new(true);
        let arena = pool.get_or(|| {
            waits.set(false);
            Arena::with_source(Buffer::new(&mut []))
        });
        assert_eq!(arena.bytes_used(), 0);
        assert!(waits.get() == (arena.bytes_held() > 0), "{size}");
        serves_what_is_empty!(arena);
        _ = serves_or_refuses!(&*arena);
    }
}

#[test]
fn empty_text_was_an_assertion_in_a_shared_arena() {
    let arena = SharedArena::new();
    assert_eq!(alloc_fmt!(arena, ""), "");
    assert_eq!(arena.bytes_held(), 0);
}

#[test]
fn text_without_room_was_cut_short_where_a_value_ignores_errors() {
    /// Shows three parts, the second of which is long.
    struct Careless;

    impl fmt::Display for Careless {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("one ")?;
            _ = write!(formatter, "{:>1000}", "two");
            _ = formatter.write_str(" three");
            Ok(())
        }
    }

    let mut memory = bytes(500);
    let arena = Arena::with_source(Buffer::new(&mut memory));
    assert!(try_alloc_fmt!(arena, "{Careless}").is_err());
    assert_eq!(arena.bytes_used(), 0);
    assert_eq!(alloc_fmt!(arena, "{}", 1), "1");
}

#[cfg(target_os = "linux")]
#[test]
fn ambient_scopes_with_any_limit_serve_or_refuse() {
    use allotrope_scope::ambient::{self, Here};

    for limit in [0, 1, 100, 4095, 4096, 4097, 8192, 20_000, 65_536, 200_000] {
        let mut arena = Arena::new();
        arena.set_allocation_limit(Some(limit));
        arena.set_chunk_cap(4096);
        let run = || {
            let mut used = fill(&Here);
            none_grows(&Here, &used);
            all_may_be_aligned(&Here, &mut used);
            all_shrink(&Here, used);
            let empty = Here.allocate(layout(0, 64)).unwrap().cast::<u8>();
            // SAFETY: the block is in use, and `new` is larger.
            assert!(unsafe { Here.grow(empty, layout(0, 64), layout(5000, 64)) }.is_err());
        };
        let ran = ambient::try_scope_in(&mut arena, run);
        // A limit allows the whole of the page that it ends in.
        assert_eq!(ran.is_ok(), limit > 0);
        assert_eq!((arena.bytes_used(), arena.allocation_limit()), (0, Some(limit)));
    }
}
