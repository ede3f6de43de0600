//! The domain over which extents are tested: every small size, and the surroundings of every limit.

#![forbid(unsafe_code)]
#![cfg(test)]

/// Calls `check` with sizes and alignments: every size to 1 MiB with every alignment, then 64
/// sizes to either side of every power of two and of three quarters of it, up to `isize::MAX`.
pub(crate) fn sizes_and_alignments(mut check: impl FnMut(usize, usize)) {
    let all = if cfg!(miri) { 1 << 8 } else { 1 << 20 };
    for align in alignments() {
        for size in 0..=all {
            check(size, align);
        }
        for limit in (8..usize::BITS - 1).flat_map(|shift| [1 << shift, 3 << (shift - 2)]) {
            for size in limit - 64..=limit + 64_usize {
                check(size.min(isize::MAX as usize), align);
            }
        }
        for below in 0..=64 {
            check(isize::MAX as usize - below, align);
        }
    }
}

/// Every power of two.
pub(crate) fn alignments() -> impl Iterator<Item = usize> {
    (0..usize::BITS).map(|shift| 1 << shift)
}
