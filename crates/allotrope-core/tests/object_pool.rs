//! Object pools drop what they own, once, and give its place back, always.

use std::cell::Cell;
use std::mem::{self, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

use allotrope_core::{Buffer, ClassicPolicy, ObjectPool, OsPages};

/// Counts its drops.
struct Counted<'c>(&'c Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_box_drops_its_value_once_and_its_place_is_used_again() {
    let drops = Cell::new(0);
    let pool = ObjectPool::new(OsPages::new());
    let first = pool.insert(Counted(&drops));
    let place: *const Counted<'_> = &*first;
    drop(first);
    assert_eq!((drops.get(), pool.len()), (1, 0));
    let second = pool.insert(Counted(&drops));
    assert!(std::ptr::eq(place, &*second));
    let value = second.into_inner();
    assert_eq!((drops.get(), pool.len()), (1, 0));
    drop(value);
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_forgotten_box_leaks_its_value_and_no_place_beyond_the_pool() {
    let drops = Cell::new(0);
    const SIZE: usize = ObjectPool::<Counted<'_>, Buffer<'_>>::buffer_size(2);
    let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
    let mut places = [0; 3];
    for count in &mut places {
        let pool = ObjectPool::new(Buffer::new(&mut bytes));
        mem::forget(pool.insert(Counted(&drops)));
        *count = 1;
        while let Ok(value) = pool.try_insert(Counted(&drops)) {
            assert_eq!(value.leak().0.get(), 0);
            *count += 1;
        }
        assert_eq!(pool.len(), *count);
        // Only the value that found no place was dropped.
        assert_eq!(drops.replace(0), 1);
    }
    assert!(places[0] >= 2 && places == [places[0]; 3], "{places:?}");
}

#[test]
fn an_exhausted_pool_gives_the_value_back_and_serves_again_later() {
    const SIZE: usize = ObjectPool::<[u64; 8], Buffer>::buffer_size(50);
    let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
    let pool = ObjectPool::new(Buffer::new(&mut bytes));
    let mut held: Vec<_> = (0..50).map(|n| pool.insert([n; 8])).collect();
    while let Ok(more) = pool.try_insert([0; 8]) {
        held.push(more);
        assert!(held.len() <= 52, "more than the buffer has room for");
    }
    assert_eq!(pool.try_insert([7; 8]).unwrap_err(), [7; 8]);
    held.pop();
    assert!(pool.try_insert([7; 8]).is_ok());
    assert!(held.iter().take(50).enumerate().all(|(n, value)| **value == [n as u64; 8]));
}

#[test]
#[should_panic = "no more memory"]
fn insert_into_an_exhausted_pool_panics() {
    ObjectPool::new(Buffer::new(&mut [])).insert(1_u32);
}

#[test]
fn values_without_a_size_need_no_memory() {
    let drops = Cell::new(0);
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {}
    }
    let pool = ObjectPool::<Empty, _>::new(Buffer::new(&mut []));
    let boxes: Vec<_> = (0..10).map(|_| pool.insert(Empty)).collect();
    drops.set(boxes.len());
    drop(boxes);
    assert_eq!((drops.get(), pool.bytes_held()), (10, 0));
}

#[test]
fn strictly_aligned_values_are_aligned() {
    #[repr(align(1024))]
    struct Aligned(u8);
    #[repr(align(131072))]
    struct BeyondAChunk(u8);
    let pool = ObjectPool::<_, _, ClassicPolicy>::with_policy(OsPages::new());
    let values: Vec<_> = (0..100).map(|n| pool.insert(Aligned(n))).collect();
    for (n, value) in values.iter().enumerate() {
        assert_eq!((value.0 as usize, (&raw const **value).addr() % 1024), (n, 0));
    }
    let pool = ObjectPool::new(OsPages::new());
    let values: Vec<_> = (0..5).map(|n| pool.insert(BeyondAChunk(n))).collect();
    for (n, value) in values.iter().enumerate() {
        assert_eq!((value.0 as usize, (&raw const **value).addr() % 131_072), (n, 0));
    }
}

#[test]
fn a_value_whose_drop_unwinds_leaves_its_place_free() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a drop that unwinds");
        }
    }
    let pool = ObjectPool::new(OsPages::new());
    let bomb = pool.insert((Bomb, 1_u64));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(bomb))).is_err());
    assert_eq!(pool.len(), 0);
}

#[test]
fn a_value_whose_making_unwinds_leaves_its_place_free() {
    let pool = ObjectPool::<u64, _>::new(OsPages::new());
    let make = || pool.insert_with(|| panic!("no value"));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(make()))).is_err());
    assert_eq!(pool.len(), 0);
    assert_eq!(*pool.insert_with(|| *pool.insert(3) + 1), 4);
}

#[test]
fn a_drop_may_use_the_pool_that_its_value_lies_in() {
    struct InsertsAnother(bool);
    thread_local! {
        static POOL: ObjectPool<InsertsAnother, OsPages> = const { ObjectPool::new(OsPages::new()) };
        static DROPS: Cell<usize> = const { Cell::new(0) };
    }
    impl Drop for InsertsAnother {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
            if self.0 {
                POOL.with(|pool| drop(pool.insert(InsertsAnother(false))));
            }
        }
    }
    POOL.with(|pool| {
        drop(pool.insert(InsertsAnother(true)));
        assert_eq!((DROPS.get(), pool.len()), (2, 0));
    });
}

#[test]
fn trim_gives_back_chunks_without_values_and_keeps_the_rest() {
    let pool = ObjectPool::new(OsPages::new());
    let mut values: Vec<_> = (0..20_000_u64).map(|n| pool.insert([n; 8])).collect();
    let full = pool.bytes_held();
    let kept = values.split_off(19_990);
    drop(values);
    assert_eq!(pool.len(), 10);
    pool.trim();
    assert_eq!(pool.len(), 10);
    assert!(kept.iter().enumerate().all(|(n, value)| **value == [19_990 + n as u64; 8]));
    let again: Vec<_> = (0..20_000_u64).map(|n| pool.insert([n; 8])).collect();
    assert!(again.iter().enumerate().all(|(n, value)| **value == [n as u64; 8]));
    assert!(pool.bytes_held() <= full + 65536, "{} {full}", pool.bytes_held());
    drop((kept, again));
    pool.trim();
    assert_eq!((pool.len(), pool.bytes_held()), (0, 0));
    assert_eq!(pool.insert([1; 8])[7], 1);
}

#[test]
fn a_pool_can_be_sent_to_another_thread() {
    let pool = ObjectPool::new(OsPages::new());
    drop(pool.insert(String::from("here")));
    let pool = std::thread::spawn(move || {
        assert_eq!(*pool.insert(String::from("there")), "there");
        pool
    });
    assert!(pool.join().unwrap().is_empty());
}
