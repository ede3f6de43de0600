//! Every interleaving of [`Occupancy`]: searches against puts, and the chunk's holder.
//!
//! Goal: a free block has its flag set once all calls are done, so that a search finds it; a chunk
//! with a free block has exactly one holder; a holder sees what the one before it did.
//!
//! Method: as in `loom_word.rs`; what only the holder may touch is a `loom` cell.

#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::facade::{cell::UnsafeCell, thread};
use allotrope_sync::{Occupancy, Summary, Word};

/// A chunk of two rows: five words.
struct Chunk {
    summary: Summary,
    words: [Word; 5],
    holders: UnsafeCell<u32>,
}

impl Chunk {
    /// A chunk that is held, with these blocks free in the first and the last word.
    fn new(first: u32, last: u32) -> Arc<Self> {
        let words = [first, 0, 0, 0, last].map(Word::new);
        Arc::new(Self { summary: Summary::held(5), words, holders: UnsafeCell::new(0) })
    }

    fn occupancy(&self) -> Occupancy<'_> {
        Occupancy::new(&self.summary, &self.words)
    }

    /// Does what only the holder may.
    fn hold(&self) {
        // SAFETY: the caller holds the chunk; `loom` checks that nobody else does.
        self.holders.with_mut(|holders| unsafe { *holders += 1 });
    }
}

#[test]
fn a_search_against_a_put_leaves_no_free_block_without_a_flag() {
    loom::model(|| {
        let chunk = Chunk::new(0, 0);
        let other = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || chunk.occupancy().put(0, 0b10))
        };
        let found = chunk.occupancy().take();
        assert!(!other.join().unwrap(), "the chunk is held all the time");
        assert_eq!(found.or_else(|| chunk.occupancy().take()), Some((0, 1)));
        assert_eq!(chunk.occupancy().take(), None);
        assert_eq!(chunk.occupancy().state(), (true, false));
    });
}

#[test]
fn two_searches_against_a_put_leave_no_free_block_without_a_flag() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let chunk = Chunk::new(0, 0);
        let searcher = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || chunk.occupancy().take())
        };
        let putter = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || _ = chunk.occupancy().put(4, 0b1))
        };
        let mine = chunk.occupancy().take_many(0, 3);
        putter.join().unwrap();
        let others = searcher.join().unwrap();
        let left = chunk.occupancy().take();
        let found = [mine.map(|(word, _)| word), others.map(|_| 4), left.map(|(word, _)| word)];
        assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), [4]);
    });
}

#[test]
fn puts_into_several_words_are_all_found() {
    loom::model(|| {
        let chunk = Chunk::new(0, 0);
        assert_eq!(chunk.occupancy().take(), None);
        let other = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || _ = chunk.occupancy().put(1, 0b1))
        };
        let _ = chunk.occupancy().put(4, 0b1);
        other.join().unwrap();
        assert_eq!(chunk.occupancy().take(), Some((1, 0)));
        assert_eq!(chunk.occupancy().take(), Some((4, 0)));
        assert_eq!(chunk.occupancy().take(), None);
    });
}

#[test]
fn a_chunk_that_is_given_up_has_one_holder_again_after_a_put() {
    loom::model(|| {
        let chunk = Chunk::new(0, 0);
        let put = |chunk: &Chunk, word| {
            let holds = chunk.occupancy().put(word, 0b1);
            if holds {
                chunk.hold();
            }
            holds
        };
        let other = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || put(&chunk, 0))
        };
        chunk.hold();
        let mut holders = 0;
        if chunk.occupancy().take().is_none() && chunk.occupancy().give_up() {
            holders += u32::from(put(&chunk, 4));
        } else {
            chunk.hold();
            holders += 1;
        }
        holders += u32::from(other.join().unwrap());
        assert_eq!((holders, chunk.occupancy().state()), (1, (true, true)));
    });
}

#[test]
fn a_new_holder_sees_what_the_last_one_did() {
    loom::model(|| {
        let chunk = Chunk::new(0, 0);
        assert_eq!(chunk.occupancy().take(), None);
        let other = {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || {
                let holds = chunk.occupancy().put(0, 0b1);
                if holds {
                    chunk.hold();
                }
                holds
            })
        };
        chunk.hold();
        let gave_up = chunk.occupancy().give_up();
        assert_eq!(other.join().unwrap(), gave_up);
    });
}
