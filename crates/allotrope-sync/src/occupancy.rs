//! The occupancy of a chunk: words of free blocks, and above them a summary.
//!
//! Why that is right, and why there is no ABA problem, says [its chapter](crate::chapters::occupancy).
//!
//! ```text
//! summary │ raises │ held │ row flags  0 1 0 … 1 │      lies, as the words do, in the chunk's head
//!                                        │     └──────────────┐
//! words   │ 0000 0000 0000 0000 │ 0000 0110 0000 0001 │ … │ 1101 … │
//!           row 0: all taken      row 1
//! ```
//!
//! A *row* is four words. Its flag says that a free block may be in it, so that a search does not
//! read all words. The words are the truth; flags are how it is found quickly.
//!
//! The summary also says whether the chunk is *held*. A chunk with free blocks has one holder: a
//! thread or shard that takes from it, or the list where chunks wait for one. A chunk without any
//! has none, and no list knows it; whoever frees a block in it becomes its holder and puts it into
//! a list. Any thread may take and put blocks whether or not it holds the chunk; to hold it is only
//! to be the one who sees to it that it is found.
//!
//! # Invariants
//!
//! 1. A word with a free block has its row's flag set, or a [`put`](Occupancy::put) that will
//!    set it is under way.
//! 2. A summary with a flag set is held.
//! 3. The chunk passes from holder to holder: by [`give_up`](Occupancy::give_up), then by a `put`
//!    that says so.
//!
//! # Orderings
//!
//! - A raise is `Release` and a search reads the summary with `Acquire`: it sees in the words what
//!   those who raised flags had put there. Else it could read an old, empty word after a new
//!   summary, and clear the flag of a block that nobody would look for again.
//! - To give up is `Release` and a raise `Acquire`: each holder sees what the one before it did.
//! - To clear a flag is `Relaxed`: it says nothing that anyone concludes anything from, and
//!   compares a summary that was read with `Acquire`.

use crate::Word;
use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::const_fn;

/// How many words have a flag in common.
const ROW: usize = 4;

/// How many rows a chunk has at most.
const ROWS: usize = 32;

const HELD: u64 = 1 << ROWS;
const FLAGS: u64 = HELD - 1;
const ONE_RAISE: u64 = HELD << 1;

/// What is known of a chunk's words: which rows may have a free block, and whether somebody holds
/// the chunk.
#[derive(Debug)]
#[repr(transparent)]
pub struct Summary {
    state: AtomicU64,
}

impl Summary {
    const_fn! {
        /// The summary of a chunk of `words` words, any of which may have a free block; its maker
        /// holds it.
        pub fn held(words: usize) -> Self {
            let flags = (1_u64 << words.div_ceil(ROW)) - 1;
            Self { state: AtomicU64::new(HELD | flags) }
        }
    }

    /// The summary that a chunk with these words should have, which nobody else accesses: held,
    /// unless every block is taken.
    pub fn of(words: &[Word]) -> Self {
        let free = words.iter().enumerate().filter(|(_, word)| word.free() != 0);
        let flags = free.fold(0, |flags, (number, _)| flags | 1 << (number / ROW));
        Self { state: AtomicU64::new(if flags == 0 { 0 } else { HELD | flags }) }
    }
}

/// A chunk's summary and words.
#[derive(Clone, Copy, Debug)]
pub struct Occupancy<'a> {
    summary: &'a Summary,
    words: &'a [Word],
}

impl<'a> Occupancy<'a> {
    /// How many words a chunk has at most.
    pub const MAX_WORDS: usize = ROW * ROWS;

    /// The occupancy that `summary` and `words`, at most [`MAX_WORDS`](Self::MAX_WORDS), make up.
    #[inline(always)]
    pub const fn new(summary: &'a Summary, words: &'a [Word]) -> Self {
        debug_assert!(words.len() <= Self::MAX_WORDS);
        Self { summary, words }
    }

