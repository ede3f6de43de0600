//! What is known of each page of a region: a table beside the pages, so that free pages hold nothing
//! and what is behind them can be given back.
//!
//! ```text
//!                     0     1      2     3
//! free run, first   │ size │ next │ prev │      │     and `size` again in word 3 of its last page
//! used run, first   │ size │ self │ kind │      │
//! used run, others  │      │ first page, in a slab │
//! ```

use core::ptr::NonNull;

use allotrope_core::parts::Table;

/// The table of a region's pages; a place is a page's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries(NonNull<[u32; 4]>);

/// What a run of pages is used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Nothing any more.
    Nothing = 0x4652_4545,
    Slab = 0x534c_4142,
    Block = 0x424c_4f43,
}

const SIZE: usize = 0;
const NEXT: usize = 1;
const PREV: usize = 2;
const SIZE_AGAIN: usize = 3;
const FIRST: usize = 1;
const KIND: usize = 2;

impl Entries {
    /// The table at `start`.
    pub(crate) const fn new(start: NonNull<[u32; 4]>) -> Self {
        Self(start)
    }

    /// # Safety
    ///
    /// The page is in the table's range.
    #[inline(always)]
    unsafe fn word(self, page: u32, word: usize) -> NonNull<u32> {
        // SAFETY: as the caller promises; an entry has four words.
        unsafe { self.0.add(page as usize).cast::<u32>().add(word) }
    }

    /// Notes what a run of `size` pages is used for. In a slab, every page knows the first.
    ///
    /// # Safety
    ///
    /// The pages are in the table's range, and in use.
    pub(crate) unsafe fn note_used(self, first: u32, size: u32, kind: Kind) {
        // SAFETY: as the caller promises.
        unsafe {
            self.word(first, SIZE).write(size);
            self.word(first, FIRST).write(first);
            self.word(first, KIND).write(kind as u32);
            if kind == Kind::Slab {
                for page in first + 1..first + size {
                    self.word(page, FIRST).write(first);
                }
            }
        }
    }

    /// How many pages a used run has, and whether it is of this kind.
    ///
    /// # Safety
    ///
    /// `first` is the first page of a run that was noted.
    pub(crate) unsafe fn used(self, first: u32) -> (u32, u32) {
        // SAFETY: as the caller promises.
        unsafe { (self.word(first, SIZE).read(), self.word(first, KIND).read()) }
    }

    /// The first page of the slab that `page` is of.
    ///
    /// # Safety
    ///
    /// It is one of a slab.
    #[inline(always)]
    pub(crate) unsafe fn first_of_slab(self, page: u32) -> u32 {
        // SAFETY: as the caller promises.
        unsafe { self.word(page, FIRST).read() }
    }
}

// SAFETY: a free run's words are in the entries of its first and last page, so free runs, which do
// not overlap, do not share any; those of used runs are in their own pages' entries.
unsafe impl Table for Entries {
    /// 1 MiB.
    const SHORTEST_TAIL: u32 = 256;

    type Place = u32;

    #[inline(always)]
    unsafe fn place(&self, page: u32) -> u32 {
        page
    }

    #[inline(always)]
    unsafe fn after(&self, place: u32, pages: u32) -> u32 {
        place + pages
    }

    #[inline(always)]
    unsafe fn before(&self, place: u32, pages: u32) -> u32 {
        place - pages
    }

    #[inline(always)]
    unsafe fn put(&mut self, run: u32, size: u32) {
        // SAFETY: the pages are in range and nobody's (caller).
        unsafe {
            self.word(run, SIZE).write(size);
            self.word(run + size - 1, SIZE_AGAIN).write(size);
        }
    }

    #[inline(always)]
    unsafe fn take(&mut self, _: u32, _: u32) {}

    #[inline(always)]
    unsafe fn hide(&mut self, _: u32, _: u32) {}

    #[inline(always)]
    unsafe fn size(&self, run: u32) -> u32 {
        // SAFETY: `put` wrote it (caller).
        unsafe { self.word(run, SIZE).read() }
    }

    #[inline(always)]
    unsafe fn size_before(&self, end: u32) -> u32 {
        // SAFETY: `put` wrote it, for a free run ends here (caller).
        unsafe { self.word(end - 1, SIZE_AGAIN).read() }
    }

    #[inline(always)]
    unsafe fn next(&self, run: u32) -> u32 {
        // SAFETY: a free run's links are written when it enters its list.
        unsafe { self.word(run, NEXT).read() }
    }

    #[inline(always)]
    unsafe fn prev(&self, run: u32) -> u32 {
        // SAFETY: as in `next`.
        unsafe { self.word(run, PREV).read() }
    }

    #[inline(always)]
    unsafe fn set_next(&mut self, run: u32, next: u32) {
        // SAFETY: the entry of a free run's first page is ours to write.
        unsafe { self.word(run, NEXT).write(next) };
    }

    #[inline(always)]
    unsafe fn set_prev(&mut self, run: u32, prev: u32) {
        // SAFETY: as in `set_next`.
        unsafe { self.word(run, PREV).write(prev) };
    }
}
