//! Containers over every heap that the facade names.
//!
//! Goal: a heap that a container cannot live in, or memory that is still used when all containers
//! are gone.
//!
//! Method: each container grows, shrinks, is cloned and dropped, by reference and by value; the
//! heap has to be empty afterwards, with its invariants whole.

use std::mem::MaybeUninit;

use allotrope::prelude::*;
use allotrope::{Policy, Upstream};

const SIZE: usize = 1 << 20;

/// Runs the same check in every heap.
macro_rules! in_every_heap {
    ($check:ident) => {
        let mut bytes = std::vec![MaybeUninit::uninit(); SIZE];
        in_heap!($check, BufferHeap: Buffer::new(&mut bytes));
        in_heap!($check, SharedBufferHeap: Buffer::new(&mut bytes));
        in_heap!($check, UpstreamHeap: Upstream::new(Global));
        in_heap!($check, SharedUpstreamHeap: Upstream::new(Global));
        #[cfg(all(feature = "os-pages", any(target_os = "linux", target_vendor = "apple", target_os = "freebsd", windows, all(target_arch = "wasm32", not(unix)))))]
        {
            in_heap!($check, PageHeap: allotrope::OsPages::new());
            in_heap!($check, SharedPageHeap: allotrope::OsPages::new());
        }
    };
}

macro_rules! in_heap {
    ($check:ident, $heap:ident: $source:expr) => {{
        let heap = $heap::new(BestFit::new($source));
        $check(&heap);
        is_empty(heap.bytes_used(), heap.check_invariants());
    }};
}

#[track_caller]
fn is_empty(bytes_used: usize, invariants: Result<(), allotrope::Broken>) {
    assert_eq!((bytes_used, invariants), (0, Ok(())));
}

#[test]
fn vectors_grow_shrink_and_are_cloned() {
    fn check(heap: impl Allocator + Copy) {
        let mut rows: Vec<Vec<u32, _>, _> = Vec::new_in(heap);
        for row in 0..50 {
            let mut numbers = Vec::new_in(heap);
            (0..row * 7).for_each(|number| numbers.push(number));
            rows.push(numbers);
        }
        let copy = rows.clone();
        rows.retain(|row| row.len() % 2 == 0);
        for row in &mut rows {
            row.truncate(row.len() / 2);
            row.shrink_to_fit();
        }
        rows.shrink_to_fit();
        assert!(copy.iter().enumerate().all(|(n, row)| row.iter().copied().eq(0..n as u32 * 7)));
        assert!(rows.iter().all(|row| row.iter().copied().eq(0..row.len() as u32)));
        let boxed = rows.into_boxed_slice();
        assert_eq!(boxed.len(), 25);
    }
    in_every_heap!(check);
}

#[test]
fn hash_tables_grow_shrink_and_are_cloned() {
    fn check(heap: impl Allocator + Copy) {
        let mut squares = HashMap::new_in(heap);
        let mut even = HashSet::new_in(heap);
        for number in 0..2000_u64 {
            squares.insert(number, Box::new_in(number * number, heap));
            if number % 2 == 0 {
                even.insert(number);
            }
        }
        let (all, all_even) = (squares.clone(), even.clone());
        squares.retain(|number, _| even.contains(number) && *number < 100);
        squares.shrink_to_fit();
        even.retain(|number| *number < 100);
        even.shrink_to_fit();
        assert_eq!((squares.len(), even.len()), (50, 50));
        assert!((0..2000).all(|number| *all[&number] == number * number));
        assert_eq!((all.len(), all_even.len()), (2000, 1000));
    }
    in_every_heap!(check);
}

#[test]
fn any_hasher_will_do() {
    fn check(heap: impl Allocator + Copy) {
        let mut counts = HashMap::with_hasher_in(std::hash::RandomState::new(), heap);
        for word in ["one", "two", "one"] {
            *counts.entry(word).or_insert(0) += 1;
        }
        assert_eq!((counts["one"], counts["two"]), (2, 1));
    }
    in_every_heap!(check);
}

