//! Every interleaving of [`Kept`]: a put against takes, and takes against each other.
//!
//! Goal: no address is taken twice, and who takes one sees what the putter did there.
//!
//! Method: addresses of cells that `loom` watches.

#![cfg(loom)]

use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_sync::Kept;
use allotrope_sync::facade::{cell::UnsafeCell, thread};

type Payload = UnsafeCell<u32>;

/// A payload's address, and the way back.
fn leak(payload: Payload) -> NonNull<u8> {
    NonNull::from(Box::leak(Box::new(payload))).cast()
}

/// Uses what was taken, as its only owner.
fn value_of(taken: NonNull<u8>) -> u32 {
    // SAFETY: `leak` made it of a box, and it is this thread's alone.
    let payload = unsafe { Box::from_raw(taken.cast::<Payload>().as_ptr()) };
    payload.with_mut(|value| {
        // SAFETY: as above; `loom` checks that the putter's write happened before.
        unsafe {
            *value += 1;
            *value
        }
    })
}

#[test]
fn taker_sees_what_the_putter_did() {
    loom::model(|| {
        let kept = Arc::new(Kept::<2>::new());
        let putter = {
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let payload = Payload::new(0);
                // SAFETY: the payload is this thread's alone.
                payload.with_mut(|value| unsafe { *value = 7 });
                assert!(kept.put(leak(payload)));
            })
        };
        let early = kept.take().map(value_of);
        putter.join().unwrap();
        let late = kept.take().map(value_of);
        assert_eq!(early.or(late), Some(8));
        assert!(early.is_none() || late.is_none());
    });
}

#[test]
fn two_takers_share_nothing() {
    loom::model(|| {
        let kept = Arc::new(Kept::<1>::new());
        assert!(kept.put(leak(Payload::new(7))));
        let other = {
            let kept = Arc::clone(&kept);
            thread::spawn(move || kept.take().map(value_of))
        };
        let mine = kept.take().map(value_of);
        let theirs = other.join().unwrap();
        assert_eq!(mine.or(theirs), Some(8));
        assert!(mine.is_none() || theirs.is_none());
    });
}
