//! Interleavings of a whole [`SharedArena`] over a small buffer.
//!
//! Goal: a lane is one thread's at a time, with what its last user left in it; a block is handed out
//! once; who finds a table finds what is in it.
//!
//! Method: threads have slots of a registry of the model's own. A lane is behind a `loom` cell, so
//! that two threads in it at once, or one after the other without an order, are a failure; so are
//! entries of tables. Blocks are compared when all threads have ended.

#![cfg(loom)]

use std::alloc::Layout;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_core::Buffer;
use allotrope_scope::SharedArena;
use allotrope_sync::facade::thread;
use allotrope_sync::slots::{CAPACITY, Registry};

const LAYOUT: Layout = Layout::new::<u64>();

struct Model {
    /// Never dropped: where a model fails, `loom` drops it when its atomics are dead already.
    arena: ManuallyDrop<SharedArena<Buffer<'static>>>,
    slots: Registry<1>,
    _memory: Box<[MaybeUninit<u64>]>,
}

impl Model {
    fn new() -> Arc<Self> {
        let mut memory: Box<[_]> = vec![MaybeUninit::uninit(); 4096].into();
        let start = NonNull::from_mut(&mut *memory).cast();
        // SAFETY: the memory is the arena's alone, and nobody uses the arena after it.
        let buffer = unsafe { Buffer::from_raw_parts(start, 8 * memory.len()) };
        let arena = ManuallyDrop::new(SharedArena::with_source(buffer));
        Arc::new(Self { arena, slots: Registry::new(), _memory: memory })
    }

    /// The address of a block for `slot`, which is the caller's.
    fn take(&self, slot: usize) -> usize {
        // SAFETY: slots come from the registry, or are numbers that a model gives to one thread.
        let block = unsafe { self.arena.allocate_in(slot, LAYOUT) };
        block.map(|block| block.cast::<u8>().addr().get()).unwrap()
    }
}

/// Explores `model` with no more than so many switches of thread against its will.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[track_caller]
fn all_different(mut blocks: Vec<usize>) {
    blocks.sort_unstable();
    assert!(blocks.windows(2).all(|pair| pair[1] - pair[0] >= LAYOUT.size()), "{blocks:?}");
}

/// A claims a slot and ends; B may be first, or after it and inherit, or have a slot of its own.
#[test]
fn lanes_are_inherited_with_their_slots() {
    explore(3, || {
        let model = Model::new();
        let work = |model: &Model| {
            let claim = model.slots.claim().unwrap();
            vec![model.take(claim.index()), model.take(claim.index())]
        };
        let other = thread::spawn({
            let model = Arc::clone(&model);
            move || work(&model)
        });
        let mut blocks = work(&model);
        blocks.extend(other.join().unwrap());
        all_different(blocks);
    });
}

/// A larger table takes the place of one that another thread is just looking something up in.
#[test]
fn tables_grow_under_those_who_use_them() {
    explore(3, || {
        let model = Model::new();
        let other = thread::spawn({
            let model = Arc::clone(&model);
            move || vec![model.take(0), model.take(0), model.take(0)]
        });
        let mut blocks = vec![model.take(9), model.take(9)];
        blocks.extend(other.join().unwrap());
        // Each has found its own lane again, whichever table that was in.
        let lanes = |blocks: &[usize]| blocks.windows(2).all(|pair| pair[1] == pair[0] + 8);
        assert!(lanes(&blocks[..2]) && lanes(&blocks[2..]), "{blocks:?}");
        all_different(blocks);
    });
}

/// A thread without a slot takes its blocks from between the lanes.
#[test]
fn the_stock_serves_lanes_and_threads_without_one() {
    explore(3, || {
        let model = Model::new();
        let other = thread::spawn({
            let model = Arc::clone(&model);
            move || vec![model.take(CAPACITY), model.take(CAPACITY)]
        });
        let mut blocks = vec![model.take(0), model.take(0)];
        blocks.extend(other.join().unwrap());
        all_different(blocks);
    });
}

/// A handle's lane goes to who makes a handle next, or to a slot.
#[test]
fn lanes_of_handles_are_passed_on() {
    explore(3, || {
        let model = Model::new();
        let put = |model: &Model| {
            let handle = model.arena.local();
            NonNull::from_mut(handle.alloc(1_u64)).addr().get()
        };
        let other = thread::spawn({
            let model = Arc::clone(&model);
            move || vec![put(&model), model.take(0)]
        });
        let mut blocks = vec![put(&model), put(&model)];
        blocks.extend(other.join().unwrap());
        all_different(blocks);
    });
}
