//! Each test after the bug that taught it.

use allocator_api2::alloc::Global;
use allocator_api2::vec::Vec as ArenaVec;
use allotrope_core::Upstream;
use allotrope_scope::Arena;

type HeapArena = Arena<Upstream<Global>>;

fn heap_arena() -> HeapArena {
    Arena::with_source(Upstream::new(Global))
}

#[test]
fn a_cap_that_is_raised_again_has_an_effect() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    arena.set_chunk_cap(0);
    arena.set_chunk_cap(1 << 20);
    (0..10_000).for_each(|n| _ = arena.alloc(n as u64));
    assert!(arena.chunks().count() < 20, "{} chunks", arena.chunks().count());
}

#[test]
fn chunks_may_be_listed_while_blocks_are_allocated() {
    let arena = heap_arena();
    arena.alloc(1_u64);
    drop(ArenaVec::<u8, _>::with_capacity_in(1 << 20, &arena));
    let (held, chunks) = (arena.bytes_held(), arena.chunks());
    arena.alloc([0_u64; 1000]);
    assert!(arena.bytes_held() < held, "no chunk was released");
    assert!(chunks.count() <= 1, "one that was released is listed");
}
