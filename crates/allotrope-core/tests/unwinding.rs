//! What a user supplies panics, at each of its calls in turn.
//!
//! Goal: memory that is lost, a count that is wrong, a lock that stays taken, a panic that leaves a
//! function that must not unwind.
//!
//! Method: where a contract forbids to unwind, a child for each call must abort and say why. Elsewhere
//! the panic is caught, and everything must be as if the call had failed.

mod shaky;

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::OnceLock;

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allotrope_conformance::child;
use allotrope_core::compat::From02;
use allotrope_core::{
    Affix, AlignTo, BestFit, Buffer, BySize, DefaultPolicy, Fallback, FixedSize, Independent,
    Limit, Local, Locked, Movement, ObjectPool, OsPages, Places, Pool, PoolBox, Segregated,
    SharedObjectPool, Source, SpinLock, Upstream,
};
use lock_api::{GuardSend, RawMutex};
use shaky::{
    Fuse, Row, ShakyAllocator, ShakyHook, bytes, ends_at_every_panic, over_both, use_allocator,
};

#[test]
fn a_source_that_panicked_left_a_strategy_half_done() {
    let rows: &[Row] = over_both! {
        "best fit": |source| {
            let heap = Local::new(BestFit::new(source));
            use_allocator(&heap);
            heap.trim();
        },
        "segregated": |source| {
            let heap = Local::new(Segregated::new(source));
            use_allocator(&heap);
            heap.trim();
        },
        "blocks of one size": |source| {
            let heap = Local::new(FixedSize::<64, _>::new(source));
            use_allocator(&heap);
            heap.trim();
        },
        "best fit behind a lock": |source| use_allocator(&Locked::new(BestFit::new(source))),
        "a pool": |source| {
            let mut pool = Pool::new(source);
            use_allocator(&pool);
            pool.trim();
        },
        "an object pool": |source| {
            let pool = ObjectPool::<[u64; 100], _>::new(source);
            drop([(); 50].map(|()| pool.try_insert([7; 100]).ok()));
            pool.trim();
        },
        "a shared object pool": |source| {
            let mut pool = SharedObjectPool::<[u64; 100], _>::new(source);
            drop([(); 50].map(|()| pool.try_insert([7; 100]).ok()));
            pool.trim();
        },
    };
    ends_at_every_panic("a_source_that_panicked_left_a_strategy_half_done", rows);
}

#[test]
fn a_panic_of_an_upstream_left_its_source() {
    let rows: &[Row] = &[("an upstream", |fuse| {
        let source = Upstream::new(ShakyAllocator(fuse));
        let region = source.reserve(1000, 5000).unwrap();
        // SAFETY: the region is lent, and not used.
        let region = unsafe { source.grow_region(region, 9000, Movement::Allowed) }.unwrap();
        // SAFETY: as above.
        unsafe { source.release(region) };
    })];
    ends_at_every_panic("a_panic_of_an_upstream_left_its_source", rows);
}

#[test]
fn a_hook_that_panics_ends_the_program() {
    let rows: &[Row] = &[
        ("best fit", |fuse| {
            let strategy =
                BestFit::<_, DefaultPolicy, _>::with_hook(OsPages::new(), ShakyHook(fuse));
            use_few(&Local::new(strategy));
        }),
        ("segregated", |fuse| {
            let strategy =
                Segregated::<_, DefaultPolicy, _>::with_hook(OsPages::new(), ShakyHook(fuse));
            use_few(&Locked::new(strategy));
        }),
        ("blocks of one size", |fuse| {
            let strategy =
                FixedSize::<64, _, DefaultPolicy, _>::with_hook(OsPages::new(), ShakyHook(fuse));
            use_few(&Local::new(strategy));
        }),
        ("a pool", |fuse| {
            use_few(&Pool::<_, DefaultPolicy, _>::with_hook(OsPages::new(), ShakyHook(fuse)));
        }),
    ];
    ends_at_every_panic("a_hook_that_panics_ends_the_program", rows);
}

