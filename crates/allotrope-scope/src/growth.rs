//! How large chunks are: the arithmetic of growth, without a single pointer.
//!
//! Chunks of blocks double in size, from the second on, up to a cap: what a new one adds is never
//! more than what the ones before it hold, as long as these are full. A block that is large beside
//! the next chunk gets a chunk of its own, and does not make the next one larger, unless there are
//! many such blocks.

#![forbid(unsafe_code)]

/// The size in bytes of the first chunk where address space is reserved in pages, which cost
/// nothing until they are touched. `OsPages` keeps regions of this size for the next arena.
pub(crate) const FIRST_OF_PAGES: usize = 64 * 1024;

/// The size in bytes of the first chunk elsewhere.
pub(crate) const FIRST: usize = 4 * 1024;

/// Up to what size in bytes chunks double, unless the user says otherwise.
pub(crate) const CAP: usize = 1024 * 1024;

/// After so many chunks of one block, the next chunk of many is larger.
const MANY: u8 = 4;

/// How chunks have grown so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Growth {
    /// The size of the next chunk, if the cap allows it.
    next: usize,
    cap: usize,
    /// Is there no chunk yet?
    is_first: bool,
    /// Chunks of one block since the last chunk of many.
    own_chunks: u8,
}

impl Growth {
    /// Chunks that begin with `first` bytes.
    pub(crate) const fn from(first: usize) -> Self {
        Self { next: first, cap: CAP, is_first: true, own_chunks: 0 }
    }

    /// The same with another cap. How far chunks have grown is not forgotten under a low one.
    pub(crate) const fn with_cap(self, cap: usize) -> Self {
        Self { cap, ..self }
    }

    /// Up to what size chunks double.
    pub(crate) const fn cap(self) -> usize {
        self.cap
    }

    /// How large the next chunk should be, in bytes.
    pub(crate) const fn next(self) -> usize {
        if self.next < self.cap { self.next } else { self.cap }
    }

    /// What follows when such a chunk was added.
    pub(crate) const fn after_chunk(self) -> Self {
        let grown = if self.is_first { self } else { self.doubled() };
        Self { is_first: false, own_chunks: 0, ..grown }
    }

    /// What follows when a block got a chunk of its own.
    pub(crate) const fn after_own_chunk(self) -> Self {
        if self.own_chunks + 1 < MANY {
            return Self { own_chunks: self.own_chunks + 1, ..self };
        }
        Self { own_chunks: 0, ..self.doubled() }
    }

    const fn doubled(self) -> Self {
        let doubled = self.next.saturating_mul(2);
        let next = if doubled < self.cap { doubled } else { self.cap };
        Self { next: if self.next < next { next } else { self.next }, ..self }
    }
}

/// Does a block that needs `need` bytes get a chunk of its own? `room` is what the current chunk
/// still has, `next` is the size of the one that would take its place.
pub(crate) const fn is_own(need: usize, room: usize, next: usize) -> bool {
    need > next / 2 || (need > next / 8 && room > next / 8)
}

/// Is a chunk of `size` bytes that was used for another block of its own good for one that needs
/// `need`? If it is much larger it is not: a chain of such would hold ever more.
pub(crate) const fn is_fit(size: usize, need: usize) -> bool {
    need <= size && size / 2 <= need
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_adds_no_more_than_there_was() {
        let mut growth = Growth::from(100);
        let (mut held, mut sizes) = (0, [0; 16]);
        for size in &mut sizes {
            *size = growth.next();
            assert!(held == 0 || *size <= held);
            held += *size;
            growth = growth.after_chunk();
        }
        assert_eq!(sizes[..6], [100, 100, 200, 400, 800, 1600]);
        assert_eq!(sizes[15], CAP);
    }

    #[test]
    fn one_large_block_changes_nothing_and_many_do() {
        let growth = Growth::from(4096).after_chunk();
        let mut after = growth;
        for _ in 1..MANY {
            after = after.after_own_chunk();
            assert_eq!(after.next(), 4096);
        }
        assert_eq!(after.after_own_chunk().next(), 8192);
        assert_eq!(after.after_chunk().after_own_chunk().next(), 8192);
    }

    #[test]
    fn nothing_exceeds_the_cap() {
        let mut growth = Growth::from(4096).with_cap(10_000);
        for _ in 0..100 {
            growth = growth.after_chunk().after_own_chunk();
            assert!(growth.next() <= 10_000);
        }
        assert_eq!(growth.next(), 10_000);
        assert_eq!(growth.with_cap(usize::MAX).after_chunk().next(), 20_000);
        assert_eq!(growth.with_cap(16).next(), 16);
        assert_eq!(growth.with_cap(0).after_own_chunk().with_cap(usize::MAX).next(), 10_000);
    }

    #[test]
    fn little_is_wasted_at_the_end_of_a_chunk() {
        for next in [1024, 65_536] {
            for room in (0..=next).step_by(64) {
                for need in (room + 1..=2 * next).step_by(64) {
                    let own = is_own(need, room, next);
                    assert!(own || need <= next / 2);
                    assert!(own || room <= next / 8, "{room} of {next} wasted for {need}");
                }
            }
        }
    }

    #[test]
    fn a_chunk_fits_what_takes_half_of_it() {
        assert!(is_fit(1000, 1000) && is_fit(1000, 500));
        assert!(!is_fit(1000, 1001) && !is_fit(1000, 499));
    }
}
