//! Memory of a few bytes, or none.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allotrope_core::{BestFit, Buffer, DefaultPolicy, Fallback, FixedSize, Local};

use super::kinds::{Block, FIXED, Kind, each, layout};

/// What lies around the memory of an allocator.
const CANARY: u8 = 0xC7;
/// How many bytes of it are on either side.
const AROUND: usize = 64;
/// The largest memory that is tested.
const MOST: usize = 1024;

/// RUSTSEC-2022-0063: a heap smaller than what linked_list_allocator kept in it wrote beyond it;
/// so did one whose start was not aligned.
#[test]
fn a_heap_of_a_few_bytes_wrote_beside_its_memory() {
    for shift in 0..16 {
        for size in (0..=MOST).step_by(if cfg!(miri) { 97 } else { 1 }) {
            let mut bytes = [MaybeUninit::new(CANARY); AROUND + 16 + MOST + AROUND];
            let (before, after) = (AROUND + shift, AROUND + shift + size);
            let start = NonNull::from(&mut bytes[before..after]).cast::<u8>();
            // The last kind asks for two buffers at once.
            let mut asked = 0;
            let buffer = || {
                asked += 1;
                let size = if asked > 8 { size / 2 } else { size };
                let skipped = if asked > 9 { size } else { 0 };
                // SAFETY: all of it lies in `bytes`, which is alive and ours; each kind but the
                // last is dropped before the next buffer is made, and that one gets two halves.
                unsafe { Buffer::from_raw_parts(start.add(skipped), size) }
            };
            each::<DefaultPolicy, _>(buffer, |name, memory| fill(name, &*memory, shift, size));
            // SAFETY: all bytes were written above, and those around them were not touched since.
            let canaries = bytes[..before].iter().chain(&bytes[after..]);
            assert!(
                // SAFETY: as above.
                canaries.into_iter().all(|byte| unsafe { byte.assume_init() } == CANARY),
                "{shift} {size}"
            );
        }
    }
}

/// As above, of two small memories that stand in for each other.
#[test]
fn two_heaps_of_a_few_bytes_wrote_into_each_other() {
    for size in (0..=MOST).step_by(if cfg!(miri) { 97 } else { 1 }) {
        let mut bytes = [const { MaybeUninit::uninit() }; MOST];
        let (first, second) = bytes[..size].split_at_mut(size / 3);
        let second = Local::new(FixedSize::<FIXED, _>::new(Buffer::new(second)));
        let memory = Fallback::new(Local::new(BestFit::new(Buffer::new(first))), second);
        fill("Fallback", &memory, 0, size);
    }
}

impl<A: Kind + allotrope_core::Owns, B: Kind> Kind for Fallback<A, B> {
    fn used(&self) -> usize {
        self.with_first(A::used) + self.second().used()
    }

    fn check(&self) {
        self.with_first(A::check);
        self.second().check();
    }
}

/// Takes blocks until there are none, and gives them back.
fn fill(name: &str, memory: &dyn Kind, shift: usize, size: usize) {
    let layouts = [layout(1, 1), layout(24, 8), layout(FIXED, 1), layout(32, 32)];
    let mut held = [None; 2 * MOST / 16];
    let mut count = 0;
    for layout in layouts.into_iter().cycle() {
        let Some(block) = Block::new(memory, layout, count as u8) else { break };
        held[count] = Some(block);
        count += 1;
    }
    memory.check();
    // What is lost to a pool's chunk heads is more than such memory has.
    let plenty = if name == "Pool" { usize::MAX } else { 600 };
    assert!(count > 0 || size < plenty, "{name}: nothing of {size} bytes, {shift} off");
    let bytes: usize = held[..count].iter().flatten().map(|block| block.len).sum();
    assert!(bytes <= size, "{name}: {bytes} of {size} bytes");
    held[..count].iter().flatten().for_each(|block| block.free(memory));
    memory.check();
    assert_eq!(memory.used(), 0, "{name}: {size} bytes, {shift} off");
}
