//! Allocators that are wrong on purpose.

mod shared;

pub use shared::{Shared, SharedBug};

use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::TestUpstream;

/// What is wrong with a [`Toy`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    IgnoresAlignment,
    GrowsInPlaceWhateverTheAlignment,
    ReturnsShortBlocks,
    OverlapsByOneGranule,
    ForgetsTheEnd,
    WritesBehindWhatItFrees,
    GrowCopiesLess,
    ShrinkDoesNotCopy,
    ShrinkCopiesTheOldSize,
    ZeroesOnlyWhatIsNew,
    GrowZeroesTooLittle,
    FailedGrowScribbles,
    FreesByTheSizeGiven,
    Wraps,
    AlwaysFails,
    PanicsOnSizeZero,
    WritesBeforeTheMemory,
    GivesBackWithAnotherLayout,
    GivesNothingBack,
    LosesSmallBlocks,
}

/// First fit over a list of live blocks, in one block of the upstream; returned lengths are
/// multiples of 16.
pub struct Toy {
    upstream: TestUpstream,
    memory: NonNull<u8>,
    /// Offset and length of every live block, in order of offsets.
    live: RefCell<Vec<(usize, usize)>>,
    bug: Option<Bug>,
}

const MEMORY: Layout = match Layout::from_size_align(64 * 1024, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("the memory is a sensible layout"),
};
/// The bugs that write past a block write into this much at the end, at most.
const SPARE: usize = 4096;
const END: usize = MEMORY.size() - SPARE;
const GRANULE: usize = 16;

impl Toy {
    pub fn new(upstream: TestUpstream, bug: Option<Bug>) -> Self {
        let memory = upstream.allocate(MEMORY).expect("the upstream is not armed yet").cast();
        Self { upstream, memory, live: RefCell::default(), bug }
    }

    pub fn blocks(&self) -> usize {
        self.live.borrow().len()
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The first hole that is long enough, as an index into the list and an offset.
    fn find(&self, len: usize, align: usize) -> Option<(usize, usize)> {
        let live = self.live.borrow();
        let starts = [0].into_iter().chain(live.iter().map(|(at, len)| at + len));
        let end = if self.has(Bug::ForgetsTheEnd) { usize::MAX } else { END };
        let ends = live.iter().map(|&(at, _)| at).chain([end]);
        starts.zip(ends).enumerate().find_map(|(index, (from, to))| {
            let align = if self.has(Bug::IgnoresAlignment) { 1 } else { align };
            let at = from.next_multiple_of(align);
            at.checked_add(len).is_some_and(|end| end <= to).then_some((index, at))
        })
    }

    fn slice(&self, at: usize, len: usize) -> NonNull<[u8]> {
        // Beyond the memory only for `ForgetsTheEnd`, whose blocks nobody accesses.
        let start = self.memory.as_ptr().wrapping_add(at);
        NonNull::slice_from_raw_parts(NonNull::new(start).expect("not at address 0"), len)
    }

    /// How far it is from a block to the end of the memory.
    fn room(&self, block: NonNull<[u8]>) -> usize {
        let end = self.memory.addr().get() + MEMORY.size();
        end.saturating_sub(block.addr().get())
    }

    fn position(&self, start: NonNull<u8>) -> usize {
        let at = start.addr().get() - self.memory.addr().get();
        self.live.borrow().iter().position(|&(start, _)| start == at).expect("a live block")
    }

    /// Moves a block, as std's default `grow` and `shrink` do.
    fn relocate(&self, start: NonNull<u8>, old: Layout, new: Layout, copied: usize) -> Allocated {
        let block = self.allocate(new)?;
        let copied = copied.min(self.room(block));
        // SAFETY: both lie in the memory; where too much is copied, the spare end takes it.
        unsafe { start.copy_to(block.cast(), copied) };
        // SAFETY: the caller gives the block up.
        unsafe { self.deallocate(start, old) };
        Ok(block)
    }
}

type Allocated = Result<NonNull<[u8]>, AllocError>;

// SAFETY: not at all, where there is a bug: but no block is accessed that is not in the memory.
unsafe impl Allocator for Toy {
    fn allocate(&self, layout: Layout) -> Allocated {
        assert!(layout.size() > 0 || !self.has(Bug::PanicsOnSizeZero), "size 0");
        if self.has(Bug::AlwaysFails) || (layout.size() > END && !self.has(Bug::Wraps)) {
            return Err(AllocError);
        }
        let size = if layout.size() > END { GRANULE } else { layout.size() };
        let len = size.max(1).next_multiple_of(GRANULE);
        let len = if self.has(Bug::FreesByTheSizeGiven) { len + GRANULE } else { len };
        let (index, mut at) = self.find(len, layout.align()).ok_or(AllocError)?;
        if self.has(Bug::OverlapsByOneGranule) && layout.align() <= GRANULE && at > 0 {
            at -= GRANULE;
        }
        self.live.borrow_mut().insert(index, (at, len));
        if self.has(Bug::WritesBeforeTheMemory) {
            // SAFETY: the upstream's guard lies before the memory.
            unsafe { self.memory.sub(1).write(0) };
        }
        let returned = if self.has(Bug::ReturnsShortBlocks) { layout.size() / 2 } else { len };
        let odd = usize::from(self.has(Bug::IgnoresAlignment) && at % 32 == GRANULE);
        Ok(self.slice(at + odd, returned - odd))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Allocated {
        let block = self.allocate(layout)?;
        let zeroed = if self.has(Bug::ZeroesOnlyWhatIsNew) { GRANULE } else { block.len() };
        // SAFETY: the block is ours, and what is beyond the memory is not written to.
        unsafe { block.cast::<u8>().write_bytes(0, zeroed.min(self.room(block))) };
        Ok(block)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        let odd = start.addr().get() % 2;
        // SAFETY: an odd block begins one byte after an even address of the memory.
        let start = unsafe { start.sub(odd) };
        let index = self.position(start);
        let (at, len) = self.live.borrow()[index];
        if self.has(Bug::WritesBehindWhatItFrees) {
            // SAFETY: the spare end of the memory takes it.
            unsafe { start.add(len).write(0) };
        }
        if self.has(Bug::LosesSmallBlocks) && len == GRANULE {
            return;
        }
        let rounded = layout.size().max(1).next_multiple_of(GRANULE) + GRANULE;
        if self.has(Bug::FreesByTheSizeGiven) && rounded > len {
            // Takes the block for a longer one, and frees what follows it as well.
            let end = at + rounded;
            self.live.borrow_mut().retain(|&(from, _)| from < at || from >= end);
            return;
        }
        self.live.borrow_mut().remove(index);
    }

    unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        let (at, len) = self.live.borrow()[self.position(even(start))];
        let aligned = start.addr().get().is_multiple_of(new.align());
        let in_place = self.has(Bug::GrowsInPlaceWhateverTheAlignment) || aligned;
        if in_place && new.size() <= len && !self.has(Bug::GrowCopiesLess) {
            let odd = start.addr().get() % 2;
            return Ok(self.slice(at + odd, len - odd));
        }
        let less = usize::from(self.has(Bug::GrowCopiesLess));
        let copied = old.size().saturating_sub(less);
        let result = self.relocate(start, old, new, copied);
        if result.is_err() && self.has(Bug::FailedGrowScribbles) {
            // SAFETY: a block is at least a granule long.
            unsafe { start.write(0) };
        }
        result
    }

