//! Plans: of how many pages of a pocket a slab is made, and for how many blocks.
//!
//! ```text
//! slab  │ block │ block │ … │ rest │ head │    whole pages; eight blocks, or what a fair share holds
//! ```

use core::ptr::NonNull;

use allotrope_core::parts::SizeClass;
use allotrope_core::poison;

use super::{PAGES, USUAL_SHIFT};
use crate::slab::Slab;

/// How many bytes of a slab are not for blocks.
pub(super) const HEAD: usize = size_of::<Slab>().next_multiple_of(align_of::<Slab>());

/// As many blocks as a slab should have.
const BLOCKS: usize = 8;

/// How a slab is made: of how many pages, for how many blocks.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) pages: u32,
    blocks: u16,
}

impl Plan {
    /// For blocks of `size` bytes, in a pocket of `count` pages.
    pub(super) const fn new(size: usize, shift: u32, count: u32) -> Option<Self> {
        let (one, eight) = (size + HEAD, size * BLOCKS + HEAD);
        let most = (count as usize / 8) << shift;
        let enough = if eight < most { eight } else { most };
        Self::of(if enough > one { enough } else { one }, size, shift)
    }

    /// With room for `bytes`.
    pub(super) const fn of(bytes: usize, size: usize, shift: u32) -> Option<Self> {
        let pages = bytes.div_ceil(1 << shift);
        if pages > PAGES as usize {
            return None;
        }
        // A pocket has less than 4 GiB, and 32 bits are divided faster.
        let blocks = ((pages << shift) - HEAD) as u32 / size as u32;
        let blocks = if blocks < u16::MAX as u32 { blocks as u16 } else { u16::MAX };
        Some(Self { pages: pages as u32, blocks })
    }

    /// Makes a slab by this plan, with what is known of it at its end.
    ///
    /// # Safety
    ///
    /// So many pages start here, for nobody else.
    #[inline(always)]
    pub(super) unsafe fn place(
        self,
        start: NonNull<u8>,
        shift: u32,
        class: SizeClass,
    ) -> NonNull<Slab> {
        let bytes = ((self.pages as usize) << shift) - HEAD;
        poison::poison(start, bytes);
        // SAFETY: the run is as long (caller), and its end aligned to 64.
        unsafe {
            let slab = start.add(bytes).cast::<Slab>();
            slab.write(Slab::new(start, self.blocks, class.index() as u8));
            slab
        }
    }
}

/// The plans of all classes in a pocket of [`POCKET_SIZE`].
pub(super) const USUAL: [Plan; SizeClass::COUNT] = {
    let mut plans = [Plan { pages: 0, blocks: 0 }; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        match Plan::new(SizeClass::at(index).block_size(), USUAL_SHIFT, PAGES) {
            Some(plan) => plans[index] = plan,
            None => panic!("a pocket has room for a block of each class"),
        }
        index += 1;
    }
    plans
};
