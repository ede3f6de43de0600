//! Size classes: which block size serves which request.
//!
//! Every doubling is split into four equal steps, so a block is less than a quarter larger than the
//! request that it serves (up to 64 bytes, a request is rounded to a multiple of 16 instead).
//!
//! ```text
//! class    0   1   2   3 │  4   5   6   7 │  8   9  10  11 │ …  28   29   30   31
//! block   16  32  48  64 │ 80  96 112 128 │160 192 224 256 │ … 5120 6144 7168 8192
//! step          16       │       16       │       32       │         1024
//! ```
//!
//! # Alignment
//!
//! A block is aligned to the largest power of two that divides its size. So an aligned request is
//! a rounded size: rounded up to a multiple of its alignment *before* its class is looked up. Steps
//! are powers of two: either the step is a multiple of the alignment, and so is the block size, or
//! the alignment is a multiple of the step, and the rounded request is a block size itself.
//!
//! # Fits
//!
//! The class of a block size is that block size's, and every size in between has the same one, at
//! any alignment that the block size is a multiple of. So a block can be freed with any size from
//! what was asked for to what was returned.

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// One of the block sizes. It is an enum so that the compiler knows how many there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "see the table above")]
pub enum SizeClass {
    C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15,
    C16, C17, C18, C19, C20, C21, C22, C23, C24, C25, C26, C27, C28, C29, C30, C31,
}

impl SizeClass {
    /// How many classes there are.
    pub const COUNT: usize = 32;

    /// The size in bytes of the largest class's blocks.
    pub const LARGEST: usize = 8192;

    /// The class that serves `layout`, if there is one with blocks of at most `limit` bytes, which
    /// is a block size itself. None serves a request of size 0.
    #[inline(always)]
    pub const fn for_layout(layout: Layout, limit: usize) -> Option<Self> {
        // The last byte of the size rounded up to the alignment. Zero wraps around, beyond any limit.
        let last = layout.size().wrapping_sub(1) | (layout.align() - 1);
        // A limit is at most `LARGEST`; the second comparison is for the compiler.
        if last >= limit || last >= Self::LARGEST {
            return None;
        }
        Some(CLASS_OF[last >> STEP_SHIFT])
    }

    /// The class at `index`, which is below [`COUNT`](Self::COUNT).
    pub const fn at(index: usize) -> Self {
        ALL[index]
    }

    /// The size in bytes of the blocks.
    #[inline(always)]
    pub const fn block_size(self) -> usize {
        BLOCK_SIZES[self.index()] as usize
    }

    /// The alignment of the blocks.
    #[inline(always)]
    pub const fn block_align(self) -> usize {
        1 << self.block_size().trailing_zeros()
    }

    /// The position of this class in a table of [`COUNT`](Self::COUNT) entries.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Is `size` a block size?
    pub const fn is_block_size(size: usize) -> bool {
        match Layout::from_size_align(size, 1) {
            Ok(layout) => match Self::for_layout(layout, Self::LARGEST) {
                Some(class) => class.block_size() == size,
                None => false,
            },
            Err(_) => false,
        }
    }
}

/// The smallest step between two classes.
const STEP: usize = 1 << STEP_SHIFT;
const STEP_SHIFT: u32 = 4;

const BLOCK_SIZES: [u16; SizeClass::COUNT] = {
    let mut sizes = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        sizes[index] = match index / 4 {
            0 => (index + 1) * STEP,
            doubling => (4 + index % 4 + 1) * (STEP << (doubling - 1)),
        } as u16;
        index += 1;
    }
    sizes
};

/// The class of the sizes whose last byte is in each [`STEP`].
const CLASS_OF: [SizeClass; SizeClass::LARGEST / STEP] = {
    let mut classes = [SizeClass::C0; SizeClass::LARGEST / STEP];
    let (mut step, mut class) = (0, 0);
    while step < classes.len() {
        if (step + 1) * STEP > BLOCK_SIZES[class] as usize {
            class += 1;
        }
        classes[step] = ALL[class];
        step += 1;
    }
    classes
};

/// All classes, the smallest first.
#[rustfmt::skip]
const ALL: [SizeClass; SizeClass::COUNT] = {
    use SizeClass::*;
    [
        C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15,
        C16, C17, C18, C19, C20, C21, C22, C23, C24, C25, C26, C27, C28, C29, C30, C31,
    ]
};

const _: () = assert!(BLOCK_SIZES[SizeClass::COUNT - 1] as usize == SizeClass::LARGEST);

#[cfg(test)]
mod tests {
    use super::super::cover::sizes_and_alignments;
    use super::*;

    fn class_of(size: usize, align: usize) -> Option<SizeClass> {
        let layout = Layout::from_size_align(size, align).ok()?;
        SizeClass::for_layout(layout, SizeClass::LARGEST)
    }

    #[test]
    fn classes_are_the_smallest_that_are_large_enough_and_aligned() {
        sizes_and_alignments(|size, align| {
            let fits =
                |class: &SizeClass| class.block_size() >= size && class.block_align() >= align;
            let mut all = (0..SizeClass::COUNT).map(SizeClass::at);
            let expected = if size == 0 { None } else { all.find(fits) };
            assert_eq!(class_of(size, align), expected, "{size} {align}");
        });
    }

    #[test]
    fn a_block_size_is_in_its_own_class_at_any_alignment_that_it_has() {
        for class in (0..SizeClass::COUNT).map(SizeClass::at) {
            let size = class.block_size();
            assert!(SizeClass::is_block_size(size) && !SizeClass::is_block_size(size - 1));
            for shift in 0..=class.block_align().ilog2() {
                assert_eq!(class_of(size, 1 << shift), Some(class), "{size} {shift}");
            }
        }
    }

    #[test]
    fn every_size_that_fits_has_the_same_class() {
        for align in (0..=13).map(|shift| 1 << shift) {
            for class in (1..=SizeClass::LARGEST).filter_map(|size| class_of(size, align)) {
                assert_eq!(class_of(class.block_size(), align), Some(class), "{align}");
            }
        }
    }

    #[test]
    fn waste_stays_below_a_quarter() {
        for size in 65..=SizeClass::LARGEST {
            let waste = class_of(size, 1).unwrap().block_size() - size;
            assert!(waste * 4 < size, "{size} wastes {waste}");
        }
    }

    #[test]
    fn a_limit_is_inclusive() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        assert!(SizeClass::for_layout(layout(4096), 4096).is_some());
        assert_eq!(SizeClass::for_layout(layout(4097), 4096), None);
    }
}