/// Some blocks, each of which is an event or two.
fn use_few(heap: &impl Allocator) {
    for size in [8, 64, 5000, 200_000] {
        let Ok(block) = heap.allocate(bytes(size)) else { continue };
        // SAFETY: allocated just above.
        unsafe { heap.deallocate(block.cast(), bytes(size)) };
    }
}

/// What the lock burns.
static LOCK: OnceLock<&'static Fuse> = OnceLock::new();

/// A lock that panics.
struct ShakyLock(SpinLock);

// SAFETY: a spin lock. What unwinds holds nothing.
unsafe impl RawMutex for ShakyLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait's")]
    const INIT: Self = Self(SpinLock::INIT);
    type Guard = GuardSend;

    fn lock(&self) -> GuardSend {
        LOCK.get().unwrap().burn();
        self.0.lock()
    }

    fn try_lock(&self) -> Option<GuardSend> {
        self.0.try_lock()
    }

    unsafe fn unlock(&self, guard: GuardSend) {
        // SAFETY: as the caller promises.
        unsafe { self.0.unlock(guard) };
        LOCK.get().unwrap().burn();
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

#[test]
fn a_lock_that_panics_ends_the_program() {
    let rows: &[Row] = &[("a lock", |fuse| {
        assert!(LOCK.set(fuse).is_ok());
        use_few(&Locked::<_, ShakyLock>::with_lock(BestFit::new(OsPages::new())));
    })];
    ends_at_every_panic("a_lock_that_panics_ends_the_program", rows);
}

/// A part of a composed allocator: std's, each call of which burns a fuse. What it frees is freed before
/// it panics. Counts what is out.
#[derive(Debug)]
struct Part<'a> {
    fuse: &'a Fuse,
    out: Cell<isize>,
    /// Whether a block is being resized: a panic while the old one is freed would end the program.
    is_resizing: &'a Cell<bool>,
    has_ended: &'a Cell<bool>,
}

impl Part<'_> {
    fn count<T>(&self, by: isize, result: Result<T, AllocError>) -> Result<T, AllocError> {
        if result.is_ok() {
            self.out.set(self.out.get() + by);
        }
        result
    }
}

// SAFETY: blocks are those of `Global`.
unsafe impl Independent for Part<'_> {}

// SAFETY: blocks are those of `Global`.
unsafe impl Allocator for &Part<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.fuse.burn();
        self.count(1, Global.allocate(layout))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.out.set(self.out.get() - 1);
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
        let would_end = self.is_resizing.get();
        let burnt = catch_unwind(AssertUnwindSafe(|| self.fuse.burn()));
        match burnt {
            Err(_) if would_end && child::role().is_none() => self.has_ended.set(true),
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => {}
        }
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.fuse.burn();
        // SAFETY: as the caller promises.
        unsafe { Global.grow(start, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.fuse.burn();
        // SAFETY: as the caller promises.
        unsafe { Global.grow_zeroed(start, old, new) }
    }

    unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.fuse.burn();
        // SAFETY: as the caller promises.
        unsafe { Global.shrink(start, old, new) }
    }
}

/// Both parts of a composed allocator, and what they share.
struct Parts<'a> {
    first: Part<'a>,
    second: Part<'a>,
    is_resizing: &'a Cell<bool>,
}

/// A composed allocator: its name, and how it is made, used and checked.
type Composed = (&'static str, fn(&Parts<'_>));

