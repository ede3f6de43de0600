//! Every interleaving of [`TaggedStack`]: push and pop against each other, and ABA.
//!
//! Goal: no number is lost or popped twice; who pops a number sees what its pusher did; who finds
//! the stack empty sees what those did who emptied it.
//!
//! Method: as in `loom_word.rs`; each number has a `loom` cell that only its holder may touch.

#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::facade::atomic::{AtomicU32, Ordering};
use allotrope_sync::facade::{cell::UnsafeCell, thread};
use allotrope_sync::{Links, NO_ID, TaggedStack};

struct Model {
    stack: TaggedStack,
    nodes: Nodes,
    flag: AtomicU32,
}

struct Nodes([(AtomicU32, UnsafeCell<u32>); 3]);

// SAFETY: each number has a node of its own, with a link in it.
unsafe impl Links for Nodes {
    fn link(&self, id: u32) -> &AtomicU32 {
        &self.0[id as usize].0
    }
}

impl Model {
    /// A stack of `ids`, the last on top.
    fn new(ids: &[u32]) -> Arc<Self> {
        let node = |_| (AtomicU32::new(NO_ID), UnsafeCell::new(0));
        let nodes = Nodes(std::array::from_fn(node));
        let model = Self { stack: TaggedStack::new(), nodes, flag: AtomicU32::new(0) };
        ids.iter().for_each(|&id| model.push(id));
        Arc::new(model)
    }

    fn push(&self, id: u32) {
        self.touch(id);
        self.stack.push(id, &self.nodes);
    }

    fn pop(&self) -> Option<u32> {
        self.stack.pop(&self.nodes).inspect(|&id| self.touch(id))
    }

    /// Does what only the holder of `id` may.
    fn touch(&self, id: u32) {
        // SAFETY: the caller holds `id`; `loom` checks that nobody else does.
        self.nodes.0[id as usize].1.with_mut(|count| unsafe { *count += 1 });
    }

    /// Pops all that is left, and adds what has been popped.
    fn drain(&self, popped: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut all: Vec<u32> = popped.into_iter().collect();
        all.extend(std::iter::from_fn(|| self.pop()));
        all.sort();
        all
    }
}

fn with_other<R: 'static>(
    model: &Arc<Model>,
    work: impl FnOnce(&Model) -> R + 'static,
) -> thread::JoinHandle<R> {
    let model = Arc::clone(model);
    thread::spawn(move || work(&model))
}

#[test]
fn numbers_of_two_pushers_all_arrive() {
    loom::model(|| {
        let model = Model::new(&[]);
        let other = with_other(&model, |model| model.push(0));
        model.push(1);
        other.join().unwrap();
        assert_eq!(model.drain([]), [0, 1]);
    });
}

#[test]
fn a_popper_sees_what_the_pusher_did() {
    loom::model(|| {
        let model = Model::new(&[]);
        let other = with_other(&model, |model| {
            model.push(0);
            model.push(1);
        });
        let popped = [model.pop(), model.pop()];
        other.join().unwrap();
        assert_eq!(model.drain(popped.into_iter().flatten()), [0, 1]);
    });
}

#[test]
fn two_poppers_never_share_a_number() {
    loom::model(|| {
        let model = Model::new(&[0, 1]);
        let other = with_other(&model, Model::pop);
        let popped = [model.pop(), other.join().unwrap()];
        assert_eq!(model.drain(popped.into_iter().flatten()), [0, 1]);
    });
}

/// A pop is interrupted between the head and the link; meanwhile its number is popped, the one
/// below as well, and the first is pushed again.
#[test]
fn a_number_that_comes_back_on_top_does_not_bring_back_what_was_below() {
    loom::model(|| {
        let model = Model::new(&[0, 1]);
        let other = with_other(&model, |model| {
            let first = model.pop();
            let second = model.pop();
            first.into_iter().for_each(|id| model.push(id));
            second
        });
        let mine = model.pop();
        let others = other.join().unwrap();
        assert_eq!(model.drain([mine, others].into_iter().flatten()), [0, 1]);
    });
}

#[test]
fn three_threads_push_and_pop() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new(&[0]);
        let others = [1, 2].map(|id| {
            with_other(&model, move |model| {
                model.push(id);
                model.pop()
            })
        });
        let mine = model.pop();
        let popped = others.map(|other| other.join().unwrap());
        assert_eq!(model.drain(popped.into_iter().flatten().chain(mine)), [0, 1, 2]);
    });
}

#[test]
fn who_finds_it_empty_sees_what_was_done_before_it_was_emptied() {
    loom::model(|| {
        let model = Model::new(&[0]);
        let other = with_other(&model, |model| {
            model.flag.store(1, Ordering::Relaxed);
            model.pop();
        });
        if model.pop().is_none() {
            assert_eq!(model.flag.load(Ordering::Relaxed), 1);
        }
        other.join().unwrap();
    });
}