#[test]
fn boxes_honour_alignment_and_drop_their_values() {
    #[repr(align(64))]
    struct Line(std::rc::Rc<()>);

    fn check(heap: impl Allocator + Copy) {
        let alive = std::rc::Rc::new(());
        let mut lines = Vec::new_in(heap);
        for _ in 0..100 {
            lines.push(Box::new_in(Line(alive.clone()), heap));
        }
        assert!(lines.iter().all(|line| (&raw const **line).addr() % 64 == 0));
        assert!(lines.iter().all(|line| std::rc::Rc::ptr_eq(&line.0, &alive)));
        drop(lines);
        assert_eq!(std::rc::Rc::strong_count(&alive), 1);
    }
    in_every_heap!(check);
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let mut bytes = [const { MaybeUninit::uninit() }; 1024];
    let heap = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
    let mut numbers: Vec<u64, _> = Vec::new_in(&heap);
    numbers.push(7);
    let used = heap.bytes_used();
    let mut table: HashMap<u64, u64, _, _> = HashMap::new_in(&heap);
    assert!(numbers.try_reserve(1000).is_err());
    assert!(table.try_reserve(1000).is_err());
    assert!(Box::try_new_in([0_u8; 2000], &heap).is_err());
    assert_eq!((heap.bytes_used(), numbers.as_slice()), (used, &[7][..]));
}

#[test]
fn a_container_owns_its_heap() {
    fn squares() -> Vec<u64, UpstreamHeap<Global>> {
        let mut squares = Vec::new_in(UpstreamHeap::new(BestFit::new(Upstream::new(Global))));
        (0..1000).for_each(|number| squares.push(number * number));
        squares
    }
    let mut moved = [squares(), squares()];
    moved.swap(0, 1);
    let [mut first, second] = moved;
    first.extend(second);
    assert_eq!((first[999], first[1999]), (998_001, 998_001));
    assert!(first.allocator().bytes_used() >= 16_000);

    let mut table = HashMap::new_in(UpstreamHeap::new(BestFit::new(Upstream::new(Global))));
    table.extend((0..1000).map(|number| (number, number + 1)));
    let table = std::boxed::Box::new(table);
    assert_eq!((table[&999], table.len()), (1000, 1000));
}

#[test]
fn a_heap_moves_to_another_thread_with_its_blocks() {
    let mut bytes = std::vec![MaybeUninit::uninit(); SIZE];
    let mut numbers = Vec::new_in(BufferHeap::new(BestFit::new(Buffer::new(&mut bytes))));
    numbers.extend(0..100);
    let numbers = std::thread::scope(|threads| {
        let work = move || {
            (100..10_000).for_each(|number| numbers.push(number));
            numbers
        };
        threads.spawn(work).join().unwrap()
    });
    assert!(numbers.iter().copied().eq(0..10_000));
    assert_eq!(numbers.allocator().check_invariants(), Ok(()));
}

#[test]
fn blocks_of_a_shared_heap_are_freed_by_other_threads() {
    let mut bytes = std::vec![MaybeUninit::uninit(); SIZE];
    let heap = SharedBufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
    let made: std::vec::Vec<_> = std::thread::scope(|threads| {
        let make = |number| {
            let heap = &heap;
            move || {
                let mut words = HashMap::new_in(heap);
                words.extend((0..500).map(|n| (n, Box::new_in(n * number, heap))));
                words
            }
        };
        let threads: std::vec::Vec<_> =
            (0..4_u32).map(|number| threads.spawn(make(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, words) in (0..4).zip(&made) {
        assert!((0..500).all(|n| *words[&n] == n * number));
    }
    drop(made);
    is_empty(heap.bytes_used(), heap.check_invariants());
}

#[test]
fn locks_that_sleep_work_as_well() {
    let heap: Locked<_, parking_lot::RawMutex> =
        Locked::with_lock(BestFit::new(Upstream::new(Global)));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut numbers = Vec::new_in(&heap);
                (0..1000).for_each(|number| numbers.push(number));
            });
        }
    });
    is_empty(heap.bytes_used(), heap.check_invariants());
}

#[test]
fn pools_share_a_buffer_and_give_it_back() {
    struct SmallSteps;
    impl Policy for SmallSteps {
        const CHUNK_SIZE: usize = 1024;
        const GROWTH_SIZE: usize = 4096;
    }
    let mut bytes = std::vec![MaybeUninit::uninit(); SIZE];
    let heap = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
    let boxes = Local::new(FixedSize::<32, _, SmallSteps>::with_policy(Upstream::new(&heap)));
    let objects = ObjectPool::<[u64; 3], _, SmallSteps>::with_policy(Upstream::new(&heap));
    let kept: std::vec::Vec<_> =
        (0..1000_u64).map(|n| (Box::new_in([n; 4], &boxes), objects.insert([n; 3]))).collect();
    assert!((0..1000).zip(&kept).all(|(n, (boxed, object))| boxed[3] == n && object[2] == n));
    drop(kept);
    is_empty(boxes.bytes_used(), boxes.check_invariants());
    assert!(objects.is_empty() && heap.bytes_used() > 0);
    drop((boxes, objects));
    is_empty(heap.bytes_used(), heap.check_invariants());
}
