//! Our fast paths: allocate and free a block of a constant layout.

use std::alloc::Layout;
use std::arch::asm;
use std::hint::black_box;
use std::ptr::NonNull;

use allocator_api2::alloc::Global;
use allotrope_core::{
    AlignTo, BestFit, Buffer, BySize, Fallback, FixedSize, Limit, Local, Locked, ObjectPool,
    OsPages, Pool, Segregated, SharedBudget,
};
use allotrope_heap::LocalHeap;
use allotrope_scope::Arena;

/// Best fit over pages, with a neighbour in use, so that freeing joins with the rest only.
pub type Best = Local<BestFit<OsPages>>;
/// A pool of 64-byte blocks.
pub type Fixed = Local<FixedSize<64, OsPages>>;
/// Size classes over pages.
pub type Classes = Local<Segregated<OsPages>>;
/// The pool of 64-byte blocks behind a spin lock.
pub type Spin = Locked<FixedSize<64, OsPages>>;
/// The lock-free pool.
pub type Shared = Pool<OsPages>;
/// A pool of 64-byte objects.
pub type Objects = ObjectPool<[u64; 8], OsPages>;

/// The pool of 64-byte blocks for small sizes, size classes for larger ones.
pub type PoolThenClasses = BySize<64, Fixed, Classes>;
/// The same with the limit just below 64 bytes.
pub type ClassesAbovePool = BySize<63, Fixed, Classes>;
/// The pool of 64-byte blocks in a buffer, then the heap.
pub type BufferThenHeap = Fallback<Local<FixedSize<64, Buffer<'static>>>, Global>;
/// The pool of 64-byte blocks on cache lines.
pub type Lines = AlignTo<64, Fixed>;
/// A limit of the pool of 64-byte blocks.
pub type Limited = Limit<Fixed>;
/// The same, as threads would share it.
pub type SharedLimited = Limit<Fixed, SharedBudget>;

/// The last block of an arena, and what it is to grow to: as much, so that it can do so again. The
/// instructions are the same.
pub struct LastBlock {
    arena: Arena,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
}

impl LastBlock {
    /// A block of 64 bytes.
    pub fn new() -> Self {
        let layout = Layout::new::<[u64; 8]>();
        let arena = Arena::new();
        let block = arena.allocate(layout).expect("pages").cast();
        LastBlock { arena, block, old: layout, new: layout }
    }
}

/// Hides where `pointer` comes from, as [`black_box`] does, and leaves it in its register.
///
/// std's stores what it hides to the stack and loads it again. That takes three instructions, and,
/// in a function that calls another one (a refill), the four of a frame.
#[inline(always)]
fn hide(pointer: NonNull<u8>) -> NonNull<u8> {
    let mut address = pointer.as_ptr();
    // SAFETY: no instruction at all; that it may read and write memory is what the compiler has
    // to believe.
    unsafe { asm!("/* {} */", inout(reg) address, options(nostack, preserves_flags)) };
    // SAFETY: the pointer is as it was.
    unsafe { NonNull::new_unchecked(address) }
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident: $allocator:ty, $hide:path;)*) => {$(
        $(#[$doc])*
        #[inline(never)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(allocator: &$allocator) {
            let layout = Layout::new::<[u64; 8]>();
            let Ok(block) = allocator.allocate(layout) else { return };
            let block = $hide(block.cast::<u8>());
            // SAFETY: the block came from this allocator with this layout just now.
            unsafe { allocator.deallocate(block, layout) };
        }
    )*};
}

pairs! {
    /// 64 bytes from the low end of the one free block, and back.
    path_best_fit_pair: Best, black_box;
    /// 64 bytes from the free list, and back.
    path_fixed_size_pair: Fixed, black_box;
    /// The same, hidden in a register.
    path_fixed_size_pair_in_register: Fixed, hide;
    /// 64 bytes from their class's list, and back.
    path_segregated_pair: Classes, black_box;
    /// The same, hidden in a register.
    path_segregated_pair_in_register: Classes, hide;
    /// 64 bytes from their class's list in a heap, and back.
    path_local_heap_pair: LocalHeap, black_box;
    /// The same, hidden in a register.
    path_local_heap_pair_in_register: LocalHeap, hide;
    /// 64 bytes from the free list behind a spin lock, and back.
    path_locked_fixed_size_pair: Spin, black_box;
    /// 64 bytes from the word of this thread's shard, and back.
    path_pool_pair: Shared, black_box;
    /// 64 bytes from the small part of two, a pool, and back.
    path_by_size_small_pair_in_register: PoolThenClasses, hide;
    /// 64 bytes from the large part of two, size classes, and back.
    path_by_size_large_pair_in_register: ClassesAbovePool, hide;
    /// 64 bytes from the first part of two, a pool, and back.
    path_fallback_first_pair_in_register: BufferThenHeap, hide;
    /// 64 bytes from a pool that is aligned anyway, and back.
    path_align_to_pair_in_register: Lines, hide;
    /// 64 bytes from a pool, counted, and back.
    path_limit_pair_in_register: Limited, hide;
    /// 64 bytes from the frontier of an arena, and back.
    path_arena_pair_in_register: Arena, hide;
    /// 64 bytes from a pool, counted for all threads, and back.
    path_shared_limit_pair_in_register: SharedLimited, hide;
}

/// The last block of an arena grows in its place; its layouts are not constants.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn path_arena_grow(last: &LastBlock) {
    // SAFETY: the block is the arena's, and both layouts fit it before and after.
    black_box(unsafe { last.arena.grow(last.block, last.old, last.new) }).ok();
}

/// A small object in, and dropped.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn path_object_pool_pair(pool: &Objects) {
    drop(black_box(pool.insert([0; 8])));
}
