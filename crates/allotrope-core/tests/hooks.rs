//! Hooks hear what happens, and may use the allocator that they watch.

use std::alloc::Layout;
use std::cell::{Cell, OnceCell, RefCell};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use allotrope_core::{
    BestFit, Buffer, DefaultPolicy, Event, EventKind, Events, FixedSize, Hook, Local, Locked,
    OsPages,
};

#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<Vec<Event>>>);

impl Hook for Recorder {
    type Record = Events;
    fn on_event(&self, event: &Event) {
        self.0.borrow_mut().push(*event);
    }
}

impl Recorder {
    fn kinds(&self) -> Vec<EventKind> {
        self.0.borrow_mut().drain(..).map(|event| event.kind).collect()
    }
}

const LAYOUT: Layout = Layout::new::<[u64; 5]>();

#[test]
fn best_fit_tells_of_blocks_regions_and_what_it_cuts_and_joins() {
    use EventKind::{Allocate, Coalesce, Free, Refill, Release, Split};
    let recorder = Recorder::default();
    let strategy = BestFit::<_, DefaultPolicy, _>::with_hook(OsPages::new(), recorder.clone());
    let heap = Local::new(strategy);

    let block = heap.allocate(LAYOUT).unwrap();
    let first = recorder.0.borrow()[1];
    assert_eq!((first.layout, first.extent, first.address), (LAYOUT, 48, block.addr().get()));
    assert_eq!(recorder.kinds(), [Refill, Allocate, Split]);

    let larger = Layout::new::<[u64; 50]>();
    // SAFETY: allocated above with `LAYOUT`, and grown and freed once each.
    unsafe {
        let block = heap.grow(block.cast(), LAYOUT, larger).unwrap();
        assert_eq!(recorder.kinds(), [Free, Allocate]);
        heap.deallocate(block.cast(), larger);
    }
    assert_eq!(recorder.kinds(), [Free, Coalesce]);
    drop(heap);
    assert_eq!(recorder.kinds(), [Release]);
}

#[test]
fn fixed_size_tells_of_blocks_and_chunks() {
    use EventKind::{Allocate, Free, Refill};
    let recorder = Recorder::default();
    let pool = Local::new(FixedSize::<64, _, DefaultPolicy, _>::with_hook(
        OsPages::new(),
        recorder.clone(),
    ));
    let block = pool.allocate(LAYOUT).unwrap();
    // SAFETY: allocated above, and freed once.
    unsafe { pool.deallocate(block.cast(), LAYOUT) };
    assert_eq!(recorder.kinds(), [Refill, Allocate, Free]);
}

/// Allocates from the heap that it watches, once.
#[derive(Clone)]
struct Reenters<'a> {
    heap: &'a OnceCell<Local<BestFit<Buffer<'a>, DefaultPolicy, Reenters<'a>>>>,
    depth: &'a Cell<usize>,
}

impl Hook for Reenters<'_> {
    type Record = Events;
    fn on_event(&self, event: &Event) {
        let Some(heap) = self.heap.get() else { return };
        if event.kind == EventKind::Allocate && self.depth.get() < 3 {
            self.depth.set(self.depth.get() + 1);
            let block = heap.allocate(LAYOUT).unwrap();
            // SAFETY: just allocated, and as long as the layout says.
            unsafe { block.cast::<u8>().write_bytes(0xAA, LAYOUT.size()) };
            assert_eq!(heap.check_invariants(), Ok(()));
            // SAFETY: allocated above, and freed once.
            unsafe { heap.deallocate(block.cast(), LAYOUT) };
        }
    }
}

#[test]
fn a_hook_may_allocate_from_the_allocator_that_it_watches() {
    let bytes = vec![MaybeUninit::uninit(); 4096];
    let (heap, depth) = (OnceCell::new(), Cell::new(0));
    // The heap borrows the cell that it lies in, so neither can be dropped while it is watched.
    let buffer = Buffer::new(bytes.leak());
    let (heap, depth) = (Box::leak(Box::new(heap)), Box::leak(Box::new(depth)));
    let hook = Reenters { heap, depth };
    assert!(heap.set(Local::new(BestFit::with_hook(buffer, hook))).is_ok());

    let block = heap.get().unwrap().allocate(LAYOUT).unwrap();
    assert_eq!(depth.get(), 3);
    assert_eq!(heap.get().unwrap().bytes_used(), block.len());
}

#[derive(Clone)]
struct Locks {
    heap: Arc<OnceLock<Locked<BestFit<OsPages, DefaultPolicy, Locks>>>>,
    calls: Arc<AtomicUsize>,
}

impl Hook for Locks {
    type Record = Events;
    fn on_event(&self, _: &Event) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
            let used = self.heap.get().map(Locked::bytes_used);
            assert_eq!(used, Some(48));
        }
    }
}

#[test]
fn a_hook_does_not_deadlock_on_the_lock_of_the_allocator_that_it_watches() {
    let hook = Locks { heap: Arc::default(), calls: Arc::default() };
    let locked = Locked::new(BestFit::with_hook(OsPages::new(), hook.clone()));
    assert!(hook.heap.set(locked).is_ok());
    let heap = hook.heap.get().unwrap();
    heap.allocate(LAYOUT).unwrap();
    assert!(hook.calls.load(Ordering::Relaxed) >= 2);
}