    unsafe fn grow_zeroed(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promises are those of `grow`.
        let block = unsafe { self.grow(start, old, new) }?;
        let from = if self.has(Bug::GrowZeroesTooLittle) { new.size() } else { old.size() };
        let to = block.len().min(self.room(block)).max(from);
        if self.room(block) >= to {
            // SAFETY: the block is at least as long as the new layout, and in the memory.
            unsafe { block.cast::<u8>().add(from).write_bytes(0, to - from) };
        }
        Ok(block)
    }

    unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        let copied = match self.bug {
            Some(Bug::ShrinkDoesNotCopy) => 0,
            Some(Bug::ShrinkCopiesTheOldSize) => old.size(),
            _ => new.size(),
        };
        self.relocate(start, old, new, copied)
    }
}

fn even(start: NonNull<u8>) -> NonNull<u8> {
    start.map_addr(|address| {
        address.get().wrapping_sub(address.get() % 2).try_into().unwrap_or(address)
    })
}

impl Drop for Toy {
    fn drop(&mut self) {
        let layout = match self.bug {
            Some(Bug::GivesNothingBack) => return,
            Some(Bug::GivesBackWithAnotherLayout) => Layout::new::<u64>(),
            _ => MEMORY,
        };
        // SAFETY: nobody uses the memory any more. A wrong layout is what the upstream looks for.
        unsafe { self.upstream.deallocate(self.memory, layout) };
    }
}

/// Bumps a frontier with a load and a store, which two threads can interleave.
pub struct Racy {
    memory: NonNull<u8>,
    frontier: AtomicUsize,
    /// Keeps the memory alive.
    _upstream: TestUpstream,
}

// SAFETY: the memory belongs to no thread. That two threads may get the same piece of it is the
// bug.
unsafe impl Send for Racy {}
// SAFETY: as above.
unsafe impl Sync for Racy {}

const RACY_MEMORY: Layout = match Layout::from_size_align(1 << 20, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("the memory is a sensible layout"),
};

impl Racy {
    pub fn new(upstream: TestUpstream) -> Self {
        let memory = upstream.allocate(RACY_MEMORY).expect("the upstream is not armed yet").cast();
        Self { memory, frontier: AtomicUsize::new(0), _upstream: upstream }
    }
}

impl Drop for Racy {
    fn drop(&mut self) {
        // SAFETY: nobody uses the memory any more.
        unsafe { self._upstream.deallocate(self.memory, RACY_MEMORY) };
    }
}

// SAFETY: every block lies in the memory; from one thread blocks do not overlap.
unsafe impl Allocator for Racy {
    fn allocate(&self, layout: Layout) -> Allocated {
        // Relaxed: the race is the bug.
        let at = self.frontier.load(Ordering::Relaxed).next_multiple_of(layout.align());
        std::thread::yield_now();
        let end = at.checked_add(layout.size()).ok_or(AllocError)?;
        if end > RACY_MEMORY.size() {
            return Err(AllocError);
        }
        self.frontier.store(end, Ordering::Relaxed);
        // SAFETY: `at` is at most the end of the memory.
        Ok(NonNull::slice_from_raw_parts(unsafe { self.memory.add(at) }, layout.size()))
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}
