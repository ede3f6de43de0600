//! The store over a platform that refuses calls, one after the other, and counts what is out.

extern crate std;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::thread_local;
use std::vec::Vec;

use super::*;
use crate::source::Contents;

/// A platform of the test's own, a thread each.
#[derive(Debug)]
struct Double;

thread_local! {
    /// What is mapped: where, and how long.
    static MAPPED: RefCell<BTreeMap<*mut u8, usize>> = const { RefCell::new(BTreeMap::new()) };
    /// How many calls are left until one is refused; none is if there is no number.
    static UNTIL_REFUSED: Cell<Option<usize>> = const { Cell::new(None) };
    static NEEDS_COMMIT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this call is the one to be refused.
fn is_refused() -> bool {
    UNTIL_REFUSED.with(|left| match left.get() {
        Some(0) => {
            left.set(None);
            true
        }
        Some(more) => {
            left.set(Some(more - 1));
            false
        }
        None => false,
    })
}

fn mapped() -> usize {
    MAPPED.with_borrow(|mapped| mapped.values().sum())
}

fn map_at(size: usize, align: usize) -> Option<NonNull<u8>> {
    if is_refused() {
        return None;
    }
    let layout = Layout::from_size_align(size, align).ok()?;
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    MAPPED.with_borrow_mut(|mapped| mapped.insert(start.as_ptr(), size));
    Some(start)
}

/// # Safety
///
/// `map_at` returned the range, whole, and nobody uses it.
unsafe fn unmap(start: *mut u8, size: usize) {
    let align = if size == SEGMENT_SIZE { size } else { 4096 };
    // SAFETY: it was allocated with this layout (caller).
    unsafe { dealloc(start, Layout::from_size_align(size, align).unwrap()) };
}

// SAFETY: what `alloc_zeroed` returns is nobody else's until it is released.
unsafe impl Platform for Double {
    fn page_size() -> usize {
        4096
    }

    fn needs_commit() -> bool {
        NEEDS_COMMIT.get()
    }

    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)> {
        Some((map_at(size, 4096)?, Contents::Zero))
    }

    fn reserve_aligned(size: usize) -> Option<NonNull<u8>> {
        map_at(size, size)
    }

    unsafe fn commit(_: NonNull<u8>, _: usize) -> bool {
        !is_refused()
    }

    unsafe fn decommit(start: NonNull<u8>, size: usize) -> Contents {
        if is_refused() {
            return Contents::Unknown;
        }
        // SAFETY: nobody needs what is there (caller).
        unsafe { start.write_bytes(0, size) };
        Contents::Zero
    }

    unsafe fn purge(start: NonNull<u8>, size: usize) -> bool {
        // SAFETY: as the caller promises. Where it is refused, zeros are written, as on Linux.
        unsafe {
            Self::decommit(start, size);
            start.write_bytes(0, size);
        }
        true
    }

    unsafe fn release(start: NonNull<u8>, size: usize) -> bool {
        if is_refused() {
            return false;
        }
        let removed = MAPPED.with_borrow_mut(|mapped| mapped.remove(&start.as_ptr()));
        assert_eq!(removed, Some(size), "a range that was not mapped like this");
        // SAFETY: as the caller promises.
        unsafe { unmap(start.as_ptr(), size) };
        true
    }

    unsafe fn grow(_: NonNull<u8>, _: usize, _: usize, _: Movement) -> Option<NonNull<u8>> {
        None
    }
}

/// Writes to every page of a region, which must be zero.
fn use_up(region: &Region) {
    // SAFETY: the region is on loan, and committed or usable without that.
    let bytes = unsafe { region.bytes().as_mut() };
    for byte in bytes.iter_mut().step_by(1000) {
        assert_eq!(*byte, 0, "a region that is not zero");
        *byte = 0xAB;
    }
}

fn assert_disjoint(regions: &[Region]) {
    let mut ranges: Vec<_> =
        regions.iter().map(|region| (region.start().addr().get(), region.size())).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "regions overlap");
}

/// Borrows and gives back regions of many sizes; returns how many were refused.
fn script(store: &Store<Double>) -> usize {
    let sizes = [1, 65_536, 65_537, 300_000, MAX_RUN + 1];
    let mut regions = Vec::new();
    let mut refused = 0;
    for size in sizes {
        for region in [store.reserve(size, 2 * size), store.reserve_block(size)] {
            let Some(region) = region else {
                refused += 1;
                continue;
            };
            assert!(region.size() >= size);
            // SAFETY: the region is on loan.
            if !unsafe { store.commit(&region, 0..region.size()) } {
                refused += 1;
                // SAFETY: as above, and it is not used.
                unsafe { store.release(&region) };
                continue;
            }
            use_up(&region);
            regions.push(region);
        }
    }
    assert_disjoint(&regions);
    for region in &regions {
        // SAFETY: the region is on loan, and not used any more.
        unsafe { store.release(region) };
    }
    refused
}

