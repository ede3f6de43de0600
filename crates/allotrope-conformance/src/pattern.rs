//! What the suite writes into blocks, and how it finds out that somebody else wrote there.
//!
//! A byte of the pattern is a function of the block's tag and of its offset, so that a block that
//! moved is checked where it moved to, and more of it can be filled at any time. No byte is zero.
//!
//! Short blocks are filled and checked whole. Of long ones these windows are:
//!
//! ```text
//!   ├─64─┤     ├16┤     ├16┤     ├16┤   …   ├─64─┤
//!   0                                            len
//! ```

use std::ops::Range;
use std::ptr::NonNull;

use crate::random::mix;

/// Blocks up to this length are filled and checked whole.
const WHOLE: usize = 256;
/// The windows at the start and at the end of a longer block.
const EDGE: usize = 64;
/// The windows between.
const MIDDLE: usize = 16;
/// How many windows there are between, at most.
const MIDDLES: usize = 8;

/// Fills the windows of a block of `len` bytes.
///
/// # Safety
///
/// `len` bytes from `start` are valid for writes, and nothing else accesses them meanwhile.
pub(crate) unsafe fn fill(start: NonNull<u8>, len: usize, tag: u64) {
    for window in windows(len) {
        // SAFETY: windows lie within `len` bytes, and the caller promises those.
        unsafe { fill_range(start, window, tag) };
    }
}

/// Fills the bytes of `range`, whatever the windows are.
///
/// # Safety
///
/// As for [`fill`], with the end of `range` as the length.
pub(crate) unsafe fn fill_range(start: NonNull<u8>, range: Range<usize>, tag: u64) {
    for (at, word) in words(range.clone(), tag) {
        let from = at.max(range.start);
        let to = (at + 8).min(range.end);
        let bytes = word.to_le_bytes();
        let bytes = &bytes[from - at..to - at];
        // SAFETY: `from..to` lies in `range`, which the caller promises; the bytes come from a
        // variable of ours.
        unsafe {
            start.add(from).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len())
        };
    }
}

/// The offset of the first byte below `kept` that is in a window of a block of `len` bytes and
/// not as [`fill`] left it.
///
/// # Safety
///
/// `kept` bytes from `start` are valid for reads. Those in the windows are initialized.
pub(crate) unsafe fn first_difference(
    start: NonNull<u8>,
    len: usize,
    kept: usize,
    tag: u64,
) -> Option<usize> {
    windows(len).find_map(|window| {
        let window = window.start.min(kept)..window.end.min(kept);
        // SAFETY: the range ends at `kept` or before it, and lies in a window.
        unsafe { first_difference_in(start, window, tag) }
    })
}

/// The offset of the first byte in `range` that is not as [`fill_range`] left it.
///
/// # Safety
///
/// The bytes of `range` are valid for reads, and initialized.
pub(crate) unsafe fn first_difference_in(
    start: NonNull<u8>,
    range: Range<usize>,
    tag: u64,
) -> Option<usize> {
    for (at, word) in words(range.clone(), tag) {
        let from = at.max(range.start);
        let to = (at + 8).min(range.end);
        let expected = &word.to_le_bytes()[from - at..to - at];
        // SAFETY: `from..to` lies in `range`, which the caller promises.
        let found = unsafe { NonNull::slice_from_raw_parts(start.add(from), to - from).as_ref() };
        if found != expected {
            let same = found.iter().zip(expected).take_while(|(found, wanted)| found == wanted);
            return Some(from + same.count());
        }
    }
    None
}

/// The offset of the first byte in `range` that is not zero.
///
/// # Safety
///
/// The bytes of `range` are valid for reads, and initialized.
pub(crate) unsafe fn first_nonzero(start: NonNull<u8>, range: Range<usize>) -> Option<usize> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut from = range.start;
    while from < range.end {
        let len = (range.end - from).min(ZEROS.len());
        // SAFETY: `from..from + len` lies in `range`, which the caller promises.
        let found = unsafe { NonNull::slice_from_raw_parts(start.add(from), len).as_ref() };
        if found != &ZEROS[..len] {
            return found.iter().position(|&byte| byte != 0).map(|at| from + at);
        }
        from += len;
    }
    None
}

/// The byte that the pattern has at `offset`.
pub(crate) fn byte_at(tag: u64, offset: usize) -> u8 {
    word_at(tag, offset / 8).to_le_bytes()[offset % 8]
}

/// The part of a block that is checked although no window shows it: the end of what a grow or
/// shrink has to keep.
pub(crate) fn end_of_kept(kept: usize) -> Range<usize> {
    kept.saturating_sub(EDGE)..kept
}

/// The words that a range of offsets touches, each with its own offset.
fn words(range: Range<usize>, tag: u64) -> impl Iterator<Item = (usize, u64)> {
    (range.start / 8..range.end.div_ceil(8)).map(move |index| (index * 8, word_at(tag, index)))
}

fn word_at(tag: u64, index: usize) -> u64 {
    mix(tag ^ (index as u64) << 32) | 0x0101_0101_0101_0101
}

fn windows(len: usize) -> impl Iterator<Item = Range<usize>> {
    let whole = len <= WHOLE;
    let head = if whole { 0..len } else { 0..EDGE };
    let tail = if whole { len..len } else { len - EDGE..len };
    let stride = (len / (MIDDLES + 1)).max(1);
    let middles = if whole { 0 } else { MIDDLES };
    let middle = (1..=middles).map(move |nth| nth * stride..nth * stride + MIDDLE);
    [head].into_iter().chain(middle).chain([tail]).filter(|window| !window.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_within_the_block_and_show_both_ends() {
        for len in (1..2_000).chain([4_096, 1 << 20]) {
            let all: Vec<_> = windows(len).collect();
            assert!(all.iter().all(|window| window.end <= len), "length {len}: {all:?}");
            assert!(all.first().is_some_and(|window| window.start == 0), "length {len}");
            assert!(all.last().is_some_and(|window| window.end == len), "length {len}");
        }
        assert_eq!(windows(0).count(), 0);
    }

    #[test]
    fn every_changed_byte_of_a_short_block_is_found() {
        for len in 1..=WHOLE {
            let mut bytes = vec![0_u8; len];
            let start = NonNull::from(&mut bytes[..]).cast::<u8>();
            for changed in 0..len {
                // SAFETY: the vector is ours, `len` bytes long, and initialized.
                unsafe {
                    fill(start, len, 7);
                    assert_eq!(first_difference(start, len, len, 7), None);
                    start.add(changed).write(0);
                    assert_eq!(first_difference(start, len, len, 7), Some(changed));
                    assert_eq!(first_difference(start, len, changed, 7), None);
                }
            }
        }
    }

    #[test]
    fn the_pattern_has_no_zero_byte_and_agrees_with_its_bytes() {
        let mut bytes = [0_u8; 200];
        let start = NonNull::from(&mut bytes[..]).cast::<u8>();
        // SAFETY: the vector is ours and 200 bytes long.
        unsafe { fill_range(start, 3..197, 9) };
        assert!((3..197).all(|at| bytes[at] != 0 && bytes[at] == byte_at(9, at)));
        assert!(bytes[..3].iter().chain(&bytes[197..]).all(|&byte| byte == 0));
        // SAFETY: the vector is ours and initialized.
        assert_eq!(unsafe { first_nonzero(start, 0..200) }, Some(3));
    }
}
