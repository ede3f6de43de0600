//! Segments: address space that is mapped in large pieces and lent in runs of frames.
//!
//! Why that is right says [its chapter](crate::chapters::segments).
//!
//! ```text
//! Segments │ made: 1 1 0 …         which places have a segment, or are about to have one
//!          │ open: 1 0 0 …         which of them may have a free frame
//!          │ segments: base, free frames │ base, free frames │ vacant │ …
//! ```
//!
//! A place is vacant until a thread makes a segment for it, and again once all of the segment has
//! gone back to the system; its words stay, so no thread ever reads memory that has gone.
//!
//! # Invariants
//!
//! 1. Whoever sets a bit of `made` owns the place, and all frames of its segment, until it opens
//!    the segment or clears the bit.
//! 2. All frames of a place without a segment are in use.
//! 3. `base` is written by the owner of all frames, and read by owners of some.
//! 4. The bit of a segment with a free frame is set in `open`, or somebody who is just claiming or
//!    releasing a frame of it is about to set it. A claim that is undone releases frames.
//!
//! # Orderings
//!
//! | access | ordering | what for |
//! |---|---|---|
//! | to own a place, to leave it | `Acquire`, `Release` | the next owner writes `base` after the last one has read it |
//! | to claim frames, to release them | see [`Runs`] | whoever owns a frame may read `base` |
//! | to set a bit of `open` | `Release` | see the next line |
//! | to clear a bit of `open` | `Acquire` | whoever clears it after a release looks again and sees the released frame |
//! | to read `open`, `made` | `Relaxed` | what is found is claimed, which decides |

use core::mem;
use core::ptr::NonNull;

use crate::Runs;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::cell::UnsafeCell;
use crate::facade::{array_of, const_fn};

/// Up to `COUNT` segments, at most as many as a word has bits, of `WORDS * usize::BITS` frames.
#[derive(Debug)]
pub struct Segments<const COUNT: usize, const WORDS: usize> {
    made: AtomicUsize,
    open: AtomicUsize,
    segments: [Segment<WORDS>; COUNT],
}

#[derive(Debug)]
struct Segment<const WORDS: usize> {
    base: UnsafeCell<Option<NonNull<u8>>>,
    runs: Runs<WORDS>,
}

/// A run of frames that was claimed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// The number of its segment.
    pub segment: usize,
    /// Where the segment starts.
    pub base: NonNull<u8>,
    /// Its first frame, counted from there.
    pub frame: usize,
}

// SAFETY: `base` is a place in memory that belongs to no thread; who may read or write it is
// decided by the atomic words (invariant 3).
unsafe impl<const WORDS: usize> Send for Segment<WORDS> {}

// SAFETY: as above.
unsafe impl<const WORDS: usize> Sync for Segment<WORDS> {}

impl<const COUNT: usize, const WORDS: usize> Segments<COUNT, WORDS> {
    /// How many frames a segment has.
    pub const FRAMES: usize = Runs::<WORDS>::FRAMES;

    /// The bits of all places.
    const ALL: usize = {
        assert!(0 < COUNT && COUNT <= usize::BITS as usize, "a bit for each segment");
        assert!(0 < WORDS, "nobody owns a frame where there is none");
        usize::MAX >> (usize::BITS as usize - COUNT)
    };

    const_fn! {
        /// No segment yet.
        pub fn new() -> Self {
            Self {
                made: AtomicUsize::new(0),
                open: AtomicUsize::new(0),
                segments: array_of!(Segment { base: UnsafeCell::new(None), runs: Runs::new() }),
            }
        }
    }

    /// Claims `count` frames side by side, of a segment that there is; there is no run of none.
    /// O(`COUNT * WORDS`).
    pub fn claim(&self, count: usize) -> Option<Run> {
        if count == 0 {
            // Who owns no frame must not read where its segment starts (invariant 3).
            return None;
        }
        let mut open = self.open.load(Ordering::Relaxed);
        while open != 0 {
            let number = open.trailing_zeros() as usize;
            let segment = &self.segments[number];
            if let Some(frame) = segment.runs.claim(count, || self.open(number)) {
                let base = segment.base.with(|base| {
                    // SAFETY: invariant 3; the frames are ours.
                    unsafe { *base }
                })?;
                self.close_if_full(number);
                return Some(Run { segment: number, base, frame });
            }
            open &= open - 1;
        }
        None
    }

