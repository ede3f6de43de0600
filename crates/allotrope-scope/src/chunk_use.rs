//! What a chunk is used for: a line of an arena's account.

use core::iter;
use core::ptr::NonNull;

use allotrope_core::Source;

use crate::space::Space;

/// A chunk of an arena, as [`chunks`](crate::Arena::chunks) lists them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChunkUse {
    start: NonNull<u8>,
    used: usize,
    size: usize,
}

impl ChunkUse {
    /// Where its first block goes.
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes from there blocks take, with what lies unused between them.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// How many bytes it takes from the source, bookkeeping included.
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// All chunks of `space`. Blocks may be allocated meanwhile: should a chunk go elsewhere by that,
/// nothing more comes.
pub(crate) fn chunk_uses<S: Source>(space: &Space<S>) -> impl Iterator<Item = ChunkUse> {
    let used = space.used().map(|(chunk, end)| {
        let start = chunk.start();
        ChunkUse { start, used: end.addr().get() - start.addr().get(), size: chunk.size() }
    });
    let unused = space.chunks.unused().map(|chunk| ChunkUse {
        start: chunk.start(),
        used: 0,
        size: chunk.size(),
    });
    let (mut uses, moves) = (used.chain(unused), space.chunks.moves());
    iter::from_fn(move || if space.chunks.moves() == moves { uses.next() } else { None })
}
