//! Values without a size, and allocators that have no memory.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::boxed::Box as BoxIn;
use allocator_api2::vec::Vec as VecIn;
use allotrope_core::{Buffer, DefaultPolicy, ObjectPool};

use super::kinds::{ALIGNS, FIXED, each, layout};

/// A value of no size that is aligned more strictly than memory is.
#[derive(Clone, Debug, PartialEq)]
#[repr(align(256))]
struct Nothing;

/// oxc#18186: a value of no size was "written" to the place where an arena without a chunk began.
#[test]
fn a_box_of_nothing_in_an_allocator_without_memory_was_written_somewhere() {
    each::<DefaultPolicy, _>(nowhere, |name, memory| {
        let block = memory.allocate(Layout::new::<Nothing>()).unwrap();
        assert_eq!((block.len(), block.addr().get() % 256), (0, 0), "{name}");
        let boxed = BoxIn::new_in(Nothing, &*memory);
        assert!((&raw const *boxed).addr().is_multiple_of(256), "{name}");
        let mut many = VecIn::new_in(&*memory);
        many.resize(1000, Nothing);
        many.shrink_to_fit();
        assert_eq!((many.len(), many.pop()), (1000, Some(Nothing)), "{name}");
        assert!(VecIn::<u8, _>::new_in(&*memory).try_reserve(1).is_err(), "{name}");
        drop((boxed, many));
        assert_eq!(memory.used(), 0, "{name}");
        memory.check();
    });
}

/// As above, of a block that grows from no size and shrinks to none.
#[test]
fn a_block_of_no_size_that_could_not_grow_was_freed() {
    each::<DefaultPolicy, _>(nowhere, |name, memory| {
        for align in ALIGNS {
            let nothing = layout(0, align);
            let block = memory.allocate_zeroed(nothing).unwrap();
            assert_eq!((block.len(), block.addr().get() % align), (0, 0), "{name}");
            // SAFETY: the block is live with this layout, here and below.
            let grown = unsafe { memory.grow(block.cast(), nothing, layout(1, align)) };
            assert!(grown.is_err(), "{name}");
            // SAFETY: as above.
            let block = unsafe { memory.grow_zeroed(block.cast(), nothing, layout(0, 64)) };
            // SAFETY: as above.
            let block = unsafe { memory.shrink(block.unwrap().cast(), layout(0, 64), nothing) };
            // SAFETY: as above; such a block may be freed twice, since it is none.
            unsafe { memory.deallocate(block.unwrap().cast(), nothing) };
        }
        memory.check();
    });
}

/// As above, of a block that shrinks to nothing: its memory is free again.
#[test]
fn a_block_that_shrank_to_nothing_kept_its_memory() {
    each::<DefaultPolicy, _>(allotrope_core::OsPages::new, |name, memory| {
        let size = FIXED.min(48);
        let block = memory.allocate(layout(size, 8)).unwrap();
        assert!(memory.used() > 0, "{name}");
        // SAFETY: the block is live with this layout.
        let block = unsafe { memory.shrink(block.cast(), layout(size, 8), layout(0, 8)) }.unwrap();
        assert_eq!((block.len(), memory.used()), (0, 0), "{name}");
        // SAFETY: as above.
        let block = unsafe { memory.grow(block.cast(), layout(0, 8), layout(size, 8)) }.unwrap();
        assert!(block.len() >= size, "{name}");
        // SAFETY: as above.
        unsafe { memory.deallocate(block.cast(), layout(size, 8)) };
        assert_eq!(memory.used(), 0, "{name}");
    });
}

/// As above, of pools of values.
#[test]
fn a_pool_of_values_of_no_size_asked_for_memory() {
    let pool = ObjectPool::new(nowhere());
    let boxes: Vec<_> = (0..100).map(|_| pool.try_insert(Nothing).unwrap()).collect();
    assert!(boxes.iter().all(|boxed| **boxed == Nothing));
}

/// A buffer of no bytes.
fn nowhere() -> Buffer<'static> {
    // SAFETY: of no bytes, all are valid.
    unsafe { Buffer::from_raw_parts(NonNull::dangling(), 0) }
}