    /// Claims the `count` frames from `frame` on of a segment of which the caller owns a frame.
    pub fn claim_at(&self, segment: usize, frame: usize, count: usize) -> bool {
        let runs = &self.segments[segment].runs;
        let is_claimed = runs.claim_at(frame, count, || self.open(segment));
        if is_claimed {
            self.close_if_full(segment);
        }
        is_claimed
    }

    /// Releases the `count` frames from `frame` on. Returns whether no frame of the segment is in use
    /// then, as far as this thread can see.
    ///
    /// # Safety
    ///
    /// The caller owns these frames, by claims from here, and none of them afterwards: a frame that
    /// has an owner still would be another's, too, and its segment could go.
    ///
    /// ```compile_fail,E0133
    /// let segments = allotrope_sync::Segments::<1, 1>::new();
    /// segments.release(0, 0, 1); // which nobody has claimed
    /// ```
    pub unsafe fn release(&self, segment: usize, frame: usize, count: usize) -> bool {
        self.give_back(segment, frame, count)
    }

    /// As [`release`](Self::release), of frames that are ours.
    fn give_back(&self, segment: usize, frame: usize, count: usize) -> bool {
        let runs = &self.segments[segment].runs;
        runs.release(frame, count);
        self.open(segment);
        runs.is_empty()
    }

    /// Makes a segment, of memory that `map` returns with the number of its place, and claims its
    /// first `count` frames. Returns `None` if there is no vacant place, `map` has no memory, or a
    /// segment has fewer frames. Where `map` unwinds, its place is vacant again.
    pub fn add(&self, count: usize, map: impl FnOnce(usize) -> Option<NonNull<u8>>) -> Option<Run> {
        if count > Self::FRAMES {
            return None;
        }
        let place = Place { segments: self, number: self.own_place()? };
        let (base, number) = (map(place.number)?, place.number);
        mem::forget(place);
        let segment = &self.segments[number];
        segment.base.with_mut(|place| {
            // SAFETY: invariant 3; all frames are ours, with the place (invariant 1).
            unsafe { *place = Some(base) };
        });
        if count < Self::FRAMES {
            segment.runs.release(count, Self::FRAMES - count);
            self.open(number);
        }
        Some(Run { segment: number, base, frame: 0 })
    }

    /// Takes a segment away if none of its frames is in use: `unmap` is told where it starts. If it
    /// returns `false`, the segment stays. Returns whether it is gone. Where `unmap` unwinds, nobody
    /// knows, and no frame of it is claimed again.
    pub fn remove(&self, number: usize, unmap: impl FnOnce(NonNull<u8>) -> bool) -> bool {
        let segment = &self.segments[number];
        if !segment.runs.claim_at(0, Self::FRAMES, || self.open(number)) {
            return false;
        }
        let base = segment.base.with(|base| {
            // SAFETY: invariant 3; all frames are ours.
            unsafe { *base }
        });
        if base.is_some_and(unmap) {
            self.open.fetch_and(!(1 << number), Ordering::Relaxed);
            self.leave_place(number);
            return true;
        }
        self.give_back(number, 0, Self::FRAMES);
        false
    }

    /// Whether every place has a segment, or is about to have one.
    pub fn is_full(&self) -> bool {
        self.made.load(Ordering::Relaxed) == Self::ALL
    }

    /// How many places have a segment, or are about to have one.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed).count_ones() as usize
    }

    fn own_place(&self) -> Option<usize> {
        let mut made = self.made.load(Ordering::Relaxed);
        while made != Self::ALL {
            let bit = !made & (made + 1);
            match self.made.compare_exchange_weak(
                made,
                made | bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(bit.trailing_zeros() as usize),
                Err(now) => made = now,
            }
        }
        None
    }

    /// Leaves a place that has no segment, all frames of which the caller owns.
    fn leave_place(&self, number: usize) {
        self.made.fetch_and(!(1 << number), Ordering::Release);
    }

    /// Sets the bit of a segment in `open`: one of its frames has become free.
    fn open(&self, number: usize) {
        self.open.fetch_or(1 << number, Ordering::Release);
    }

    /// Clears the bit of a segment in `open` if all its frames are in use.
    fn close_if_full(&self, number: usize) {
        let runs = &self.segments[number].runs;
        if runs.is_full() {
            self.open.fetch_and(!(1 << number), Ordering::Acquire);
            if !runs.is_full() {
                // Relaxed: it continues the release sequence of whoever set the bit before.
                self.open.fetch_or(1 << number, Ordering::Relaxed);
            }
        }
    }
}

