//! `allotrope-sync`, from code that is not `unsafe`: it has the structures, and promises that it does
//! not keep may give it wrong numbers, and nothing worse.

#![forbid(unsafe_code)]

use std::ptr::NonNull;

#[allow(unused_imports, reason = "a module of documentation each")]
use allotrope_sync::chapters::{
    growth, occupancy, ownership, segments, side_table, spin_lock, stacks,
};
use allotrope_sync::facade::{array_of, atomic, cell, const_fn, constant, hint, process_wide};
use allotrope_sync::fatal::{self, AbortOnUnwind, no_unwinding, promised};
use allotrope_sync::slots::{self, Claim, Orphan, Registry, Slot};
use allotrope_sync::{
    Growing, Growth, Kept, Links, NO_ID, Occupancy, PushList, Run, Runs, Segments, SharedBudget,
    SideTable, SpinLock, Summary, TaggedStack, Taken, Word, inside,
};

const_fn! {
    /// A function by the facade's macro.
    fn seven() -> usize {
        constant!(7)
    }
}

process_wide! {
    /// A static by the facade's macro.
    static NUMBERS: [atomic::AtomicUsize; 2] = array_of!(atomic::AtomicUsize::new(seven()));
}

#[test]
fn the_facade() {
    assert_eq!(NUMBERS[1].load(atomic::Ordering::Relaxed), 7);
    let cell = cell::UnsafeCell::new(1);
    assert!(cell.with(|place| !place.is_null()) && cell.with_mut(|place| !place.is_null()));
    hint::spin_loop();
}

#[test]
fn words_and_summaries() {
    let words = [Word::new(0b110), Word::new(0)];
    let summary = Summary::held(words.len());
    let occupancy = Occupancy::new(&summary, &words);
    assert_eq!((occupancy.take(), occupancy.take_after(0)), (Some((0, 1)), Some((0, 2))));
    assert_eq!((occupancy.take_many(0, 3), occupancy.give_up()), (None, true));
    assert!(occupancy.put(1, 0b1) && !occupancy.raise(0));
    assert_eq!(
        (occupancy.state(), occupancy.is_raised(0), occupancy.free()),
        ((true, true), true, 1)
    );
    assert_eq!(occupancy.words()[1].look(), (1, 1));
    assert_eq!((words[1].take_many(2), words[1].put(1), words[1].free()), (1, true, 1));
    assert_eq!(words[1].take(), Some(0));
    assert_eq!(Occupancy::MAX_WORDS * Word::BLOCKS, 4096);
    assert!(format!("{:?}", Summary::of(&words)).contains("Summary"));
}

/// What stacks and lists can do; nobody implements `Links` without `unsafe`.
#[expect(dead_code, reason = "named, and not called")]
fn stacks_and_lists(links: &impl Links, id: u32) {
    let (mut stack, mut list) = (TaggedStack::new(), PushList::new());
    stack.push(id, links);
    let popped = (stack.iter(links).count(), stack.pop(links));
    list.push(id, links);
    assert_eq!((popped, list.iter(links).next()), ((1, Some(id)), Some(id)));
    assert_eq!(links.link(id).load(atomic::Ordering::Relaxed), NO_ID);
    stack.clear();
    list.clear();
}

#[test]
fn counts_and_places() {
    let growth = Growth::new();
    let growing: Growing<'_> = growth.begin();
    assert!(growth.is_under_way());
    drop(growing);
    let kept = Kept::<1>::new();
    let place = NonNull::from(&7_u8);
    assert!(kept.put(place) && !kept.put(place));
    assert_eq!((kept.take(), kept.take()), (Some(place), None));
    let budget = SharedBudget::new(5);
    assert!(budget.take(5) && !budget.take(1));
    budget.give_back(6);
    budget.set_limit(10);
    assert_eq!((budget.used(), budget.limit()), (usize::MAX, 10));
    let lock = lock_api::Mutex::<SpinLock, _>::from_raw(SpinLock::new(), 3);
    assert_eq!(*lock.lock(), 3);
}

#[test]
fn a_side_table_without_memory_has_room_for_nothing() {
    let mut table = SideTable::<String>::new();
    assert_eq!(table.insert(4096, "value".into()), Err("value".into()));
    let taken: Option<(String, Taken<'_, String, 8>)> = table.take(4096);
    if let Some((value, entry)) = taken {
        entry.put_back(0, value);
    }
    if let Some((_, entry)) = table.take(1) {
        entry.vacate();
    }
    assert!(table.is_empty());
    assert_eq!((table.len(), table.bytes_held()), (0, 0));
    assert!(table.next_level_size() >= SideTable::<String>::least_level_size());
    table.drain(|_, _| unreachable!());
    assert_eq!(table.take_empty_level(), None);
}

#[test]
fn slots_of_threads() {
    let registry = Registry::<1>::new();
    let claim: Claim<'_, 1> = registry.claim().unwrap();
    assert_eq!((claim.index(), registry.claim_vacant(0).is_none(), registry.used()), (0, true, 1));
    drop(claim);
    registry.drain(|slot| assert_eq!(slot, 0));
    let orphan: Orphan<'_> = registry.lock_orphan();
    drop(orphan);
    let index = slots::with(|slot| match slot {
        Slot::Owned(index) => index,
        Slot::Orphan => slots::CAPACITY,
    });
    assert_eq!(
        (slots::current(), slots::known(), slots::hint()),
        (Slot::Owned(index), index, index)
    );
    slots::drain(|slot| assert_ne!(slot, index));
}

/// Nobody who releases frames does so without `unsafe`, so a frame stays whose it is.
#[test]
fn segments_of_frames() {
    let byte = 7_u8;
    let segments = Segments::<2, 1>::new();
    let map = |_| Some(NonNull::from_ref(&byte));
    let run: Run = segments.add(3, map).unwrap();
    assert_eq!((run.segment, run.frame, segments.made(), segments.is_full()), (0, 0, 1, false));
    let all = Segments::<2, 1>::FRAMES;
    assert!(segments.claim_at(0, 3, 2) && !segments.claim_at(0, all, 1));
    assert_eq!(segments.claim(1).map(|run| run.frame), Some(5));
    assert!(!segments.remove(0, |_| true));

    let runs = Runs::<1>::default();
    runs.release(0, 4);
    assert_eq!((runs.claim(3, || ()), runs.claim_at(4, 1, || ())), (Some(0), false));
    assert!(!runs.is_empty() && !runs.is_full());
}

#[test]
fn what_ends_the_program() {
    promised!(true, "a promise that is kept", 0);
    assert_eq!(no_unwinding(|| 7) + inside::once(&7, || 7), 14);
    std::mem::forget(AbortOnUnwind);
    // Named, and not called.
    let _ = (fatal::abort, fatal::misuse);
}

/// Nothing but who owns a frame reads where its segment starts.
#[test]
fn segments_without_their_frames() {
    const FRAMES: usize = Segments::<1, 1>::FRAMES;
    static BYTES: [u8; 2] = [0; 2];
    let segments = Segments::<1, 1>::new();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..50 {
                assert_eq!((segments.claim(0), segments.claim(FRAMES + 1)), (None, None));
                _ = (segments.claim(1), segments.claim_at(0, 1, 0));
            }
        });
        for turn in 0..50 {
            let run: Option<Run> = segments.add(1, |_| Some(NonNull::from(&BYTES[turn % 2])));
            assert!(run.is_none_or(|run| run.segment == 0 && run.frame == 0));
            assert!(!segments.remove(0, |_| unreachable!("a frame is in use")));
        }
    });
    assert_eq!((segments.made(), segments.is_full()), (1, true));
}
