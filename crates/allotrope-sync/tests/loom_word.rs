//! Every interleaving of [`Word`]: takers against takers, takers against putters, scanners.
//!
//! Goal: no block is lost or had by two at once; who takes a block sees what its last user did; a
//! scanner that looks twice does not miss a block that moves from one word to another.
//!
//! Method: `loom` runs each model once per interleaving. What lies in a block is a `loom` cell, so
//! an access without a happens-before edge panics.

#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::Word;
use allotrope_sync::facade::{cell::UnsafeCell, thread};

/// A word, and something in each of its blocks.
struct Blocks {
    word: Word,
    contents: [UnsafeCell<u32>; 3],
}

impl Blocks {
    fn new(free: u32) -> Arc<Self> {
        let contents = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Self { word: Word::new(free), contents })
    }

    /// Uses a block, as one does that nobody else has.
    fn touch(&self, block: u32) {
        // SAFETY: whoever calls this has taken the block; `loom` checks that this is so.
        self.contents[block as usize].with_mut(|content| unsafe { *content += 1 });
    }

    fn touch_all(&self, blocks: u32) {
        (0..3).filter(|block| blocks >> block & 1 == 1).for_each(|block| self.touch(block));
    }
}

#[test]
fn two_takers_never_share_a_block() {
    loom::model(|| {
        let blocks = Blocks::new(0b11);
        let other = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || blocks.word.take().inspect(|&block| blocks.touch(block)))
        };
        let mine = blocks.word.take().inspect(|&block| blocks.touch(block));
        let others = other.join().unwrap();
        assert!(mine.is_some() && others.is_some() && mine != others);
    });
}

#[test]
fn a_taker_sees_what_the_last_user_did() {
    loom::model(|| {
        let blocks = Blocks::new(0b1);
        let turn = |blocks: &Blocks| {
            if let Some(block) = blocks.word.take() {
                blocks.touch(block);
                blocks.word.put(1 << block);
            }
        };
        let other = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || turn(&blocks))
        };
        turn(&blocks);
        turn(&blocks);
        other.join().unwrap();
        assert_eq!(blocks.word.free(), 0b1);
    });
}

#[test]
fn one_of_two_putters_finds_the_word_empty() {
    loom::model(|| {
        let blocks = Blocks::new(0);
        let other = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                blocks.touch(0);
                blocks.word.put(0b1)
            })
        };
        blocks.touch_all(0b110);
        let mine = blocks.word.put(0b110);
        assert!(mine != other.join().unwrap());
        assert_eq!(blocks.word.look(), (0b111, 2));
    });
}

#[test]
fn a_batch_and_single_calls_share_no_block() {
    loom::model(|| {
        let blocks = Blocks::new(0b111);
        let other = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                let taken = blocks.word.take_many(2);
                blocks.touch_all(taken);
                blocks.word.put(taken);
                taken
            })
        };
        let mine = blocks.word.take().expect("a batch of two leaves one");
        blocks.touch(mine);
        blocks.word.put(1 << mine);
        assert_eq!(other.join().unwrap().count_ones(), 2);
        let rest = blocks.word.take_many(32);
        blocks.touch_all(rest);
        assert_eq!(rest, 0b111);
    });
}

/// One block is always free: now in this word, now in that one.
fn scan_while(moves: fn(&[Word; 2])) {
    loom::model(move || {
        let words = Arc::new([Word::new(0), Word::new(0b1)]);
        let other = {
            let words = Arc::clone(&words);
            thread::spawn(move || moves(&words))
        };
        let mut puts = [0; 2];
        for puts in &mut puts {
            for word in &*words {
                let (free, count) = word.look();
                if free != 0 {
                    return other.join().unwrap();
                }
                *puts += count;
            }
        }
        assert!(puts[0] != puts[1], "a block was free all the time, and nobody found it");
        other.join().unwrap();
    });
}

#[test]
fn a_scanner_does_not_miss_a_block_that_moves() {
    scan_while(|words| {
        words[0].put(0b1);
        assert_eq!(words[1].take(), Some(0));
    });
}

#[test]
fn a_scanner_does_not_miss_a_batch_that_moves() {
    scan_while(|words| {
        words[0].put(0b1);
        assert_eq!(words[1].take_many(8), 0b1);
    });
}
