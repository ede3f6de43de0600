//! Which pages of a region do not read as zero any more: one bit each.
//!
//! # Invariants
//!
//! 1. There is a word for each page in range: one that was added to the region and whose tables are
//!    committed.

use core::ptr::NonNull;

/// The bitmap of a region's dirty pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dirty(NonNull<u64>);

impl Dirty {
    /// The bitmap at `words`, of no pages yet.
    pub(super) const fn new(words: NonNull<u64>) -> Self {
        Self(words)
    }

    /// Makes the pages from `old` to `new` dirty, which are not in range yet.
    ///
    /// # Safety
    ///
    /// Their words are the bitmap's alone and valid for writes.
    pub(super) unsafe fn begin_dirty(&mut self, old: usize, new: usize) {
        let (from, to) = (old.div_ceil(64), new.div_ceil(64));
        // SAFETY: as the caller promises.
        unsafe { self.0.add(from).write_bytes(u8::MAX, to - from) };
    }

    /// The number of pages that are not dirty yet.
    ///
    /// # Safety
    ///
    /// The pages, one at least, are in range.
    #[inline]
    pub(super) unsafe fn clean(&self, first: u32, count: u32) -> u32 {
        let shift = first % 64;
        if shift + count <= 64 {
            let mask = (u64::MAX >> (64 - count)) << shift;
            // SAFETY: there is a word for each page in range (caller, invariant 1).
            let clean = mask & !unsafe { self.0.add((first / 64) as usize).read() };
            // Pages that were used before are nearly always dirty.
            return if clean == 0 { 0 } else { clean.count_ones() };
        }
        // SAFETY: as the caller promises.
        unsafe { self.clean_of_many(first, count) }
    }

    /// [`clean`](Self::clean), where the pages have several words.
    ///
    /// # Safety
    ///
    /// As for `clean`.
    #[inline(never)]
    unsafe fn clean_of_many(&self, first: u32, count: u32) -> u32 {
        let mut clean = 0;
        // SAFETY: as the caller promises; the words are the bitmap's.
        unsafe {
            self.each_word(first, count, |word, mask| {
                let here = mask & !word.read();
                if here != 0 {
                    clean += here.count_ones();
                }
            });
        }
        clean
    }

    /// Notes that pages may be written to.
    ///
    /// # Safety
    ///
    /// The pages are in range.
    pub(super) unsafe fn mark(&mut self, first: u32, count: u32) {
        // SAFETY: as the caller promises; the words are the bitmap's, which is ours.
        unsafe { self.each_word(first, count, |word, mask| word.write(word.read() | mask)) };
    }

    /// Notes that pages read as zero.
    ///
    /// # Safety
    ///
    /// The pages are in range.
    pub(super) unsafe fn clear(&mut self, first: u32, count: u32) {
        // SAFETY: as the caller promises; the words are the bitmap's, which is ours.
        unsafe { self.each_word(first, count, |word, mask| word.write(word.read() & !mask)) };
    }

    /// The first dirty page from `from` on and before `end`.
    ///
    /// # Safety
    ///
    /// The pages are in range.
    pub(super) unsafe fn first(&self, from: u32, end: u32) -> Option<u32> {
        let mut page = from;
        while page < end {
            // SAFETY: there is a word for each page in range (caller, invariant 1).
            let rest = unsafe { self.0.add((page / 64) as usize).read() } >> (page % 64);
            if rest != 0 {
                let found = page + rest.trailing_zeros();
                return (found < end).then_some(found);
            }
            page = (page / 64 + 1) * 64;
        }
        None
    }

    /// How many of the first `pages` pages are dirty.
    ///
    /// # Safety
    ///
    /// The pages are in range.
    pub(super) unsafe fn count(&self, pages: u32) -> usize {
        let mut count = 0;
        // SAFETY: as the caller promises; the words are the bitmap's.
        unsafe {
            self.each_word(0, pages, |word, mask| {
                count += (word.read() & mask).count_ones() as usize;
            });
        }
        count
    }

    /// Visits the words that have the bits of so many pages, with a mask of these.
    ///
    /// # Safety
    ///
    /// The pages are in range.
    unsafe fn each_word(&self, first: u32, count: u32, mut visit: impl FnMut(NonNull<u64>, u64)) {
        let (mut page, end) = (first, first + count);
        while page < end {
            let stop = ((page / 64 + 1) * 64).min(end);
            let mask = (u64::MAX >> (64 - (stop - page))) << (page % 64);
            // SAFETY: there is a word for each page in range (caller, invariant 1).
            visit(unsafe { self.0.add((page / 64) as usize) }, mask);
            page = stop;
        }
    }
}
