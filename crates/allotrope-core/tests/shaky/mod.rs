//! What a user supplies, and panics: allocators, sources, hooks. Each call burns a fuse; one blows it.

use std::alloc::Layout;
use std::env;
use std::ops::Range;
use std::panic;
use std::process;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allotrope_conformance::child;
use allotrope_core::{
    AllocError as Refused, Contents, Event, Events, Hook, Movement, OsPages, Region, Source,
};

/// So many calls are good, and the next one panics.
#[derive(Debug)]
pub struct Fuse {
    good: usize,
    calls: AtomicUsize,
}

impl Fuse {
    pub const fn new(good: usize) -> Self {
        Self { good, calls: AtomicUsize::new(0) }
    }

    /// Counts a call, or panics.
    pub fn burn(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) != self.good {
            return;
        }
        if child::role().is_some() {
            panic!("the fuse has blown");
        }
        // A sweep in one process says nothing of each.
        panic::resume_unwind(Box::new("the fuse has blown"));
    }

    /// Whether a call has panicked.
    pub fn is_blown(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.good
    }
}

/// std's allocator, each call of which burns a fuse before it does anything.
#[derive(Clone, Copy, Debug)]
pub struct ShakyAllocator<'a>(pub &'a Fuse);

// SAFETY: blocks are those of `Global`.
unsafe impl Allocator for ShakyAllocator<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.burn();
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }

    unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { Global.grow(start, old, new) }
    }
}

/// Pages of the system, each call for which burns a fuse before it does anything.
#[derive(Debug)]
pub struct ShakySource<'a>(pub &'a Fuse, pub OsPages);

// SAFETY: regions are those of `OsPages`. It may unwind, which is what it is for.
unsafe impl Source for ShakySource<'_> {
    const RESERVES_AHEAD: bool = OsPages::RESERVES_AHEAD;
    const REGION_ALIGN: usize = OsPages::REGION_ALIGN;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, Refused> {
        self.0.burn();
        self.1.reserve(least, wanted)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), Refused> {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { self.1.commit(region, range) }
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { self.1.decommit(region, range) }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { self.1.discard(region, range) }
    }

    unsafe fn release(&self, region: Region) {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { self.1.release(region) };
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        self.0.burn();
        // SAFETY: as the caller promises.
        unsafe { self.1.grow_region(region, size, movement) }
    }
}

/// A hook that burns a fuse at each event.
#[derive(Clone, Copy, Debug)]
pub struct ShakyHook<'a>(pub &'a Fuse);

impl Hook for ShakyHook<'_> {
    type Record = Events;

    fn on_event(&self, _: &Event) {
        self.0.burn();
    }
}

/// What is to be tested: a name, and a use of something that burns the fuse.
pub type Row = (&'static str, fn(&'static Fuse));

/// Rows for a source that panics, and for an upstream that does.
macro_rules! over_both {
    ($($name:literal: |$source:ident| $use:expr),* $(,)?) => {
        &[$(
            (concat!($name, " over a source"), |fuse| {
                let $source = $crate::shaky::ShakySource(fuse, allotrope_core::OsPages::new());
                $use;
            }),
            (concat!($name, " over an upstream"), |fuse| {
                let $source = allotrope_core::Upstream::new($crate::shaky::ShakyAllocator(fuse));
                $use;
            }),
        )*]
    };
}
pub(crate) use over_both;

/// Runs the test `name` again for each row, in a child for each call that may panic: it must abort, and
/// say why. The one in which no call does must come to its end.
pub fn ends_at_every_panic(name: &str, rows: &[Row]) {
    if let Some(role) = child::role() {
        let (row, good) = role.split_once('/').unwrap();
        let (_, run) = rows.iter().find(|(row_name, _)| *row_name == row).unwrap();
        run(Box::leak(Box::new(Fuse::new(good.parse().unwrap()))));
        process::exit(0);
    }
    for (row, _) in rows {
        let calls = (0..).step_by(step()).find(|good| {
            let ended = child::play(name, &format!("{row}/{good}"));
            if !ended.has_succeeded() {
                ended.must_have_aborted("allotrope: a panic must not unwind out of an allocator");
            }
            ended.has_succeeded()
        });
        assert!(calls > Some(0), "{row}: nothing was called");
    }
}

/// Every how many calls one is tried: each, unless there are to be samples.
fn step() -> usize {
    let is_set = |name| env::var_os(name).is_some();
    match (is_set("ALLOTROPE_EMULATED"), is_set("ALLOTROPE_SAMPLED")) {
        (true, _) => 7,
        (_, true) => 3,
        _ => 1,
    }
}

/// The layout of `size` bytes.
pub fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Allocates, resizes and frees blocks of every size; those that are refused are left out.
pub fn use_allocator(heap: &impl Allocator) {
    let mut blocks = Vec::new();
    for size in [8, 64, 1000, 20_000, 100_000, 300_000, 2_000_000] {
        for _ in 0..3 {
            blocks.extend(heap.allocate(bytes(size)).map(|block| (block.cast::<u8>(), size)));
        }
        blocks.extend(heap.allocate_zeroed(bytes(size)).map(|block| (block.cast::<u8>(), size)));
    }
    for (start, size) in &mut blocks {
        for new in [*size * 3, *size] {
            // SAFETY: the block is in use, with this layout.
            let resized = unsafe {
                match new >= *size {
                    true => heap.grow(*start, bytes(*size), bytes(new)),
                    false => heap.shrink(*start, bytes(*size), bytes(new)),
                }
            };
            if let Ok(block) = resized {
                (*start, *size) = (block.cast(), new);
            }
        }
    }
    for (start, size) in blocks {
        // SAFETY: the block is in use, with this layout.
        unsafe { heap.deallocate(start, bytes(size)) };
    }
}
