//! Values of every kind come to their place, and leave none behind when they do not.

use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use allocator_api2::alloc::Global;
use allotrope_core::{AllocError, Buffer, Upstream};
use allotrope_scope::{Arena, InitError, ScopeBox, alloc_fmt, try_alloc_fmt};

/// An arena that has room for nothing.
fn nowhere() -> Arena<Upstream<Global>> {
    let arena = Arena::with_source(Upstream::new(Global));
    arena.set_allocation_limit(Some(0));
    arena
}

#[test]
fn values_are_what_was_put() {
    let arena = Arena::new();
    let number = arena.alloc(7_u8);
    let large = arena.alloc([5_u64; 1000]);
    let lazy = arena.alloc_with(|| (1, 2));
    let copied = arena.alloc_slice_copy(&[1, 2, 3]);
    let cloned = arena.alloc_slice_clone(&[Cell::new(4), Cell::new(5)]);
    let filled = arena.alloc_slice_fill_with(4, |index| index * index);
    let collected = arena.alloc_slice_fill_iter([9_i64, 8, 7]);
    let text = arena.alloc_str("text");
    let formatted = alloc_fmt!(arena, "{text}-{number}");
    let sure = arena.alloc_try_with(|| Ok::<_, ()>('x')).unwrap();
    assert_eq!((*number, *lazy, *sure), (7, (1, 2), 'x'));
    assert!(large.iter().all(|five| *five == 5));
    assert_eq!(
        (&*copied, &*filled, &*collected),
        (&[1, 2, 3][..], &[0, 1, 4, 9][..], &[9, 8, 7][..])
    );
    assert_eq!(cloned.iter().map(Cell::get).sum::<i32>(), 9);
    assert_eq!((&*text, &*formatted), ("text", "text-7"));
}

#[test]
fn every_alignment_is_honoured() {
    #[repr(align(4096))]
    struct Page(u8);
    #[repr(align(64))]
    struct Line(u8);
    let arena = Arena::new();
    for byte in 0..20 {
        arena.alloc(byte);
        let line = arena.alloc(Line(byte));
        let page = arena.alloc(Page(byte));
        assert_eq!((line.0, page.0), (byte, byte));
        assert!(std::ptr::from_mut(line).addr().is_multiple_of(64));
        assert!(std::ptr::from_mut(page).addr().is_multiple_of(4096));
    }
}

#[test]
fn values_without_a_size_take_no_memory() {
    let arena = Arena::new();
    arena.alloc(());
    arena.alloc_str("");
    assert_eq!(arena.alloc_slice_copy::<u64>(&[]).len(), 0);
    assert_eq!(arena.alloc_slice_fill_with(1000, |_| ()).len(), 1000);
    arena.allocate(Layout::from_size_align(0, 4096).unwrap()).unwrap();
    assert_eq!((arena.bytes_used(), arena.bytes_held()), (0, 0));
}

#[test]
fn without_memory_every_twin_is_an_error() {
    let arena = nowhere();
    assert_eq!(arena.try_alloc(1), Err(AllocError));
    assert_eq!(arena.try_alloc([0_u8; 8192]), Err(AllocError));
    assert_eq!(arena.try_alloc_with(|| 1), Err(AllocError));
    assert_eq!(arena.try_alloc_slice_copy(&[1]), Err(AllocError));
    assert_eq!(arena.try_alloc_slice_clone(&[1]), Err(AllocError));
    assert_eq!(arena.try_alloc_slice_fill_with(1, |_| 1), Err(AllocError));
    assert_eq!(arena.try_alloc_slice_fill_iter([1]), Err(AllocError));
    assert_eq!(arena.try_alloc_str("1"), Err(AllocError));
    assert_eq!(try_alloc_fmt!(arena, "{}", 1), Err(AllocError));
    let failed = arena.try_alloc_try_with(|| Ok::<_, ()>(1));
    assert_eq!(failed, Err(InitError::Alloc(AllocError)));
    assert_eq!(arena.try_keep(String::new()), Err(AllocError));
    assert!(arena.try_boxed(String::new()).is_err());
    assert!(arena.try_begin_scope().is_err());
    assert!(Arena::try_with_capacity(usize::MAX).is_err());
    assert_eq!(arena.bytes_held(), 0);
}

#[test]
fn without_memory_the_others_panic() {
    let calls: [fn(&Arena<Upstream<Global>>); 6] = [
        |arena| _ = arena.alloc(1),
        |arena| _ = arena.alloc_str("1"),
        |arena| _ = alloc_fmt!(arena, "{}", 1),
        |arena| _ = arena.alloc_try_with(|| Ok::<_, ()>(1)),
        |arena| _ = arena.keep(String::new()),
        |arena| _ = arena.begin_scope(),
    ];
    for call in calls {
        let arena = nowhere();
        let panic = catch_unwind(AssertUnwindSafe(|| call(&arena))).unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert_eq!(*message, "the arena's source has no more memory");
    }
}

#[test]
fn lengths_beyond_any_layout_are_errors() {
    let arena = Arena::new();
    let failed = arena.try_alloc_slice_fill_with(usize::MAX, |_| 1_u64);
    assert_eq!(failed, Err(AllocError));
    let failed = arena.try_alloc_slice_fill_with(isize::MAX as usize, |_| 1_u8);
    assert_eq!(failed, Err(AllocError));
}

