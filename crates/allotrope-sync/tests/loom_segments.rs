//! Every interleaving of [`Segments`] and its [`Runs`](allotrope_sync::Runs).
//!
//! Goal: no frame has two owners; whoever claims one sees what its last owner did, and where its
//! segment starts; a free frame is found; a segment goes only while nobody owns a frame of it.
//!
//! Method: `loom` runs each model once per interleaving. What lies in a frame, and a segment's
//! base, are `loom` cells, so an access without a happens-before edge panics.

#![cfg(loom)]

use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_sync::facade::{cell::UnsafeCell, thread};
use allotrope_sync::{Run, Segments};

const FRAMES: usize = Segments::<1, 1>::FRAMES;

/// Memory for segments to start in: their bases are told apart by their addresses.
static MEMORY: [u8; 4] = [0; 4];

fn memory(at: usize) -> NonNull<u8> {
    NonNull::from_ref(&MEMORY[at])
}

/// Segments, and something in the first frames of the first.
struct Watched<const COUNT: usize, const WORDS: usize> {
    segments: Segments<COUNT, WORDS>,
    contents: [UnsafeCell<u32>; 3],
}

impl<const COUNT: usize, const WORDS: usize> Watched<COUNT, WORDS> {
    /// One segment, of which the frames from `first` on are free and no others.
    fn with_free(first: usize, count: usize) -> Arc<Self> {
        let segments = Segments::new();
        let all = Segments::<COUNT, WORDS>::FRAMES;
        segments.add(all, |number| Some(memory(number))).unwrap();
        // SAFETY: all frames are ours, since `add`.
        unsafe { segments.release(0, first, count) };
        let contents = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Self { segments, contents })
    }

    /// Uses `count` frames, as only their owner does; `first` is the first that there ever are.
    fn touch(&self, first: usize, frame: usize, count: usize) {
        for content in &self.contents[frame - first..frame - first + count] {
            // SAFETY: whoever calls this owns the frame; `loom` checks that this is so.
            content.with_mut(|content| unsafe { *content += 1 });
        }
    }
}

#[test]
fn two_claims_share_no_frame_and_see_what_was_there() {
    loom::model(|| {
        let watched = Watched::<1, 1>::with_free(0, 2);
        let turn = |watched: &Watched<1, 1>| {
            let run = watched.segments.claim(1).expect("there is a frame for each");
            watched.touch(0, run.frame, 1);
            // SAFETY: claimed just above.
            unsafe { watched.segments.release(0, run.frame, 1) };
        };
        let other = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || turn(&watched))
        };
        turn(&watched);
        other.join().unwrap();
        assert_eq!(watched.segments.claim(2).map(|run| run.frame), Some(0));
        watched.touch(0, 0, 2);
    });
}

/// Three frames around the border of two words; one thread wants two of them, one wants one.
#[test]
fn a_run_that_crosses_words_is_claimed_whole_or_not_at_all() {
    const FIRST: usize = usize::BITS as usize - 1;
    loom::model(|| {
        let watched = Watched::<1, 2>::with_free(FIRST, 2);
        let other = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                let run = watched.segments.claim(2)?;
                watched.touch(FIRST, run.frame, 2);
                // SAFETY: claimed just above.
                unsafe { watched.segments.release(0, run.frame, 2) };
                Some(run.frame)
            })
        };
        if watched.segments.claim_at(0, FIRST + 1, 1) {
            watched.touch(FIRST, FIRST + 1, 1);
            // SAFETY: claimed just above.
            unsafe { watched.segments.release(0, FIRST + 1, 1) };
        }
        assert!(matches!(other.join().unwrap(), None | Some(FIRST)));
        assert_eq!(watched.segments.claim(2).map(|run| run.frame), Some(FIRST));
        watched.touch(FIRST, FIRST, 2);
    });
}

/// A claim of two frames meets a used one, after the segment seemed full to whoever uses that.
#[test]
fn a_segment_that_was_full_while_a_claim_was_undone_is_forgotten() {
    const FIRST: usize = usize::BITS as usize - 1;
    loom::model(|| {
        let watched = Watched::<1, 2>::with_free(FIRST, 2);
        let other = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || watched.segments.claim(2))
        };
        let is_mine = watched.segments.claim_at(0, FIRST + 1, 1);
        let theirs = other.join().unwrap();
        assert!(is_mine != theirs.is_some());
        assert!(
            theirs.is_some() || watched.segments.claim(1).is_some(),
            "a free frame is forgotten"
        );
    });
}

