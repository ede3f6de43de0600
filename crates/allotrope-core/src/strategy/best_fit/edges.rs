//! The edges: one bit per granule that says whether free memory begins or ends where it starts.
//!
//! ```text
//! granules   │ used  │ free      │ used │free│ used       │ free   │
//! edges      │0   0  │1   0   0  │1   0 │1   │1   0   0   │1   0   │1
//! ```
//!
//! What lies before the first granule and behind the last counts as used. So a block's two ends
//! turn over when it is taken and when it is freed, whatever its neighbours are; and a block in use
//! has a free neighbour at that end where the bit is set.
//!
//! # Invariants
//!
//! 1. The words below `wiped`, and the word of the last bit, hold what they say. All others may
//!    hold anything, and count as zero: nobody has used the granules there. So a bitmap over memory
//!    of unknown contents is not wiped before it is used.
//! 2. Bits up to [`valid`](Edges::valid) lie in words below `wiped`, or in that of the last bit.

use core::ptr::NonNull;

use allotrope_sync::fatal::promised;

/// How many words of 64 bits are wiped beyond what is needed now, besides a third of those that
/// are: so all are wiped before the last quarter is used.
const WIPED_AHEAD: u32 = 96;

/// How many words are wiped at once, if no more are needed now.
const WIPED_AT_ONCE: u32 = 60;

/// After how many granules more the next words are wiped.
const USED_AT_ONCE: u32 = 768;

/// The bitmap of an area's edges.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    words: NonNull<u64>,
    /// Bits up to this one hold what they say, and all behind it but the last are zero.
    valid: u32,
    /// Bits below this one lie in words that hold what they say.
    wiped: u32,
    /// When bits from this one on become valid, more words are wiped; at most `wiped`.
    due: u32,
    /// The last bit: that behind the last granule.
    last: u32,
}

impl Edges {
    /// The bitmap at `words`, of no granules yet.
    ///
    /// # Safety
    ///
    /// Nothing but [`valid`](Self::valid) is called before [`extend`](Self::extend) was. From then on,
    /// until this value or a copy of it is used for the last time, the words have a bit for every
    /// granule and one more, and are valid for reads and writes of those.
    pub const unsafe fn new(words: NonNull<u64>) -> Self {
        Self { words, valid: 0, wiped: 0, due: 0, last: 0 }
    }

    /// Up to which granule the bits hold what they say.
    #[inline(always)]
    pub const fn valid(&self) -> u32 {
        self.valid
    }

    /// Does free memory begin or end where `granule` starts?
    ///
    /// # Safety
    ///
    /// `granule` is valid, or the last bit's.
    #[inline(always)]
    pub unsafe fn is_edge(&self, granule: u32) -> bool {
        let (word, mask) = position(granule);
        // SAFETY: the word is in the bitmap (caller).
        unsafe { self.words.add(word).read() & mask != 0 }
    }

    /// Turns a bit over, and returns what it was.
    ///
    /// # Safety
    ///
    /// As for `is_edge`, and nobody else accesses the bitmap.
    #[inline(always)]
    pub unsafe fn toggle(&mut self, granule: u32) -> bool {
        let is_wiped = granule <= self.valid || granule == self.last;
        promised!(is_wiped, "an edge nobody wiped", granule as usize);
        let (word, mask) = position(granule);
        // SAFETY: the word is in the bitmap (caller).
        unsafe {
            let word = self.words.add(word);
            let old = word.read();
            word.write(old ^ mask);
            old & mask != 0
        }
    }

    /// The first edge from `from` on that is valid; the last bit is not among them, unless it is.
    ///
    /// # Safety
    ///
    /// There are granules: the bitmap was [extended](Self::extend).
    pub unsafe fn first_from(&self, from: u32) -> Option<u32> {
        let mut bit = from;
        while bit <= self.valid {
            let (word, mask) = position(bit);
            // SAFETY: the bit is valid, so it is in the bitmap (caller, invariant 2).
            let rest = unsafe { self.words.add(word).read() } & mask.wrapping_neg();
            if rest != 0 {
                let found = word as u32 * 64 + rest.trailing_zeros();
                return (found <= self.valid).then_some(found);
            }
            bit = (word as u32 + 1).checked_mul(64)?;
        }
        None
    }