/// A store, all memory of which goes with it: one for a process never ends.
struct Tested(std::boxed::Box<Store<Double>>);

impl core::ops::Deref for Tested {
    type Target = Store<Double>;

    fn deref(&self) -> &Store<Double> {
        &self.0
    }
}

impl Drop for Tested {
    fn drop(&mut self) {
        for (start, size) in MAPPED.take() {
            // SAFETY: it is mapped, and the store, which alone knows of it, is not used any more.
            unsafe { unmap(start, size) };
        }
    }
}

/// A store on the heap: it is too large for a thread's stack, with all that a test has besides.
fn store() -> Tested {
    assert_eq!(mapped(), 0);
    Tested(std::boxed::Box::new(Store::new()))
}

#[test]
fn a_platform_that_refuses_a_call_loses_nothing() {
    for needs_commit in [false, true] {
        NEEDS_COMMIT.set(needs_commit);
        let mut is_over = false;
        for call in 0.. {
            let store = store();
            script(&store);
            let before = mapped();
            UNTIL_REFUSED.set(Some(call));
            script(&store);
            is_over = UNTIL_REFUSED.take().is_some();
            assert_eq!(script(&store), 0, "call {call}");
            // A mapping that was not released has lost its memory, not its addresses.
            let lost = mapped() - before;
            assert!(lost <= 2 * MAX_RUN + 3 * 4096, "call {call}: {lost} bytes more are mapped");
            if is_over {
                break;
            }
        }
        assert!(is_over);
    }
}

#[test]
fn one_empty_segment_stays_and_others_go() {
    let store = store();
    let lend = |count: usize| -> Vec<Region> {
        (0..count).map(|_| store.reserve(MAX_RUN, MAX_RUN).unwrap()).collect()
    };
    let give_back = |regions: &[Region]| {
        for region in regions {
            // SAFETY: the region is on loan, and not used.
            unsafe { store.release(region) };
        }
    };
    let in_one = SEGMENT_SIZE / MAX_RUN;
    let regions = lend(3 * in_one);
    assert_eq!(store.segments(), 3);
    assert_disjoint(&regions);
    give_back(&regions);
    assert_eq!(store.segments(), 1);
    let regions = lend(in_one + 1);
    assert_eq!(store.segments(), 2);
    give_back(&regions);
    assert_eq!(store.segments(), 1);
}

#[test]
fn a_region_grows_into_free_frames_and_no_others() {
    let store = store();
    let region = store.reserve(1000, 1000).unwrap();
    assert_eq!(region.size(), 4096);
    let start = region.start();
    // SAFETY: the regions are on loan; what is grown is used in its new size only.
    unsafe {
        let region = store.grow(region, 3 * FRAME_SIZE + 1, Movement::Never).unwrap();
        assert_eq!((region.start(), region.size()), (start, 3 * FRAME_SIZE + 4096));
        use_up(&region);
        let next = store.reserve(1, 1).unwrap();
        assert_eq!(next.start().addr().get(), start.addr().get() + 4 * FRAME_SIZE);
        let region = store.grow(region, 4 * FRAME_SIZE, Movement::Allowed).unwrap();
        let region = store.grow(region, 4 * FRAME_SIZE + 1, Movement::Allowed).unwrap_err();
        let region = store.grow(region, 1, Movement::Allowed).unwrap_err();
        assert_eq!(region.size(), 4 * FRAME_SIZE);
        store.release(&next);
        store.release(&region);
        let region = store.reserve(4 * FRAME_SIZE, 4 * FRAME_SIZE).unwrap();
        assert_eq!(region.start(), start);
        use_up(&region);
        store.release(&region);
    }
}

#[test]
fn an_address_tells_its_segment() {
    let store = store();
    let run = store.reserve(1, 1).unwrap();
    let mapping = store.reserve(MAX_RUN + 1, MAX_RUN + 1).unwrap();
    assert_eq!(store.table.find(run.start()), Some(0));
    assert_eq!(store.table.find(mapping.start()), None);
    assert_eq!(store.table.find(NonNull::<u8>::dangling()), None);
    assert_eq!(
        store.table.find(NonNull::new(core::ptr::without_provenance_mut(usize::MAX)).unwrap()),
        None
    );
    // SAFETY: both are on loan, and not used.
    unsafe {
        store.release(&run);
        store.release(&mapping);
    }
}
