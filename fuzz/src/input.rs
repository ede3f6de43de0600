//! The fuzzer's bytes as numbers, sizes and layouts.

#![forbid(unsafe_code)]

use std::alloc::Layout;

/// Bytes that are read one after the other; behind the last one, zeros.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes were read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number of the next two bytes.
    pub fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// A number of the next eight bytes.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `limit`, which is at most 256 and not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A size of at most `largest` bytes, mostly small or near one of `limits`, or else one that no
    /// memory holds.
    pub fn size(&mut self, limits: &[usize], largest: usize) -> usize {
        let number = self.short();
        let (way, rest) = (number & 3, number >> 2);
        let size = match way {
            0 => rest & 0xff,
            1 => (16 + (rest & 15)) << (rest >> 4 & 15),
            2 if !limits.is_empty() => {
                let limit = limits[(rest & 31) % limits.len()];
                (limit + (rest >> 5 & 127)).saturating_sub(64)
            }
            _ if rest >= 0x3ff0 => return isize::MAX as usize >> (rest & 1),
            _ => rest,
        };
        size.min(largest)
    }

    /// A layout of at most `largest` bytes, and at an alignment of at most a page; see
    /// [`Input::size`].
    pub fn layout(&mut self, limits: &[usize], largest: usize) -> Layout {
        let size = self.size(limits, largest);
        let shift = self.below(32);
        let shift = if shift > 12 { shift % 5 } else { shift };
        Layout::from_size_align(size, 1 << shift).unwrap_or(Layout::new::<u8>())
    }
}