const COMPOSED: &[Composed] = &[
    ("a limit", |parts| {
        let limit = Limit::new(&parts.first, 1 << 20);
        parts.use_all(&limit);
        assert_eq!(limit.used(), 0);
    }),
    ("a tight limit", |parts| {
        let limit = Limit::new(&parts.first, 2000);
        parts.use_all(&limit);
        assert_eq!(limit.used(), 0);
    }),
    ("a buffer, and then a part", |parts| {
        let mut space = [const { MaybeUninit::uninit() }; 4096];
        let buffer = Local::new(BestFit::new(Buffer::new(&mut space)));
        let memory = Fallback::new(buffer, &parts.first);
        parts.use_all(&memory);
        memory.with_first(is_whole);
    }),
    ("a part, and then a buffer", |parts| {
        let mut space = [const { MaybeUninit::uninit() }; 65536];
        let buffer = Local::new(BestFit::new(Buffer::new(&mut space)));
        let memory = Fallback::asking_second(Limit::new(&parts.first, 4000), buffer);
        parts.use_all(&memory);
        assert_eq!(memory.first().used(), 0);
        memory.with_second(is_whole);
    }),
    ("two parts by size", |parts| {
        parts.use_all(&BySize::<100, _, _>::new(&parts.first, &parts.second));
    }),
    ("affixes", |parts| {
        parts.use_all(&Affix::new(&parts.first, 7_u64, 9_u16));
    }),
    ("an alignment", |parts| parts.use_all(&AlignTo::<64, _>::new(&parts.first))),
    ("another version", |parts| parts.use_all(&From02::new(&parts.first))),
    ("what is nested", |parts| {
        let small = AlignTo::<64, _>::new(Affix::new(&parts.first, 1_u8, 2_u32));
        let limit = Limit::new(BySize::<100, _, _>::new(small, &parts.second), 1 << 20);
        parts.use_all(&limit);
        assert_eq!(limit.used(), 0);
    }),
];

fn is_whole(buffer: &Local<BestFit<Buffer<'_>>>) {
    assert_eq!((buffer.bytes_used(), buffer.check_invariants()), (0, Ok(())));
}

/// A block that is in use, all of it filled with `mark`.
#[derive(Clone, Copy)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn fill(self) {
        // SAFETY: the block is in use, and so long.
        unsafe { self.start.write_bytes(self.mark, self.layout.size()) };
    }

    fn check(self, len: usize) {
        // SAFETY: as above, and `len` is no more.
        let bytes = unsafe { NonNull::slice_from_raw_parts(self.start, len).as_ref() };
        assert!(bytes.iter().all(|byte| *byte == self.mark), "a block is not what it was");
    }
}

/// Makes `call`, and catches its panic.
fn shielded(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

/// What `call` returns, unless it fails or unwinds.
fn caught<T>(call: impl FnOnce() -> Result<T, AllocError>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()?.ok()
}

impl Parts<'_> {
    /// Allocates, resizes and frees blocks; a call that unwinds must have done nothing, or what it says.
    fn use_all(&self, memory: &dyn Allocator) {
        let mut blocks = Vec::new();
        for (mark, (size, align)) in (1..).zip([(10, 1), (90, 16), (150, 8), (3000, 32)]) {
            let layout = Layout::from_size_align(size, align).unwrap();
            for block in
                [caught(|| memory.allocate(layout)), caught(|| memory.allocate_zeroed(layout))]
            {
                blocks.extend(block.map(|start| Block { start: start.cast(), layout, mark }));
            }
        }
        blocks.iter().for_each(|block| block.fill());
        for block in &mut blocks {
            let size = block.layout.size();
            for (size, align) in [(size * 2, 1), (size * 4, 64), (size * 4, 16), (size / 2, 1)] {
                self.resize(memory, block, Layout::from_size_align(size, align).unwrap());
            }
        }
        for Block { start, layout, .. } in blocks {
            // SAFETY: the block is in use, with this layout. Where this unwinds, it is gone.
            shielded(|| unsafe { memory.deallocate(start, layout) });
        }
    }

    fn resize(&self, memory: &dyn Allocator, block: &mut Block, new: Layout) {
        let (start, old) = (block.start, block.layout);
        block.check(old.size());
        self.is_resizing.set(true);
        // SAFETY: the block is in use, with the old layout.
        let resized = caught(|| unsafe {
            match (new.size() < old.size(), block.mark.is_multiple_of(2)) {
                (true, _) => memory.shrink(start, old, new),
                (false, true) => memory.grow_zeroed(start, old, new),
                (false, false) => memory.grow(start, old, new),
            }
        });
        self.is_resizing.set(false);
        if let Some(start) = resized {
            block.check_moved(start.cast(), old.size().min(new.size()));
            (block.start, block.layout) = (start.cast(), new);
            block.fill();
        } else {
            block.check(old.size());
        }
    }
}