    /// Makes the bits up to `granule` valid.
    ///
    /// # Safety
    ///
    /// `granule` is at most the last bit's, and nobody else accesses the bitmap.
    #[inline(always)]
    pub unsafe fn validate(&mut self, granule: u32) {
        // SAFETY: as the caller promises.
        unsafe { self.validate_and_wipe(granule, self.wiped) };
    }

    /// Makes the bits up to `granule` valid, unless more words are to be wiped for that, or wiped
    /// ahead of need: then it is false.
    #[inline(always)]
    pub const fn try_validate(&mut self, granule: u32) -> bool {
        if granule > self.valid {
            if granule >= self.due {
                return false;
            }
            self.valid = granule;
        }
        true
    }

    /// [`validate`](Self::validate), which wipes ahead of need as well: the time to do so is when all
    /// else is cheap.
    ///
    /// # Safety
    ///
    /// As for `validate`.
    #[inline(always)]
    pub unsafe fn validate_ahead(&mut self, granule: u32) {
        // SAFETY: as the caller promises.
        unsafe { self.validate_and_wipe(granule, self.due) };
    }

    /// [`validate`](Self::validate), which wipes from granule `due` on.
    ///
    /// # Safety
    ///
    /// As for `validate`, and `due` is at most `wiped`.
    #[inline(always)]
    unsafe fn validate_and_wipe(&mut self, granule: u32, due: u32) {
        if granule > self.valid {
            self.valid = granule;
            if granule >= due {
                // SAFETY: as the caller promises.
                unsafe { self.wipe(granule) };
            }
        }
    }

    /// Wipes the words up to that of a bit, and some behind it, but for that of the last bit.
    ///
    /// # Safety
    ///
    /// As for `validate`.
    #[inline(never)]
    unsafe fn wipe(&mut self, granule: u32) {
        let (first, word, last) = (self.wiped / 64, granule / 64, self.last / 64);
        let ahead = (word + word / 3 + WIPED_AHEAD).min(first + WIPED_AT_ONCE);
        let end = ahead.max(word + 1).min(last);
        if first >= end {
            self.due = self.wiped;
            return;
        }
        self.wiped = end * 64;
        self.due = self.wiped.min(granule.saturating_add(USED_AT_ONCE));
        // SAFETY: the words lie below that of the last bit.
        unsafe { self.words.add(first as usize).write_bytes(0, (end - first) as usize) };
    }

    /// Makes room for more granules: the last bit is `granules` now. The bit that was the last is
    /// the caller's to set right.
    ///
    /// # Safety
    ///
    /// The bitmap has room for as many, which is more than before, and nobody else accesses it.
    pub unsafe fn extend(&mut self, granules: u32) {
        let (word, _) = position(granules);
        // SAFETY: both words are in the bitmap (caller). One that is wiped held nothing that
        // counted, for it is neither below `wiped` nor that of the last bit.
        unsafe {
            if self.last == 0 {
                self.words.write(0);
            }
            if word > position(self.last).0 {
                self.words.add(word).write(0);
            }
        }
        // What was the last word stays as it is if it has valid bits.
        let old_last = position(self.last).0;
        if old_last == position(self.valid).0 {
            self.wiped = (old_last as u32 + 1) * 64;
            self.due = self.wiped;
        }
        self.last = granules;
    }

    /// Clears all bits.
    ///
    /// # Safety
    ///
    /// Nobody else accesses the bitmap.
    pub unsafe fn clear(&mut self) {
        let (words, last) = (position(self.valid).0 + 1, position(self.last).0);
        // SAFETY: as many words are valid, and the last one is in the bitmap.
        unsafe {
            self.words.write_bytes(0, words);
            self.words.add(last).write(0);
        }
    }
}

/// The word that a bit lies in, and its mask there.
#[inline(always)]
const fn position(bit: u32) -> (usize, u64) {
    ((bit / 64) as usize, 1 << (bit % 64))
}
