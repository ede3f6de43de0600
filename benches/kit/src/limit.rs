//! Limits: the least that could work, compiled in the same harness as real allocators.
//!
//! They give nothing back, keep no ownership and check nothing. Never use them for anything else.

mod bump;
mod free_list;
mod segregated;
mod treiber;

use std::alloc::Layout;
use std::ptr::null_mut;

pub use bump::LimitBump;
pub use free_list::LimitFreeList;
pub use segregated::LimitSegregated;
pub use treiber::LimitTreiber;

/// How many size classes there are, up to 4 GiB.
const CLASSES: usize = 64 + 4 * 22;

/// Size class and block size of a size: 16-byte steps to 1 KiB, then four steps per power of two.
#[inline(always)]
fn class_of_size(size: usize) -> (usize, usize) {
    if size <= 1024 {
        let class = size.saturating_sub(1) / 16;
        return (class, (class + 1) * 16);
    }
    let log = usize::BITS - 1 - (size - 1).leading_zeros();
    let step = 1usize << (log - 2);
    let quarter = (size - 1) / step - 4;
    (64 + (log as usize - 10) * 4 + quarter, (quarter + 5) * step)
}

/// Size class and block size of a layout; an alignment above 16 is had by a power of two.
#[inline(always)]
fn class_of(layout: Layout) -> (usize, usize) {
    let size = layout.size().max(layout.align());
    class_of_size(if layout.align() > 16 { size.next_power_of_two() } else { size })
}

/// Fresh memory from the system, or null.
fn map(size: usize) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new private mapping at an address of the system's choice touches no other memory.
    let start = unsafe { libc::mmap(null_mut(), size, access, flags, -1, 0) };
    if start == libc::MAP_FAILED { null_mut() } else { start.cast() }
}
