//! Our fast paths: allocate and free a block of a constant layout.

use std::alloc::Layout;
use std::hint::black_box;

use allotrope_core::{BestFit, FixedSize, Local, Locked, ObjectPool, OsPages, Segregated};

/// Best fit over pages, with a neighbour in use, so that freeing joins with the rest only.
pub type Best = Local<BestFit<OsPages>>;
/// A pool of 64-byte blocks.
pub type Fixed = Local<FixedSize<64, OsPages>>;
/// Size classes over pages.
pub type Classes = Local<Segregated<OsPages>>;
/// The pool of 64-byte blocks behind a spin lock.
pub type Spin = Locked<FixedSize<64, OsPages>>;
/// A pool of 64-byte objects.
pub type Objects = ObjectPool<[u64; 8], OsPages>;

/// Allocators that can say that their list is empty. The path then goes on in a function of its own,
/// by a jump: without any call, `black_box`'s place on the stack needs no frame around it, which
/// costs four instructions of the sixteen that `allocate` takes.
macro_rules! listed_pairs {
    ($($(#[$doc:meta])* $name:ident: $allocator:ty;)*) => {$(
        $(#[$doc])*
        #[inline(never)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(allocator: &$allocator) {
            #[cold]
            #[inline(never)]
            extern "C" fn refill(allocator: &$allocator) {
                let layout = Layout::new::<[u64; 8]>();
                let Ok(block) = allocator.allocate(layout) else { return };
                let block = black_box(block.cast::<u8>());
                // SAFETY: the block came from this allocator with this layout just now.
                unsafe { allocator.deallocate(block, layout) };
            }

            let layout = Layout::new::<[u64; 8]>();
            let Some(block) = allocator.allocate_listed(layout) else { return refill(allocator) };
            let block = black_box(block.cast::<u8>());
            // SAFETY: as above.
            unsafe { allocator.deallocate(block, layout) };
        }
    )*};
}

listed_pairs! {
    /// 64 bytes from the free list, and back.
    path_fixed_size_listed_pair: Fixed;
    /// 64 bytes from their class's list, and back.
    path_segregated_listed_pair: Classes;
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident: $allocator:ty;)*) => {$(
        $(#[$doc])*
        #[inline(never)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(allocator: &$allocator) {
            let layout = Layout::new::<[u64; 8]>();
            let Ok(block) = allocator.allocate(layout) else { return };
            let block = black_box(block.cast::<u8>());
            // SAFETY: the block came from this allocator with this layout just now.
            unsafe { allocator.deallocate(block, layout) };
        }
    )*};
}

pairs! {
    /// 64 bytes from the low end of the one free block, and back.
    path_best_fit_pair: Best;
    /// 64 bytes from the free list, and back.
    path_fixed_size_pair: Fixed;
    /// 64 bytes from their class's list, and back.
    path_segregated_pair: Classes;
    /// 64 bytes from the free list behind a spin lock, and back.
    path_locked_fixed_size_pair: Spin;
}

/// A small object in, and dropped.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn path_object_pool_pair(pool: &Objects) {
    drop(black_box(pool.insert([0; 8])));
}
