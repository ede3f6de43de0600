//! A fallback that ends in the global allocator, which has large regions from that same fallback.
//!
//! Method: safe code makes this but for two borrows of statics. The other part's memory would lie in
//! the part that is asked, which frees it then: the program must abort, in a child.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use allocator_api2::alloc::Global;
use allotrope_conformance::child;
use allotrope_core::{BestFit, Buffer, BySize, Fallback, Locked, OsPages, Pool, Upstream};

const MIB: usize = 1 << 20;

type Memory = Locked<BestFit<Buffer<'static>>>;

/// Has no room for what is small, and some for what is large.
type First = BySize<{ 8 * MIB }, Memory, Memory>;
type Second = Locked<BestFit<Upstream<Global>>>;

static mut ROOM: [MaybeUninit<u8>; 32 * MIB] = [MaybeUninit::uninit(); 32 * MIB];

static FALLBACK: Fallback<First, Second> = Fallback::new(
    BySize::new(
        Locked::new(BestFit::new(Buffer::new(&mut []))),
        // SAFETY: nobody else borrows it.
        Locked::new(BestFit::new(Buffer::new(unsafe { &mut *&raw mut ROOM }))),
    ),
    Locked::new(BestFit::new(Upstream::new(Global))),
);

type Regions = BySize<{ 4 * MIB }, Locked<BestFit<OsPages>>, &'static Fallback<First, Second>>;

#[global_allocator]
static POOL: Pool<Upstream<Regions>> =
    Pool::new(Upstream::new(BySize::new(Locked::new(BestFit::new(OsPages::new())), &FALLBACK)));

/// Runs the test `name` again in a child that does `misuse`, and checks that it aborts.
fn aborts(name: &str, misuse: fn()) {
    if child::role().is_some() {
        return misuse();
    }
    child::play(name, "misuse")
        .must_have_aborted("one part of a fallback has its memory from the other");
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

#[test]
fn a_block_of_one_part_was_freed_in_the_other() {
    aborts("a_block_of_one_part_was_freed_in_the_other", || {
        let block = FALLBACK.allocate(layout(8 * MIB)).unwrap();
        // SAFETY: allocated just above.
        unsafe { FALLBACK.deallocate(block.cast(), layout(8 * MIB)) };
    });
}

#[test]
fn a_block_grew_into_one_of_the_other_part() {
    aborts("a_block_grew_into_one_of_the_other_part", || {
        let block = FALLBACK.allocate(layout(MIB)).unwrap();
        // SAFETY: allocated just above; what it grew into is freed.
        unsafe {
            let block = FALLBACK.grow(block.cast(), layout(MIB), layout(8 * MIB)).unwrap();
            FALLBACK.deallocate(block.cast(), layout(8 * MIB));
        }
    });
}
