//! Where the bytes come from: a buffer somewhere, an upstream by small or large figures, pages.

#![forbid(unsafe_code)]

use std::mem::MaybeUninit;

use allotrope_conformance::TestUpstream;
use allotrope_core::{Buffer, Policy};

use crate::input::Input;

/// Small chunks and regions, so that there are many.
pub struct Tiny;

impl Policy for Tiny {
    const CHUNK_SIZE: usize = 1024;
    const GROWTH_SIZE: usize = 4096;
    const RESERVE_SIZE: usize = 64 * 1024;
    const LARGEST_CLASS: usize = 256;
}

/// The size of a buffer, and where it starts in one that is aligned to a page.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    shift: usize,
    size: usize,
}

impl Room {
    /// From none to 64 KiB.
    pub fn read(input: &mut Input<'_>) -> Self {
        let shift = input.below(80);
        let size = match input.below(4) {
            0 => input.short() & 1023,
            1 => input.short() & 8191,
            2 => 64 * 1024 - (input.short() & 255),
            _ => input.short(),
        };
        Self { shift, size }
    }

    /// Bytes of `upstream`.
    pub fn bytes(self, upstream: &TestUpstream) -> &mut [MaybeUninit<u8>] {
        &mut upstream.buffer(self.shift + self.size)[self.shift..]
    }

    /// The same in two, that touch at about the byte `border`: where many blocks could start.
    pub fn halves(self, upstream: &TestUpstream, border: usize) -> [&mut [MaybeUninit<u8>]; 2] {
        let border = (self.shift + border.min(self.size)) & !63;
        let (low, high) = self.bytes(upstream).split_at_mut(border.saturating_sub(self.shift));
        [low, high]
    }

    /// The same as a source.
    pub fn buffer(self, upstream: &TestUpstream) -> Buffer<'_> {
        Buffer::new(self.bytes(upstream))
    }
}
