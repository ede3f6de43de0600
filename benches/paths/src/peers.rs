//! A peer as a yardstick.

use std::alloc::Layout;
use std::hint::black_box;

use allocator_api2::alloc::Allocator;
use bumpalo::Bump;

/// A bump with room in its first chunk.
pub fn bump() -> Bump {
    let bump = Bump::with_capacity(4096);
    bump.alloc(0u64);
    bump
}

/// 64 bytes, freed as the newest block.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn path_bumpalo_pair(bump: &Bump) {
    let layout = Layout::new::<[u64; 8]>();
    let Ok(block) = bump.allocate(layout) else { return };
    let block = black_box(block.cast::<u8>());
    // SAFETY: the block came from this allocator with this layout just now.
    unsafe { bump.deallocate(block, layout) };
}
