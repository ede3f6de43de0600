//! Hooks hear what happens, and may use the allocator that they watch.

use std::alloc::Layout;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use allotrope_core::{
    BestFit, DefaultPolicy, Event, EventKind, Events, FixedSize, Hook, Local, Locked, OsPages,
    Policy, Segregated,
};

#[derive(Default)]
struct Recorder(RefCell<Vec<Event>>);

impl Hook for &Recorder {
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
    let strategy = BestFit::<_, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder);
    let heap = Local::new(strategy);

    let block = heap.allocate(LAYOUT).unwrap();
    let first = recorder.0.borrow()[1];
    assert_eq!((first.layout, first.extent, first.address), (LAYOUT, 48, block.addr().get()));
    assert_eq!(recorder.kinds(), [Refill, Allocate, Split]);

    // Longer than what may be parked.
    let larger = Layout::new::<[u64; 200]>();
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
    use EventKind::{Allocate, Free, Refill, Release};
    let recorder = Recorder::default();
    let pool =
        Local::new(FixedSize::<64, _, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder));
    let block = pool.allocate(LAYOUT).unwrap();
    let larger = Layout::new::<[u64; 8]>();
    // SAFETY: allocated above, and grown and freed once each.
    unsafe {
        pool.grow(block.cast(), LAYOUT, larger).unwrap();
        pool.deallocate(block.cast(), larger);
    }
    assert_eq!(recorder.kinds(), [Refill, Allocate, Free, Allocate, Free]);
    drop(pool);
    assert_eq!(recorder.kinds(), [Release]);
}

#[test]
fn segregated_tells_of_blocks_slabs_and_regions() {
    use EventKind::{Allocate, Free, Refill, Release};
    let recorder = Recorder::default();
    let heap = Local::new(Segregated::<_, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder));
    let block = heap.allocate(LAYOUT).unwrap();
    let first = recorder.0.borrow()[1];
    assert_eq!((first.layout, first.extent, first.address), (LAYOUT, 48, block.addr().get()));
    assert_eq!(recorder.kinds(), [Refill, Allocate]);

    let same = Layout::new::<[u64; 6]>();
    let large = Layout::new::<[u64; 5000]>();
    // SAFETY: allocated above with `LAYOUT`, and grown and freed once each.
    unsafe {
        let block = heap.grow(block.cast(), LAYOUT, same).unwrap();
        assert_eq!(recorder.kinds(), [Free, Allocate]);
        let block = heap.grow(block.cast(), same, large).unwrap();
        assert_eq!(recorder.kinds(), [Refill, Allocate, Free]);
        heap.deallocate(block.cast(), large);
    }
    assert_eq!(recorder.kinds(), [Free, Release]);
    heap.trim();
    assert_eq!(recorder.kinds(), [Release]);
    heap.allocate(large).unwrap();
    heap.allocate(LAYOUT).unwrap();
    assert_eq!(recorder.kinds(), [Refill, Allocate, Refill, Allocate]);
    drop(heap);
    assert_eq!(recorder.kinds(), [Release, Release]);
}

impl Recorder {
    /// What was refilled and not released since, by address; what is released was refilled before.
    fn outstanding(&self) -> BTreeMap<usize, usize> {
        let mut regions = BTreeMap::new();
        for event in self.0.borrow().iter() {
            let before = match event.kind {
                EventKind::Refill => (regions.insert(event.address, event.extent), None),
                EventKind::Release => (regions.remove(&event.address), Some(event.extent)),
                _ => continue,
            };
            assert_eq!(before.0, before.1, "{event:?}");
        }
        regions
    }
}

#[test]
fn a_large_block_that_is_resized_gives_back_its_old_region() {
    let recorder = Recorder::default();
    let heap = Local::new(Segregated::<_, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder));
    let layout = |size, align| Layout::from_size_align(size, align).unwrap();
    let sizes = [(10_000, 8), (3_000_000, 8), (3_000_001, 8), (20_000, 8), (20_000, 1 << 21)];
    let mut block = heap.allocate(layout(10_000, 8)).unwrap();
    for (old, new) in sizes.into_iter().zip(sizes.into_iter().skip(1)) {
        let (before, after) = (layout(old.0, old.1), layout(new.0, new.1));
        // SAFETY: the block is in use, with the former layout, and given up for the new one.
        block = unsafe {
            if after.size() < before.size() {
                heap.shrink(block.cast(), before, after).unwrap()
            } else {
                heap.grow(block.cast(), before, after).unwrap()
            }
        };
        let expected = BTreeMap::from([(block.addr().get(), block.len())]);
        assert_eq!(recorder.outstanding(), expected, "{before:?} to {after:?}");
    }
    drop(heap);
    assert_eq!(recorder.outstanding(), BTreeMap::new());
}

