//! Object pools that threads share: boxes drop their values, on whatever thread.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use allotrope_core::{Buffer, OsPages, PoolBox, SharedObjectPool};

/// Counts how many there are.
struct Counted(Arc<AtomicUsize>, usize);

impl Counted {
    fn new(count: &Arc<AtomicUsize>, value: usize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count), value)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn values_are_dropped_by_other_threads_than_made_them() {
    let (pool, count) = (SharedObjectPool::new(OsPages::new()), Arc::new(AtomicUsize::new(0)));
    let (send, receive) = mpsc::channel::<PoolBox<'_, Counted, _>>();
    thread::scope(|threads| {
        for thread in 0..2 {
            let (pool, count, send) = (&pool, &count, send.clone());
            threads.spawn(move || {
                for n in 0..5000 {
                    send.send(pool.insert(Counted::new(count, n + thread))).unwrap();
                }
            });
        }
        drop(send);
        let mut kept = Vec::new();
        for (n, value) in receive.iter().enumerate() {
            if n % 100 == 0 { kept.push(value) } else { drop(value) }
        }
        assert_eq!((kept.len(), pool.len(), count.load(Ordering::Relaxed)), (100, 100, 100));
        let sum: usize = kept
            .into_iter()
            .map(PoolBox::into_raw)
            .map(|value| {
                // SAFETY: from a box of this pool, just now.
                unsafe { pool.from_raw(value) }.1
            })
            .sum();
        assert!(sum > 0);
    });
    assert_eq!((pool.len(), count.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn boxes_are_shared_by_threads() {
    let pool = SharedObjectPool::new(OsPages::new());
    let numbers = pool.insert([1, 2, 3]);
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| assert_eq!(numbers.iter().sum::<i32>(), 6));
        }
    });
}

#[test]
fn a_full_pool_gives_the_value_back() {
    let mut bytes = [MaybeUninit::uninit(); 4096];
    let pool = SharedObjectPool::new(Buffer::new(&mut bytes));
    let mut values = Vec::new();
    let refused = loop {
        match pool.try_insert([values.len(); 7]) {
            Ok(value) => values.push(value),
            Err(value) => break value,
        }
    };
    assert_eq!(
        (refused, pool.len(), pool.capacity()),
        ([values.len(); 7], values.len(), values.len())
    );
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.insert([0; 7])))).is_err());
    assert!(values.iter().enumerate().all(|(n, value)| **value == [n; 7]));
    values.pop();
    assert!(pool.try_insert([9; 7]).is_ok());
}

#[test]
fn values_of_every_size_and_alignment_have_their_place() {
    #[repr(align(1024))]
    struct Aligned(u8);
    #[repr(align(16384))]
    struct BeyondAClass([u8; 20_000]);
    struct Empty;
    let pool = SharedObjectPool::new(OsPages::new());
    let values: Vec<_> = (0..100).map(|n| pool.insert(Aligned(n))).collect();
    for (n, value) in values.iter().enumerate() {
        assert_eq!((usize::from(value.0), (&raw const **value).addr() % 1024), (n, 0));
    }
    let pool = SharedObjectPool::new(OsPages::new());
    let values: Vec<_> = (0..5).map(|n| pool.insert_with(|| BeyondAClass([n; 20_000]))).collect();
    for (n, value) in values.iter().enumerate() {
        assert_eq!((usize::from(value.0[9]), (&raw const **value).addr() % 16384), (n, 0));
    }
    assert_eq!(pool.len(), 5);
    let pool = SharedObjectPool::new(OsPages::new());
    let values: Vec<_> = (0..5).map(|_| pool.insert(Empty)).collect();
    drop(values);
    assert_eq!((pool.len(), pool.bytes_held()), (0, 0));
}

#[test]
fn a_value_whose_making_or_drop_unwinds_leaves_its_place_free() {
    struct Bomb(#[allow(dead_code, reason = "so that it has a size")] u64);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a drop that unwinds");
        }
    }
    let pool = SharedObjectPool::new(OsPages::new());
    let bomb = pool.insert(Bomb(1));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(bomb))).is_err());
    let make = || pool.insert_with(|| panic!("no value"));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(make()))).is_err());
    assert!(pool.is_empty());
}

#[test]
fn trim_keeps_the_values_that_are_pointers_now() {
    let mut pool = SharedObjectPool::new(OsPages::new());
    let mut handles: Vec<_> =
        (0..20_000_u64).map(|n| PoolBox::into_raw(pool.insert([n; 8]))).collect();
    let full = pool.bytes_held();
    let kept: Vec<_> = handles.drain(..10).collect();
    // SAFETY: from boxes of this pool, each made a box once.
    handles.into_iter().for_each(|handle| drop(unsafe { pool.from_raw(handle) }));
    pool.trim();
    assert!(pool.bytes_held() < full / 2 && pool.len() == 10);
    for (n, handle) in kept.into_iter().enumerate() {
        // SAFETY: as above.
        assert_eq!(*unsafe { pool.from_raw(handle) }, [n as u64; 8]);
    }
    pool.trim();
    assert_eq!((pool.len(), pool.bytes_held()), (0, 0));
}
