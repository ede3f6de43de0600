//! The walk over all blocks in use.
//!
//! Slabs do not know which of their blocks are in use, only which are free. So all free blocks are
//! marked in a map of the slab, one slab after the other; what is not marked is in use.

use core::ptr::NonNull;

use allotrope_core::parts::SizeClass;
use allotrope_core::{Hook, Policy, Source};

use crate::engine::Engine;
use crate::entries::Kind;
use crate::route::{PAGE, Route};
use crate::slab::{FreeBlock, Slab};

/// A block in use; by [`LocalHeap::copy_blocks`](crate::LocalHeap::copy_blocks).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Block {
    /// Where it starts.
    pub address: usize,
    /// The route of its layout.
    pub route: Route,
    /// How many bytes it takes.
    pub extent: usize,
}

impl Block {
    /// No block, for what is yet to be filled in.
    pub const NONE: Self = Self { address: 0, route: Route::Empty, extent: 0 };
}

/// The most blocks that a slab has: 64 KiB of 16 bytes.
const MOST: usize = 4096;

/// Which blocks of a slab are free.
struct Marks([u64; MOST / 64]);

impl Marks {
    fn set(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    const fn is_set(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }
}

impl<S: Source, P: Policy, H: Hook> Engine<S, P, H> {
    /// Copies all blocks in use into `blocks`, and returns how many there are.
    pub(crate) fn copy_blocks(&mut self, blocks: &mut [Block]) -> usize {
        // What is in no list of a class is free in its slab, or in use.
        self.flush_all();
        let mut count = 0;
        let mut add = |address: usize, route, extent| {
            if let Some(place) = blocks.get_mut(count) {
                *place = Block { address, route, extent };
            }
            count += 1;
        };
        for index in 0..SizeClass::COUNT {
            let class = SizeClass::at(index);
            let block_size = class.block_size();
            self.each_slab(|slab| {
                if usize::from(slab.class) == index {
                    each_used(slab, block_size, |address| {
                        add(address, Route::Small { block_size }, block_size);
                    });
                }
            });
        }
        for (start, extent) in self.page_blocks() {
            add(start.addr().get(), Route::Medium { extent }, extent);
        }
        // SAFETY: borrowed by a heap, which no other thread uses.
        unsafe {
            self.store.large.for_each_block(|address, extent| {
                add(address, Route::Large { extent }, extent);
            });
        }
        count
    }

    /// The blocks that are runs of pages: where each starts, and its extent.
    pub(crate) fn page_blocks(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        let in_pages = self.store.regions().flat_map(|pages| {
            // SAFETY: heads in the list are ours, initialized, and borrowed with the store.
            let pages = unsafe { &*pages.as_ptr() };
            let blocks = pages.runs().filter(|run| run.2 == Some(Kind::Block));
            // SAFETY: runs lie in the region.
            let start = |page| unsafe { pages.address(page) };
            blocks.map(move |(page, count, _)| (start(page), count as usize * PAGE))
        });
        let in_pocket = self.store.pocket().into_iter().flat_map(|pocket| {
            pocket.runs().filter(|run| !run.is_slab).map(|run| (run.start, run.size))
        });
        in_pages.chain(in_pocket)
    }

    /// Visits all slabs.
    fn each_slab(&self, mut visit: impl FnMut(&Slab)) {
        for pages in self.store.regions() {
            // SAFETY: heads in the list are ours, initialized, and borrowed with the engine.
            let pages = unsafe { pages.as_ref() };
            for (page, _, _) in pages.runs().filter(|run| run.2 == Some(Kind::Slab)) {
                // SAFETY: the page is a slab's, and slabs are valid.
                visit(unsafe { pages.slab_of(page).as_ref() });
            }
        }
        if let Some(pocket) = self.store.pocket() {
            for run in pocket.runs().filter(|run| run.is_slab) {
                if let Some(page) = pocket.page_of(run.start) {
                    // SAFETY: the page is a slab's, and slabs are valid.
                    visit(unsafe { pocket.slab_of(page).as_ref() });
                }
            }
        }
    }
}

/// Visits the address of every block of a slab that is in use.
fn each_used(slab: &Slab, block_size: usize, mut visit: impl FnMut(usize)) {
    let start = slab.start.addr().get();
    let mut marks = Marks([0; MOST / 64]);
    let mut next: Option<NonNull<FreeBlock>> = slab.free;
    while let Some(block) = next {
        marks.set((block.addr().get() - start) / block_size);
        // SAFETY: free blocks start with a link.
        next = unsafe { block.read() }.next;
    }
    let touched = usize::from(slab.blocks - slab.untouched);
    for index in (0..touched).filter(|&index| !marks.is_set(index)) {
        visit(start + index * block_size);
    }
}