#[test]
fn a_frame_that_comes_back_while_the_segment_fills_up_is_found() {
    loom::model(|| {
        let watched = Watched::<1, 1>::with_free(0, 1);
        let releaser = {
            let watched = Arc::clone(&watched);
            // SAFETY: the frame is one of those that `with_free` did not release.
            thread::spawn(move || unsafe { watched.segments.release(0, 1, 1) })
        };
        // Claims the last frame that is free, or one of two.
        assert!(watched.segments.claim(1).is_some());
        releaser.join().unwrap();
        assert!(watched.segments.claim(1).is_some(), "a free frame is forgotten");
    });
}

#[test]
fn whoever_claims_a_frame_of_a_new_segment_knows_where_it_starts() {
    loom::model(|| {
        let segments = Arc::new(Segments::<2, 1>::new());
        let other = {
            let segments = Arc::clone(&segments);
            thread::spawn(move || segments.claim(1))
        };
        let mine = segments.add(1, |number| Some(memory(number))).unwrap();
        let theirs = other.join().unwrap();
        assert!(theirs.is_none_or(|run| run == Run { frame: 1, ..mine }));
    });
}

/// A new segment's first word is full again before its second word is seen to have free frames.
#[test]
fn a_new_segment_whose_first_frames_are_claimed_at_once_stays_open() {
    const FIRST: usize = usize::BITS as usize - 1;
    loom::model(|| {
        let segments = Arc::new(Segments::<1, 2>::new());
        let other = {
            let segments = Arc::clone(&segments);
            thread::spawn(move || segments.claim(1))
        };
        segments.add(FIRST, |number| Some(memory(number))).unwrap();
        let theirs = other.join().unwrap();
        assert!(theirs.is_none_or(|run| run.frame >= FIRST));
        assert!(segments.claim(FIRST).is_some(), "a free frame is forgotten");
    });
}

#[test]
fn two_threads_make_two_segments() {
    loom::model(|| {
        let segments = Arc::new(Segments::<2, 1>::new());
        let other = {
            let segments = Arc::clone(&segments);
            thread::spawn(move || segments.add(1, |number| Some(memory(number))).unwrap())
        };
        let mine = segments.add(1, |number| Some(memory(number))).unwrap();
        let theirs = other.join().unwrap();
        assert!(mine.segment != theirs.segment && mine.base != theirs.base);
        assert!(segments.is_full());
    });
}

/// One thread takes the segment away while another wants a frame of it.
#[test]
fn a_segment_goes_only_while_nobody_owns_a_frame() {
    loom::model(|| {
        let watched = Watched::<1, 1>::with_free(0, FRAMES);
        let remover = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                watched.segments.remove(0, |base| {
                    assert_eq!(base, memory(0));
                    watched.touch(0, 0, 1);
                    true
                })
            })
        };
        let mine = watched.segments.claim(1);
        if let Some(run) = mine {
            watched.touch(0, run.frame, 1);
        }
        let is_gone = remover.join().unwrap();
        assert!(is_gone != mine.is_some() || !is_gone);
        assert!(mine.is_some() || is_gone || watched.segments.claim(1).is_some());
    });
}

/// A place is vacated by one thread and taken by another, which writes another base into it.
#[test]
fn a_place_that_is_taken_again_has_the_new_base() {
    loom::model(|| {
        let watched = Watched::<1, 1>::with_free(0, FRAMES);
        let other = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                let added = watched.segments.add(1, |_| Some(memory(1)));
                (added, watched.segments.claim(1))
            })
        };
        let is_gone = watched.segments.remove(0, |base| base == memory(0));
        let (added, claimed) = other.join().unwrap();
        match (added, claimed) {
            (Some(run), Some(next)) => {
                assert!(is_gone);
                assert_eq!((run.base, next.base, next.frame), (memory(1), memory(1), 1));
            }
            (None, Some(run)) => assert!(!is_gone && run.base == memory(0)),
            (None, None) => {}
            (Some(_), None) => panic!("a free frame is forgotten"),
        }
    });
}

/// A removal that is refused, while another thread has come too late for a frame.
#[test]
fn a_segment_that_cannot_go_is_found_again() {
    loom::model(|| {
        let watched = Watched::<1, 1>::with_free(0, FRAMES);
        let other = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || watched.segments.claim(1))
        };
        assert!(!watched.segments.remove(0, |_| false));
        let theirs = other.join().unwrap();
        let mine = watched.segments.claim(1);
        assert!(mine.is_some() && mine != theirs, "a free frame is forgotten");
    });
}
