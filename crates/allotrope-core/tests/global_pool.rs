//! A pool over pages as this program's global allocator.

use std::collections::{BTreeMap, HashMap};
use std::thread;

use allotrope_core::{OsPages, Pool};

#[global_allocator]
static POOL: Pool<OsPages> = Pool::new(OsPages::new());

#[test]
fn std_collections_live_in_it() {
    let before = POOL.bytes_used();
    let words: HashMap<String, Vec<u32>> =
        (0..1000).map(|n| (format!("word {}", n % 100), vec![n; n as usize % 4000])).collect();
    let sorted: BTreeMap<_, _> = words.iter().collect();
    assert_eq!((words.len(), sorted.len()), (100, 100));
    assert!(POOL.bytes_used() > before);
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
                    lists.into_iter().flatten().sum::<usize>()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 5000 * 4999 / 2);
        }
    }
}

#[test]
fn blocks_that_change_hands_keep_their_contents() {
    let text: Vec<String> = (0..1000).map(|n| n.to_string().repeat(n % 50)).collect();
    let text = thread::spawn(move || {
        let mut text = text;
        text.retain(|word| word.len() % 3 > 0);
        text
    });
    assert!(text.join().unwrap().iter().all(|word| word.bytes().all(|b| b.is_ascii_digit())));
}
