//! Where a block lies that has a prefix before it and a suffix behind it.
//!
//! ```text
//! outer                                                     outer + outer.size()
//!   │ (padding) │ prefix │ block            │ (padding) │ suffix │
//!                        ▲                              ▲
//!                  outer + block                  outer + suffix
//! ```
//!
//! The prefix ends where the block starts, so that it is found without knowing the layout.

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// A block within the block that has room for the affixes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Affixed {
    /// The layout of all three.
    pub(crate) outer: Layout,
    /// Where the block starts, which is where the prefix ends.
    pub(crate) block: usize,
    /// Where the suffix starts.
    pub(crate) suffix: usize,
}

impl Affixed {
    /// A block for `block` between a prefix and a suffix, or `None` if no memory could hold that.
    ///
    /// What is larger in size, at the same alignment, is no smaller in any figure here.
    #[inline(always)]
    pub(crate) const fn new(block: Layout, prefix: Layout, suffix: Layout) -> Option<Self> {
        let inner_align = larger(block.align(), prefix.align());
        let align = larger(inner_align, suffix.align());
        if let Some(start) = prefix.size().checked_next_multiple_of(inner_align)
            && let Some(end) = start.checked_add(block.size())
            && let Some(behind) = end.checked_next_multiple_of(suffix.align())
            && let Some(size) = behind.checked_add(suffix.size())
            && let Ok(outer) = Layout::from_size_align(size, align)
        {
            return Some(Self { outer, block: start, suffix: behind });
        }
        None
    }
}

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn nothing_around_a_block_adds_nothing() {
        for (size, align) in [(1, 1), (100, 8), (isize::MAX as usize - 15, 16)] {
            let block = layout(size, align);
            let plain = Affixed { outer: block, block: 0, suffix: size };
            assert_eq!(Affixed::new(block, layout(0, 1), layout(0, 1)), Some(plain));
        }
    }

    #[test]
    fn all_three_are_aligned_and_apart() {
        let aligns = [1, 2, 8, 64];
        let affixes: [_; 20] =
            core::array::from_fn(|n| layout((n / 4) * aligns[n % 4], aligns[n % 4]));
        for (prefix, suffix) in affixes.iter().flat_map(|p| affixes.iter().map(move |s| (*p, *s))) {
            let mut last: Option<Affixed> = None;
            for block in (1..80).map(|size| layout(size, 16)) {
                let all = Affixed::new(block, prefix, suffix).unwrap();
                let prefix_start = all.block - prefix.size();
                assert!(all.block.is_multiple_of(block.align()));
                assert!(prefix_start.is_multiple_of(prefix.align()));
                assert!(all.suffix.is_multiple_of(suffix.align()));
                assert!(all.suffix >= all.block + block.size());
                assert_eq!(all.outer.size(), all.suffix + suffix.size());
                for align in [block.align(), prefix.align(), suffix.align()] {
                    assert!(all.outer.align() >= align);
                }
                if let Some(last) = last {
                    assert_eq!((last.block, last.outer.align()), (all.block, all.outer.align()));
                    assert!(last.suffix <= all.suffix);
                }
                last = Some(all);
            }
        }
    }

    #[test]
    fn what_no_memory_holds_is_none() {
        let largest = layout(isize::MAX as usize, 1);
        let one = layout(1, 1);
        let none = layout(0, 1);
        assert_eq!(Affixed::new(largest, one, none), None);
        assert_eq!(Affixed::new(largest, none, one), None);
        assert_eq!(Affixed::new(one, largest, largest), None);
        assert_eq!(Affixed::new(layout(1, 1 << (usize::BITS - 2)), one, largest), None);
        assert_eq!(Affixed::new(largest, none, layout(0, 2)), None);
    }
}
