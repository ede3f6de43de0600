//! Asks an allocator whether it serves a layout, and leaves it as it was.

use std::alloc::Layout;

use allocator_api2::alloc::Allocator;

/// Whether `allocator` serves `layout` now.
pub(crate) fn serves(allocator: &dyn Allocator, layout: Layout) -> bool {
    let Ok(block) = allocator.allocate(layout) else { return false };
    // SAFETY: the block was allocated on the line above with this layout, and nobody else knows it.
    unsafe { allocator.deallocate(block.cast(), layout) };
    true
}
