//! A locked best fit over pages as this program's global allocator.

use std::collections::{BTreeMap, HashMap};
use std::thread;

use allotrope_core::{BestFit, Locked, OsPages};

#[global_allocator]
static HEAP: Locked<BestFit<OsPages>> = Locked::new(BestFit::new(OsPages::new()));

#[test]
fn std_collections_live_in_it() {
    let before = HEAP.bytes_used();
    let words: HashMap<String, Vec<u32>> =
        (0..1000).map(|n| (format!("word {}", n % 100), vec![n; n as usize % 40])).collect();
    let sorted: BTreeMap<_, _> = words.iter().collect();
    assert_eq!((words.len(), sorted.len()), (100, 100));
    assert!(HEAP.bytes_used() > before);
    assert_eq!(HEAP.check_invariants(), Ok(()));
}

#[test]
fn threads_come_and_go_in_it() {
    for _ in 0..10 {
        let threads: Vec<_> = (0..4_usize)
            .map(|seed| {
                thread::spawn(move || {
                    let mut lists: Vec<Vec<usize>> = vec![Vec::new(); 50];
                    for n in 0..5000 {
                        lists[(n * (seed + 3)) % 50].push(n);
                    }
                    lists.iter().map(Vec::len).sum::<usize>()
                })
            })
            .collect();
        let sum: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(sum, 20_000);
    }
    assert_eq!(HEAP.check_invariants(), Ok(()));
}

#[test]
fn zeroed_memory_is_zero_after_reuse() {
    for size in [1, 100, 4096, 1 << 20, 8 << 20] {
        let mut dirty = vec![0xAA_u8; size];
        dirty[size / 2] = 1;
        drop(dirty);
        assert!(vec![0_u8; size].iter().all(|&byte| byte == 0), "{size}");
    }
}