impl Block {
    fn check_moved(self, start: NonNull<u8>, len: usize) {
        Block { start, ..self }.check(len);
    }
}

/// Uses a composed allocator whose parts panic after `good` calls. Returns whether they did, and whether
/// that would have ended the program.
fn compose(make: fn(&Parts<'_>), good: usize) -> (bool, bool) {
    let fuse = Fuse::new(good);
    let (is_resizing, has_ended) = (Cell::new(false), Cell::new(false));
    let part = || Part {
        fuse: &fuse,
        out: Cell::new(0),
        is_resizing: &is_resizing,
        has_ended: &has_ended,
    };
    let parts = Parts { first: part(), second: part(), is_resizing: &is_resizing };
    make(&parts);
    assert_eq!((parts.first.out.get(), parts.second.out.get()), (0, 0), "what is out");
    (fuse.is_blown(), has_ended.get())
}

#[test]
fn what_was_taken_for_a_part_that_panicked_was_lost() {
    const NAME: &str = "what_was_taken_for_a_part_that_panicked_was_lost";
    if let Some(role) = child::role() {
        let (name, good) = role.split_once('/').unwrap();
        let (_, make) = COMPOSED.iter().find(|(composed, _)| *composed == name).unwrap();
        compose(*make, good.parse().unwrap());
        return;
    }
    for (name, make) in COMPOSED {
        for good in 0.. {
            let (is_blown, would_end) = compose(*make, good);
            if would_end {
                let sentence = "allotrope: a panic must not unwind out of an allocator";
                child::play(NAME, &format!("{name}/{good}")).must_have_aborted(sentence);
            }
            if !is_blown {
                assert!(good > 20, "{name} makes few calls");
                break;
            }
        }
    }
}

/// A value that burns a fuse as it is made, cloned or dropped, and counts those that are there.
struct Bomb<'a> {
    fuse: &'a Fuse,
    living: &'a Cell<isize>,
    _ballast: [u8; 100],
}

impl<'a> Bomb<'a> {
    fn new(fuse: &'a Fuse, living: &'a Cell<isize>) -> Self {
        fuse.burn();
        living.set(living.get() + 1);
        Self { fuse, living, _ballast: [0; 100] }
    }
}

impl Drop for Bomb<'_> {
    fn drop(&mut self) {
        self.living.set(self.living.get() - 1);
        self.fuse.burn();
    }
}

/// Inserts and drops values of which one panics; `len` says how many the pool holds.
fn use_pool<'a, 'p, O: Places<Bomb<'a>> + 'p>(
    fuse: &'a Fuse,
    living: &'a Cell<isize>,
    insert: impl Fn(&dyn Fn() -> Bomb<'a>) -> PoolBox<'p, Bomb<'a>, O>,
    len: impl Fn() -> usize,
) {
    let mut boxes = Vec::new();
    for turn in 0..12 {
        let make = || Bomb::new(fuse, living);
        boxes.extend(caught(|| Ok(insert(&make))));
        assert_eq!(len(), boxes.len());
        if turn % 3 == 2 {
            let (dropped, taken) = (boxes.pop(), boxes.pop());
            shielded(|| drop(dropped));
            shielded(|| drop(taken.map(PoolBox::into_inner)));
        }
        assert_eq!(len(), boxes.len());
    }
    for dropped in boxes {
        shielded(|| drop(dropped));
    }
    assert_eq!((len(), living.get()), (0, 0));
}

#[test]
fn values_that_panic_leave_their_places_to_an_object_pool() {
    for good in 0.. {
        let (fuse, shared_fuse) = (Fuse::new(good), Fuse::new(good));
        let living = Cell::new(0);
        let pool = ObjectPool::new(Upstream::new(Global));
        let shared = SharedObjectPool::new(OsPages::new());
        use_pool(&fuse, &living, |make| pool.insert_with(make), || pool.len());
        use_pool(&shared_fuse, &living, |make| shared.insert_with(make), || shared.len());
        if !fuse.is_blown() && !shared_fuse.is_blown() {
            assert!(good > 20);
            break;
        }
    }
}