#[test]
fn what_a_reset_takes_back_is_released() {
    let recorder = Recorder::default();
    let fixed = FixedSize::<64, _, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder);
    let mut pool = Local::new(fixed);
    let classes = Segregated::<_, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder);
    let mut heap = Local::new(classes);
    for _ in 0..2 {
        pool.allocate(LAYOUT).unwrap();
        heap.allocate(LAYOUT).unwrap();
        assert_eq!(recorder.outstanding().len(), 2);
        pool.reset();
        heap.reset();
        assert_eq!(recorder.outstanding(), BTreeMap::new());
    }
}

/// Allocates from the heap that it watches, three times.
#[derive(Clone, Copy)]
struct Reenters;

thread_local! {
    static WATCHED: OnceCell<Local<BestFit<OsPages, DefaultPolicy, Reenters>>> =
        const { OnceCell::new() };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

impl Hook for Reenters {
    type Record = Events;
    fn on_event(&self, event: &Event) {
        if event.kind != EventKind::Allocate || DEPTH.get() == 3 {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        WATCHED.with(|heap| {
            let heap = heap.get().unwrap();
            let block = heap.allocate(LAYOUT).unwrap();
            // SAFETY: just allocated, and as long as the layout says.
            unsafe { block.cast::<u8>().write_bytes(0xAA, LAYOUT.size()) };
            assert_eq!(heap.check_invariants(), Ok(()));
            // SAFETY: allocated above, and freed once.
            unsafe { heap.deallocate(block.cast(), LAYOUT) };
        });
    }
}

#[test]
fn a_hook_may_allocate_from_the_allocator_that_it_watches() {
    WATCHED.with(|cell| {
        let heap = cell.get_or_init(|| Local::new(BestFit::with_hook(OsPages::new(), Reenters)));
        let block = heap.allocate(LAYOUT).unwrap();
        assert_eq!((DEPTH.get(), heap.bytes_used()), (3, block.len()));
    });
}

/// Asks the heap that it watches how much is used.
#[derive(Clone, Copy)]
struct Locks;

static SHARED: LazyLock<Locked<BestFit<OsPages, DefaultPolicy, Locks>>> =
    LazyLock::new(|| Locked::new(BestFit::with_hook(OsPages::new(), Locks)));
static HEARD: AtomicUsize = AtomicUsize::new(0);

impl Hook for Locks {
    type Record = Events;
    fn on_event(&self, _: &Event) {
        HEARD.fetch_add(1, Ordering::Relaxed);
        assert_eq!(SHARED.bytes_used(), 48);
    }
}

#[test]
fn a_hook_does_not_deadlock_on_the_lock_of_the_allocator_that_it_watches() {
    SHARED.allocate(LAYOUT).unwrap();
    assert_eq!(HEARD.load(Ordering::Relaxed), 3);
}

/// Small steps, so that there are many.
struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
}

#[test]
fn refills_were_told_of_with_what_was_free_before_or_not_at_all() {
    let recorder = Recorder::default();
    let strategy = BestFit::<_, Tiny, _>::with_hook(OsPages::new(), &recorder);
    let heap = Local::new(strategy);
    let layout = |size| Layout::from_size_align(size, 16).unwrap();
    let mut block = heap.allocate(layout(1000)).unwrap();
    for size in (1000..20_000).step_by(1000) {
        // SAFETY: allocated or grown with this size, and not used otherwise.
        block = unsafe { heap.grow(block.cast(), layout(size), layout(size + 1000)) }.unwrap();
    }
    heap.allocate(layout(3000)).unwrap();
    heap.allocate(layout(8000)).unwrap();
    let events = recorder.0.borrow();
    let refills = events.iter().filter(|event| event.kind == EventKind::Refill);
    let refilled: usize = refills.map(|event| event.extent).sum();
    assert_eq!(refilled, heap.bytes_used() + heap.bytes_free());
}

/// Says when it is cloned.
struct Cloned<'a>(&'a Cell<usize>);

impl Copy for Cloned<'_> {}

#[allow(clippy::non_canonical_clone_impl, reason = "to see whether anybody calls it")]
impl Clone for Cloned<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0)
    }
}

impl Hook for Cloned<'_> {
    type Record = Events;
    fn on_event(&self, _: &Event) {}
}

/// A hook of the user's was cloned while the strategy was borrowed: from there it could borrow the
/// strategy a second time, or lock a lock that it held.
#[test]
fn a_hook_was_cloned_in_the_midst_of_a_call() {
    let clones = Cell::new(0);
    let strategy = BestFit::<_, DefaultPolicy, _>::with_hook(OsPages::new(), Cloned(&clones));
    let heap = Local::new(strategy);
    heap.allocate(LAYOUT).unwrap();
    drop(heap);
    assert_eq!(clones.get(), 0);
}