#[test]
fn a_value_that_fails_gives_its_place_back() {
    let arena = Arena::new();
    arena.alloc(1_u64);
    let used = arena.bytes_used();
    let failed = arena.alloc_try_with(|| Err::<[u64; 100], _>("failed".to_string()));
    assert_eq!(failed.unwrap_err(), "failed");
    assert_eq!(arena.bytes_used(), used);
    let failed = arena.try_alloc_try_with(|| Err::<u64, _>(2));
    assert_eq!(failed, Err(InitError::Init(2)));
    assert_eq!(arena.bytes_used(), used);
}

#[test]
fn a_value_that_unwinds_gives_its_place_back() {
    let arena = Arena::new();
    arena.alloc(1_u64);
    let used = arena.bytes_used();
    let calls: [fn(&Arena); 5] = [
        |arena| _ = arena.alloc_with(|| -> [u64; 100] { panic!("unwind") }),
        |arena| _ = arena.alloc_try_with(|| -> Result<u64, ()> { panic!("unwind") }),
        |arena| {
            _ = arena.alloc_slice_fill_with(100, |n| if n == 50 { panic!("unwind") } else { n })
        },
        |arena| _ = arena.alloc_slice_clone(&[Bomb]),
        |arena| _ = alloc_fmt!(arena, "a rather long text before the {}", Bomb),
    ];
    for call in calls {
        catch_unwind(AssertUnwindSafe(|| call(&arena))).unwrap_err();
        assert_eq!(arena.bytes_used(), used);
    }
}

/// A value that cannot be cloned or shown.
struct Bomb;

impl Clone for Bomb {
    fn clone(&self) -> Self {
        panic!("unwind")
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("unwind")
    }
}

#[test]
fn closures_may_use_the_arena_that_they_fill() {
    let arena = Arena::new();
    let outer = arena.alloc_with(|| (arena.alloc(1), arena.alloc_str("inner")));
    let failed = arena.alloc_try_with(|| Err::<u64, _>(&*arena.alloc_str("kept")));
    assert_eq!((&*outer.0, &*outer.1, failed), (&1, "inner", Err("kept")));

    struct Nested<'a>(&'a Arena);
    impl fmt::Display for Nested<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0.alloc_str("in between"))
        }
    }
    let text = alloc_fmt!(arena, "<{}|{}>", Nested(&arena), Nested(&arena));
    assert_eq!(text, "<in between|in between>");
}

#[test]
fn iterators_that_lie_about_their_length_do_no_harm() {
    struct Liar(usize, usize);
    impl Iterator for Liar {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0 as u64)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.1, Some(self.1))
        }
    }
    impl ExactSizeIterator for Liar {}
    let arena = Arena::new();
    assert_eq!(arena.alloc_slice_fill_iter(Liar(2, 5)), [1, 0]);
    assert_eq!(arena.alloc_slice_fill_iter(Liar(5, 2)), [4, 3]);
}

#[test]
fn a_value_that_refuses_to_be_shown_is_an_error() {
    struct Refuses;
    impl fmt::Display for Refuses {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let arena = Arena::new();
    assert_eq!(try_alloc_fmt!(arena, "text before it {Refuses}"), Err(AllocError));
    assert_eq!(arena.bytes_used(), 0);
}

#[test]
fn boxes_drop_early_and_once() {
    let drops = Cell::new(0);
    struct Counts<'d>(&'d Cell<u32>);
    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut arena = Arena::new();
    arena.scope(|scope| {
        let first = scope.boxed(Counts(&drops));
        let second = scope.boxed(Counts(&drops));
        let third = scope.boxed(Counts(&drops));
        drop(first);
        assert_eq!(drops.get(), 1);
        let inner = ScopeBox::into_inner(second);
        assert_eq!(drops.get(), 1);
        drop(inner);
        ScopeBox::leak(third);
    });
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_block_of_size_zero_was_aligned_as_a_u64_is_on_the_target() {
    let arena = Arena::with_source(Buffer::new(&mut []));
    for shift in 0..13 {
        let layout = Layout::from_size_align(0, 1 << shift).unwrap();
        let block = arena.allocate(layout).unwrap();
        assert_eq!(block.addr().get() % layout.align(), 0, "{layout:?}");
    }
    assert_eq!(arena.bytes_held(), 0);
}

#[test]
fn failing_giants_hold_no_more_than_one() {
    const SIZE: usize = if cfg!(target_pointer_width = "64") { 512 << 20 } else { 32 << 20 };
    // A value of this size may be on the stack for a moment, depending on the optimiser.
    let thread = thread::Builder::new().stack_size(6 * SIZE);
    let work = || {
        let arena = Arena::new();
        arena.alloc(1_u8);
        for _ in 0..36 {
            arena.alloc_try_with(|| Err::<[u8; SIZE], _>(())).unwrap_err();
            assert!(arena.bytes_held() < SIZE + (1 << 20));
        }
        assert!(arena.bytes_held() >= SIZE);
    };
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_buffer_is_used_to_its_end_and_nothing_else() {
    let mut bytes = [const { MaybeUninit::uninit() }; 1024];
    let range = bytes.as_ptr_range();
    let range = range.start.addr()..range.end.addr();
    let arena = Arena::with_source(Buffer::new(&mut bytes));
    let mut count = 0;
    while let Ok(value) = arena.try_alloc(count) {
        assert!(range.contains(&std::ptr::from_mut(value).addr()));
        count += 1_u64;
    }
    assert!(count >= 110, "{count} of 128 words");
    assert_eq!(arena.bytes_held(), 1024);
}
