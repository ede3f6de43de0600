//! What a heap says that it holds, beside what the kernel says.
//!
//! Goal: memory that the system has put behind a heap's pages and that the heap does not count;
//! memory that is counted long after it went back.

#![cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    not(any(loom, shuttle, allotrope_asan, allotrope_tsan))
))]

use std::alloc::Layout;
use std::cell::RefCell;
use std::ops::Range;
use std::ptr::NonNull;

use allotrope_core::{AllocError, Contents, OsPages, Region, Source};
use allotrope_heap::LocalHeap;

/// `OsPages` without huge pages, that knows what is lent.
#[derive(Default)]
struct Watched {
    lent: RefCell<Vec<(NonNull<u8>, usize)>>,
}

impl Watched {
    fn noted(&self, region: Result<Region, AllocError>) -> Result<Region, AllocError> {
        let region = region?;
        self.lent.borrow_mut().push((region.start(), region.size()));
        Ok(region)
    }

    /// How many bytes of what is lent are in memory, by the kernel.
    fn bytes_resident(&self) -> usize {
        let lent = self.lent.borrow();
        let pages = lent.iter().map(|&(start, size)| {
            let mut states = vec![0_u8; size / 4096];
            // SAFETY: the region is mapped; the call writes a byte for each of its pages.
            let done = unsafe { libc::mincore(start.as_ptr().cast(), size, states.as_mut_ptr()) };
            assert_eq!(done, 0);
            states.iter().filter(|state| **state & 1 == 1).count()
        });
        pages.sum::<usize>() * 4096
    }
}

// SAFETY: the regions are those of `OsPages`.
unsafe impl Source for &Watched {
    const RESERVES_AHEAD: bool = OsPages::RESERVES_AHEAD;

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        // Less than usual, so that the kernel is soon asked about all of it.
        self.noted(OsPages::new().reserve(least, wanted.min(64 << 20).max(least)))
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().commit(region, range) }
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().decommit(region, range) }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().discard(region, range) }
    }

    unsafe fn release(&self, region: Region) {
        self.lent.borrow_mut().retain(|lent| lent.0 != region.start());
        // SAFETY: as the caller promises.
        unsafe { OsPages::new().release(region) };
    }
}

/// By how much more than the kernel's figure a heap's may be: the rest of the first region (64 KiB),
/// of one slab of each of the four classes (64 KiB each), and the tables of pages that are
/// no slab.
const SLACK: usize = 512 << 10;

#[track_caller]
fn compare(heap: &LocalHeap<&Watched>, source: &Watched, when: &str) {
    let (held, resident) = (heap.bytes_held(), source.bytes_resident());
    println!("{when}: held {held}, resident {resident}");
    assert!(resident <= held, "{when}: {resident} bytes are in memory, {held} are counted");
    assert!(held <= resident + SLACK, "{when}: {resident} bytes are in memory, {held} are counted");
    heap.check_invariants().unwrap();
}

/// One test, for it takes huge pages from the whole process.
#[test]
fn what_is_held_is_what_the_kernel_says() {
    // SAFETY: no condition.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != 4096 {
        return;
    }
    // SAFETY: as above; other pages are smaller from now on, that is all.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    let source = Watched::default();
    let heap = LocalHeap::new(&source);
    let mut blocks = Vec::new();
    for round in 0..3 {
        for size in [100, 1000, 8000, 20_000, 300_000, 2 << 20].into_iter().cycle().take(1200) {
            // Of the large ones fewer.
            if size > 100_000 && blocks.len() % 16 != 4 {
                continue;
            }
            let layout = Layout::from_size_align(size, 8).unwrap();
            let block = heap.allocate(layout).unwrap().cast::<u8>();
            // SAFETY: the block is new, and so long.
            unsafe { block.write_bytes(1, size) };
            blocks.push((block, layout));
            if blocks.len() % 100 == 0 {
                compare(&heap, &source, "growing");
            }
        }
        compare(&heap, &source, "grown");
        // All but every tenth.
        let mut kept = Vec::new();
        for (n, (block, layout)) in blocks.drain(..).enumerate() {
            if n % 10 == 0 {
                kept.push((block, layout));
            } else {
                // SAFETY: allocated above with this layout, and freed once.
                unsafe { heap.deallocate(block, layout) };
            }
        }
        blocks = kept;
        compare(&heap, &source, "freed");
        if round < 2 {
            let before = heap.bytes_held();
            heap.trim();
            compare(&heap, &source, "trimmed");
            assert!(heap.bytes_held() < before);
        }
    }
    for (block, layout) in blocks {
        // SAFETY: as above.
        unsafe { heap.deallocate(block, layout) };
    }
    compare(&heap, &source, "all freed");
    heap.trim();
    assert_eq!((heap.bytes_held(), source.bytes_resident()), (0, 0));
}
