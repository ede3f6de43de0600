//! Runs of frames: which frames of a segment are free, one bit each.
//!
//! ```text
//! word 0 │ 0 0 1 1 … 0 1 1 │ word 1 │ 1 0 0 … │
//!              free run ─▶ ╰──────────╯ may cross words
//! ```
//!
//! A run is claimed word by word, from its first frame on. A claim that meets a used frame gives
//! back what it has claimed so far, so a claim never waits. Others may have taken these frames for
//! used ones meanwhile: so it says that it has done so.
//!
//! # Invariants
//!
//! 1. A bit is set while nobody owns its frame. Whoever clears it owns the frame; only the owner
//!    sets it. So words that are zero, as a new static's memory is, are frames that are all in use.
//!
//! # Orderings
//!
//! A release is `Release` and a claim `Acquire`: whoever claims a frame sees what its last owner
//! did. All changes are read-modify-writes, so a claim synchronizes with every release of its word
//! since the last claim. A claim that is undone has published nothing, so undoing it is `Relaxed`;
//! who has to know of it is told afterwards.

use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{array_of, const_fn};
use crate::fatal::promised;

const BITS: usize = usize::BITS as usize;

/// Which of `WORDS * usize::BITS` frames are free.
#[derive(Debug)]
pub struct Runs<const WORDS: usize> {
    words: [AtomicUsize; WORDS],
}

impl<const WORDS: usize> Runs<WORDS> {
    /// How many frames there are.
    pub const FRAMES: usize = WORDS * BITS;

    const_fn! {
        /// All frames in use.
        pub fn new() -> Self {
            Self { words: array_of!(AtomicUsize::new(0)) }
        }
    }

    /// Claims the first run of `count` free frames; returns its first frame. O(`WORDS`), and again
    /// for each other thread that takes a frame of the run first. Calls `undone` as
    /// [`claim_at`](Self::claim_at) does.
    pub fn claim(&self, count: usize, undone: impl Fn()) -> Option<usize> {
        let mut from = 0;
        loop {
            let start = self.find(from, count)?;
            if self.claim_at(start, count, &undone) {
                return Some(start);
            }
            from = start + 1;
        }
    }

    /// Claims the `count` frames from `start` on, if there are as many and all are free. Calls `undone`
    /// if it had claimed some of them, and has given them back.
    pub fn claim_at(&self, start: usize, count: usize, undone: impl FnOnce()) -> bool {
        if start.checked_add(count).is_none_or(|end| end > Self::FRAMES) {
            return false;
        }
        let claimed = masks(start, count).take_while(|part| self.claim_part(part)).count();
        if claimed == masks(start, count).count() {
            return true;
        }
        for part in masks(start, count).take(claimed) {
            // Relaxed: nothing was done to these frames.
            self.words[part.word].fetch_or(part.mask, Ordering::Relaxed);
        }
        if claimed > 0 {
            undone();
        }
        false
    }

    /// Claims the frames of one word.
    fn claim_part(&self, part: &Part) -> bool {
        let word = &self.words[part.word];
        let mut bits = word.load(Ordering::Relaxed);
        while bits & part.mask == part.mask {
            match word.compare_exchange_weak(
                bits,
                bits & !part.mask,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => bits = now,
            }
        }
        false
    }

    /// Gives back the `count` frames from `start` on, all of which the caller owns.
    pub fn release(&self, start: usize, count: usize) {
        for part in masks(start, count) {
            let before = self.words[part.word].fetch_or(part.mask, Ordering::Release);
            promised!(before & part.mask == 0, "a frame is released twice", start);
        }
    }

    /// Whether every frame is in use, as far as this thread can see.
    pub fn is_full(&self) -> bool {
        self.words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Whether no frame is in use, as far as this thread can see.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| word.load(Ordering::Relaxed) == usize::MAX)
    }

    /// The first run of `count` free frames at or after `from`.
    fn find(&self, from: usize, count: usize) -> Option<usize> {
        let (mut start, mut frame) = (from, from);
        while start + count <= Self::FRAMES {
            let left = BITS - frame % BITS;
            let bits = self.words[frame / BITS].load(Ordering::Relaxed) >> (frame % BITS);
            let free = bits.trailing_ones() as usize;
            frame += free;
            if frame - start >= count {
                return Some(start);
            }
            if free < left {
                // A used frame ends this run; the next one begins after all used frames here.
                frame += ((bits >> free).trailing_zeros() as usize).min(left - free);
                start = frame;
            }
        }
        None
    }
}

impl<const WORDS: usize> Default for Runs<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

/// The frames of a run that lie in one word.
struct Part {
    word: usize,
    mask: usize,
}

/// The parts of a run of frames, in order.
fn masks(start: usize, count: usize) -> impl Iterator<Item = Part> {
    let end = start + count;
    let mut next = start;
    core::iter::from_fn(move || {
        let (word, first) = (next / BITS, next % BITS);
        let size = (end - next).min(BITS - first);
        next += size;
        let mask = usize::MAX.checked_shr((BITS - size) as u32)? << first;
        Some(Part { word, mask })
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn all_free() -> Runs<3> {
        let runs = Runs::new();
        runs.release(0, Runs::<3>::FRAMES);
        runs
    }

    #[test]
    fn runs_are_claimed_lowest_first_until_none_is_long_enough() {
        let runs = all_free();
        assert_eq!(runs.claim(BITS - 1, || ()), Some(0));
        assert_eq!(runs.claim(2, || ()), Some(BITS - 1));
        assert_eq!(runs.claim(2 * BITS, || ()), None);
        assert_eq!(runs.claim(2 * BITS - 1, || ()), Some(BITS + 1));
        assert!(runs.is_full());
        runs.release(5, 7);
        assert_eq!(
            (runs.claim(8, || ()), runs.claim(3, || ()), runs.claim(4, || ())),
            (None, Some(5), Some(8))
        );
    }

    #[test]
    fn a_claim_that_meets_a_used_frame_keeps_nothing() {
        let runs = all_free();
        assert!(runs.claim_at(2 * BITS, 1, || ()));
        assert!(!runs.claim_at(0, 2 * BITS + 1, || ()));
        assert!(runs.claim_at(0, 2 * BITS, || ()));
        assert!(!runs.claim_at(2 * BITS + 1, BITS, || ()) && !runs.claim_at(usize::MAX, 2, || ()));
        runs.release(0, 2 * BITS + 1);
        assert!(runs.is_empty() && runs.claim_at(0, Runs::<3>::FRAMES, || ()));
    }

    /// Against a list of what is used, for every run of a segment with holes here and there.
    #[test]
    fn the_first_run_is_found_wherever_it_lies() {
        let mut state = 7_usize;
        for _ in 0..2000 {
            let runs = all_free();
            let mut used = [false; Runs::<3>::FRAMES];
            for _ in 0..6 {
                state = state.wrapping_mul(0x5851_F42D).wrapping_add(12345);
                let frame = (state >> 8) % used.len();
                if !used[frame] {
                    used[frame] = true;
                    assert!(runs.claim_at(frame, 1, || ()));
                }
            }
            let lengths: Vec<usize> = std::vec![1, 2, BITS - 1, BITS, BITS + 1, 2 * BITS];
            for count in lengths {
                let expected =
                    (0..=used.len() - count).find(|at| !used[*at..at + count].contains(&true));
                assert_eq!(runs.find(0, count), expected);
            }
        }
    }
}
