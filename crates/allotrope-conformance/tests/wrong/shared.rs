//! Allocators that are wrong only when several threads share them.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::TestUpstream;

use super::Allocated;

/// What is wrong with a [`Shared`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SharedBug {
    /// Every so often a thread gets a block that another thread has: as if two had popped one
    /// block, because the pop is no single step.
    PopsTwice,
    /// A block that another thread frees than the one that allocated it is in use for ever.
    LosesRemoteFrees,
    /// Every so often a request is refused: the contract allows it, a twin does not.
    RefusesNowAndThen,
}

/// Hands out blocks of the upstream, one call at a time, and keeps a list of them.
pub struct Shared {
    upstream: TestUpstream,
    books: Mutex<Books>,
    bug: Option<SharedBug>,
}

#[derive(Default)]
struct Books {
    blocks: BTreeMap<usize, Block>,
    calls: u64,
}

#[derive(Clone, Copy)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    owner: ThreadId,
    /// How often it is handed out. Only a bug makes it more than once.
    times: usize,
    is_lost: bool,
}

// SAFETY: a record of memory that belongs to no thread; it is used under the lock alone.
unsafe impl Send for Block {}

/// The bugs show once in so many allocations.
const RARELY: u64 = 61;

impl Shared {
    pub fn new(upstream: TestUpstream, bug: Option<SharedBug>) -> Self {
        Self { upstream, books: Mutex::default(), bug }
    }

    pub fn bytes_used(&self) -> usize {
        self.books().blocks.values().map(|block| block.layout.size()).sum()
    }

    /// Copies the first `kept` bytes of the block at `start` into `block`, frees it, returns `block`.
    ///
    /// # Safety
    ///
    /// The block at `start` is a live one of this allocator with the layout `old`, `block` another
    /// or, by the bug, the same; both have `kept` bytes. The old one is the caller's no more.
    unsafe fn moved(
        &self,
        start: NonNull<u8>,
        old: Layout,
        block: NonNull<[u8]>,
        kept: usize,
    ) -> Allocated {
        // SAFETY: both blocks have as many bytes, and may be one.
        unsafe { block.cast::<u8>().copy_from(start, kept) };
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(start, old) };
        Ok(block)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: every block is one of the upstream's, of the same layout. Where there is a bug, two
// threads may have the same block: that is what is to be found.
unsafe impl Allocator for Shared {
    fn allocate(&self, layout: Layout) -> Allocated {
        let mut books = self.books();
        books.calls += 1;
        let is_time = books.calls.is_multiple_of(RARELY);
        if is_time && self.bug == Some(SharedBug::RefusesNowAndThen) {
            return Err(AllocError);
        }
        let me = thread::current().id();
        if is_time && self.bug == Some(SharedBug::PopsTwice) {
            let serves = |block: &&mut Block| {
                let (size, align) = (block.layout.size(), block.layout.align());
                block.owner != me && size >= layout.size() && align >= layout.align() && size > 0
            };
            if let Some(block) = books.blocks.values_mut().find(serves) {
                block.times += 1;
                return Ok(NonNull::slice_from_raw_parts(block.start, layout.size()));
            }
        }
        let start = self.upstream.allocate(layout)?.cast::<u8>();
        let block = Block { start, layout, owner: me, times: 1, is_lost: false };
        books.blocks.insert(start.addr().get(), block);
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    // The trait's own copy with `copy_nonoverlapping`: where a thread frees what another allocated,
    // the block that is handed out twice may be the one that grows.

    unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promise; the new block is at least as large as the old one.
        unsafe { self.moved(start, old, self.allocate(new)?, old.size()) }
    }

    unsafe fn grow_zeroed(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        let block = self.allocate(new)?;
        let (kept, rest) = (old.size(), new.size() - old.size());
        // SAFETY: both ranges lie in the new block.
        unsafe { block.cast::<u8>().add(kept).write_bytes(0, rest) };
        // SAFETY: as in `grow`.
        unsafe { self.moved(start, old, block, kept) }
    }

    unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
        // SAFETY: the caller's promise; the old block is at least as large as the new one.
        unsafe { self.moved(start, old, self.allocate(new)?, new.size()) }
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, _: Layout) {
        let mut books = self.books();
        let block = books.blocks.get_mut(&start.addr().get()).expect("a block of ours");
        if block.times > 1 {
            block.times -= 1;
            return;
        }
        let is_remote = block.owner != thread::current().id();
        if is_remote && self.bug == Some(SharedBug::LosesRemoteFrees) {
            block.is_lost = true;
            return;
        }
        let layout = block.layout;
        books.blocks.remove(&start.addr().get());
        // SAFETY: the block came from the upstream with this layout, and nobody has it any more.
        unsafe { self.upstream.deallocate(start, layout) };
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for block in self.books().blocks.values().filter(|block| block.is_lost) {
            // SAFETY: as in `deallocate`; it was freed, and is only in the list by mistake.
            unsafe { self.upstream.deallocate(block.start, block.layout) };
        }
    }
}
