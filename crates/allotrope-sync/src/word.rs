//! A word of occupancy: 32 blocks, one bit each, set while the block is free.
//!
//! Why that is right, and why there is no ABA problem, says [its chapter](crate::chapters::occupancy).
//!
//! ```text
//!  63 ────────────── 32 31 ───────────────── 0
//! │ how often one was  │ 1 0 0 1 1 1 … 0 1 1 │
//! │ put, for scanners  │ │ a free block        │
//! ```
//!
//! Nothing of it lies in the blocks. To take the lowest free block is one compare-and-swap, as is
//! to take all of them; to put any number of them back is one addition, which needs to know
//! nothing of the other bits.
//!
//! # Invariants
//!
//! 1. A bit is set exactly while nobody has its block. Whoever clears it has the block; only who
//!    has the block sets it.
//! 2. The upper half grows by one with every put, and by nothing else.
//!
//! # Orderings
//!
//! A put is `Release` and a take `Acquire`: who takes a block sees what its last user did. All
//! changes are read-modify-writes, so that a take synchronizes with every put since the take
//! before it, whichever of them it reads from.
//!
//! A take is `Release` and [`look`](Word::look) `Acquire`, too, for the sake of scanners, which
//! look for a free block everywhere and want to be certain that there was none. Who finds a word
//! empty sees all that those who emptied it did before: for one, that they put a block elsewhere,
//! where the scanner has looked already. It looks twice, and has missed nothing if no word was
//! put to meanwhile.

use crate::fatal::promised;

use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::const_fn;

/// Which of 32 blocks are free.
#[derive(Debug)]
#[repr(transparent)]
pub struct Word {
    state: AtomicU64,
}

/// What one put adds to the state beside its bits.
const ONE_PUT: u64 = 1 << 32;

impl Word {
    /// How many blocks a word speaks of.
    pub const BLOCKS: usize = 32;

    const_fn! {
        /// A word of which the blocks in `free` are free.
        pub fn new(free: u32) -> Self {
            Self { state: AtomicU64::new(free as u64) }
        }
    }

    /// Takes the lowest free block.
    #[inline(always)]
    pub fn take(&self) -> Option<u32> {
        let mut state = self.state.load(Ordering::Relaxed);
        while state as u32 != 0 {
            match self.state.compare_exchange_weak(
                state,
                state & (state - 1),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(state.trailing_zeros()),
                Err(current) => state = current,
            }
        }
        None
    }

    /// Takes up to `most` free blocks at once, the lowest first; returns which.
    #[inline]
    pub fn take_many(&self, most: usize) -> u32 {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let taken = lowest(state as u32, most);
            if taken == 0 {
                return 0;
            }
            match self.state.compare_exchange_weak(
                state,
                state - taken as u64,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return taken,
                Err(current) => state = current,
            }
        }
    }

    /// Puts `blocks` back, of which the caller has each. Returns whether the word was empty.
    #[inline(always)]
    pub fn put(&self, blocks: u32) -> bool {
        let before = self.state.fetch_add(blocks as u64 + ONE_PUT, Ordering::Release);
        promised!(
            before as u32 & blocks == 0,
            "a block is freed twice, whose flag is at",
            core::ptr::from_ref(self).addr()
        );
        before as u32 == 0
    }

    /// Which blocks are free, as far as this thread can see.
    #[inline]
    pub fn free(&self) -> u32 {
        self.state.load(Ordering::Relaxed) as u32
    }

    /// Which blocks are free, and how often any was put, modulo 2³².
    #[inline]
    pub fn look(&self) -> (u32, u32) {
        let state = self.state.load(Ordering::Acquire);
        (state as u32, (state / ONE_PUT) as u32)
    }
}

/// The lowest `most` bits that are set in `bits`.
#[inline(always)]
const fn lowest(bits: u32, most: usize) -> u32 {
    let surplus = (bits.count_ones() as usize).saturating_sub(most);
    let mut kept = bits;
    let mut n = 0;
    while n < surplus {
        kept &= !(1 << (31 - kept.leading_zeros()));
        n += 1;
    }
    kept
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_lowest_first_until_there_is_none() {
        let word = Word::new(0b1010_0110);
        let taken = [1, 2, 5, 7].map(|_| word.take());
        assert_eq!(taken, [Some(1), Some(2), Some(5), Some(7)]);
        assert_eq!((word.take(), word.take_many(32)), (None, 0));
    }

    #[test]
    fn many_blocks_are_taken_and_put_at_once() {
        let word = Word::new(u32::MAX);
        assert_eq!(word.take_many(3), 0b111);
        assert_eq!(word.take_many(0), 0);
        assert_eq!(word.take_many(64), !0b111);
        assert!(word.put(0b101));
        assert!(!word.put(0b010));
        assert_eq!(word.look(), (0b111, 2));
    }

    #[test]
    fn the_count_of_puts_wraps_around_and_leaves_the_bits_alone() {
        let word = Word { state: AtomicU64::new(u64::MAX - 1) };
        assert!(!word.put(1));
        assert_eq!(word.look(), (u32::MAX, 0));
    }

    #[test]
    fn the_lowest_bits_are_as_many_as_asked_for() {
        for bits in [0, 1, 0xF0F0_1234, u32::MAX] {
            for most in 0..40 {
                let chosen = lowest(bits, most);
                assert_eq!(chosen & !bits, 0);
                assert_eq!(chosen.count_ones(), bits.count_ones().min(most as u32));
                let rest = bits & !chosen;
                assert!(rest == 0 || chosen < 1 << rest.trailing_zeros());
            }
        }
    }
}