/// A place that somebody owns, without a segment: vacant again when this is dropped.
struct Place<'a, const COUNT: usize, const WORDS: usize> {
    segments: &'a Segments<COUNT, WORDS>,
    number: usize,
}

impl<const COUNT: usize, const WORDS: usize> Drop for Place<'_, COUNT, WORDS> {
    fn drop(&mut self) {
        self.segments.leave_place(self.number);
    }
}

impl<const COUNT: usize, const WORDS: usize> Default for Segments<COUNT, WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;

    const FRAMES: usize = Segments::<2, 1>::FRAMES;

    fn memory(number: usize) -> Option<NonNull<u8>> {
        static BYTES: [u8; 2] = [0; 2];
        Some(NonNull::from_ref(&BYTES[number]))
    }

    #[test]
    fn segments_are_made_one_by_one_and_found_again_when_a_frame_comes_back() {
        let segments = Segments::<2, 1>::new();
        assert_eq!(segments.claim(1), None);
        let first = segments.add(FRAMES, memory).unwrap();
        assert_eq!((first.segment, first.frame, Some(first.base)), (0, 0, memory(0)));
        assert_eq!(segments.claim(1), None);
        let second = segments.add(1, memory).unwrap();
        assert!(segments.is_full() && segments.add(1, memory).is_none());
        assert_eq!(segments.claim(2), Some(Run { frame: 1, ..second }));
        // SAFETY: the frame was claimed above, as in all that follow.
        assert!(!unsafe { segments.release(0, 5, 1) });
        assert_eq!(segments.claim(1), Some(Run { frame: 5, ..first }));
    }

    #[test]
    fn a_segment_goes_only_when_all_of_it_is_free() {
        let segments = Segments::<2, 1>::new();
        let run = segments.add(3, memory).unwrap();
        // SAFETY: as above.
        assert!(!segments.remove(0, |_| true) && !unsafe { segments.release(0, 0, 2) });
        // SAFETY: as above.
        assert!(unsafe { segments.release(0, 2, 1) });
        assert!(!segments.remove(0, |_| false));
        assert_eq!(segments.claim(1), Some(Run { frame: 0, ..run }));
        // SAFETY: as above.
        assert!(unsafe { segments.release(0, 0, 1) });
        assert!(segments.remove(0, |base| base == run.base));
        assert_eq!((segments.claim(1), segments.made()), (None, 0));
        assert_eq!(segments.add(1, memory), Some(run));
    }

    #[test]
    fn a_place_whose_memory_is_refused_is_vacant_again() {
        let segments = Segments::<1, 1>::new();
        assert_eq!(segments.add(1, |_| None), None);
        assert!(segments.add(1, memory).is_some());
    }

    #[test]
    fn a_run_grows_into_free_frames_only() {
        let segments = Segments::<1, 1>::new();
        segments.add(1, memory).unwrap();
        assert!(segments.claim_at(0, 1, 2) && !segments.claim_at(0, 2, 1));
        assert!(segments.claim_at(0, 3, FRAMES - 3) && !segments.claim_at(0, FRAMES, 1));
        assert_eq!(segments.claim(1), None);
        // SAFETY: as above.
        unsafe { segments.release(0, 7, 1) };
        assert_eq!(segments.claim(1).unwrap().frame, 7);
    }

    #[test]
    fn who_asked_for_no_frame_read_where_a_segment_starts() {
        let segments = Segments::<1, 1>::new();
        segments.add(1, memory).unwrap();
        assert_eq!(segments.claim(0), None);
    }

    #[test]
    fn a_new_segment_was_lent_beyond_its_end() {
        let segments = Segments::<1, 1>::new();
        assert_eq!(segments.add(FRAMES + 1, memory), None);
        assert_eq!(segments.made(), 0);
    }

    #[test]
    fn a_place_was_lost_where_its_memory_unwound() {
        let segments = Segments::<1, 1>::new();
        let add = || segments.add(1, |_| panic!("no memory"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).is_err());
        assert!(segments.add(1, memory).is_some());
    }
}