    /// Takes a block: the number of its word, and its bit there. `None` if there was none to be
    /// seen, and then no flag is left but those raised meanwhile.
    pub fn take(self) -> Option<(usize, u32)> {
        self.take_after(ROW - 1)
    }

    /// As [`take`](Self::take), beginning in each row behind the place that word `last` has in its
    /// own. Who comes from that word finds more than in the first: it was emptied longest ago.
    pub fn take_after(self, last: usize) -> Option<(usize, u32)> {
        self.search(last, Word::take)
    }

    /// Takes up to `most` blocks of one word: its number, and the blocks' bits. It begins as
    /// [`take_after`](Self::take_after) does.
    pub fn take_many(self, last: usize, most: usize) -> Option<(usize, u32)> {
        if most == 0 {
            return None; // which says nothing of any word
        }
        self.search(last, |word| match word.take_many(most) {
            0 => None,
            taken => Some(taken),
        })
    }

    fn search(self, last: usize, take: impl Fn(&Word) -> Option<u32>) -> Option<(usize, u32)> {
        loop {
            let seen = self.summary.state.load(Ordering::Acquire);
            let flags = seen & FLAGS;
            if flags == 0 {
                return None;
            }
            let row = flags.trailing_zeros() as usize;
            for step in 1..=ROW {
                let number = row * ROW + last.wrapping_add(step) % ROW;
                if let Some(taken) = self.words.get(number).and_then(&take) {
                    return Some((number, taken));
                }
            }
            // If that fails, something was raised, or another search cleared it.
            let cleared = seen & !(1 << row);
            let _ = self.exchange(seen, cleared, Ordering::Relaxed);
        }
    }

    /// Puts blocks of word `word` back, of which the caller has each. Returns whether the caller
    /// holds the chunk now.
    #[inline(always)]
    #[must_use = "a chunk that is held by nobody is not found again"]
    pub fn put(self, word: usize, blocks: u32) -> bool {
        self.words[word].put(blocks) && self.raise(word)
    }

    /// Says that word `word`, which was empty, has a free block. Returns whether the caller holds
    /// the chunk now.
    #[must_use = "a chunk that is held by nobody is not found again"]
    pub fn raise(self, word: usize) -> bool {
        let mut seen = self.summary.state.load(Ordering::Relaxed);
        loop {
            let raised = (seen | HELD | 1 << (word / ROW)).wrapping_add(ONE_RAISE);
            match self.exchange(seen, raised, Ordering::AcqRel) {
                Ok(_) => return seen & HELD == 0,
                Err(current) => seen = current,
            }
        }
    }

    /// The holder holds the chunk no longer, unless it may have a free block: then it returns
    /// false, and the caller still holds it.
    #[must_use = "a chunk that is not given up is still held"]
    pub fn give_up(self) -> bool {
        let mut seen = self.summary.state.load(Ordering::Relaxed);
        loop {
            if seen & FLAGS != 0 {
                return false;
            }
            match self.exchange(seen, seen & !HELD, Ordering::Release) {
                Ok(_) => return true,
                Err(current) => seen = current,
            }
        }
    }

    fn exchange(self, seen: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.summary.state.compare_exchange_weak(seen, new, success, Ordering::Relaxed)
    }

    /// Is the chunk held by anyone, and may it have a free block?
    pub fn state(self) -> (bool, bool) {
        let seen = self.summary.state.load(Ordering::Relaxed);
        (seen & HELD != 0, seen & FLAGS != 0)
    }

    /// Its words.
    pub const fn words(self) -> &'a [Word] {
        self.words
    }

    /// Does the row of word `word` have its flag set?
    pub fn is_raised(self, word: usize) -> bool {
        self.summary.state.load(Ordering::Relaxed) & 1 << (word / ROW) != 0
    }

    /// How many blocks are free.
    pub fn free(self) -> usize {
        self.words.iter().map(|word| word.free().count_ones() as usize).sum()
    }
}
