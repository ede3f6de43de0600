//! Every interleaving of [`PushList`]: push against push, and against a walk.
//!
//! Goal: no number is lost; a walk sees what the pushers of what it finds did before.
//!
//! Method: as in `loom_word.rs`.

#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::facade::atomic::AtomicU32;
use allotrope_sync::facade::{cell::UnsafeCell, thread};
use allotrope_sync::{Links, NO_ID, PushList};

struct Nodes([(AtomicU32, UnsafeCell<u32>); 3]);

// SAFETY: each number has a node of its own, with a link in it.
unsafe impl Links for Nodes {
    fn link(&self, id: u32) -> &AtomicU32 {
        &self.0[id as usize].0
    }
}

struct Model {
    list: PushList,
    nodes: Nodes,
}

impl Model {
    fn new() -> Arc<Self> {
        let node = |_| (AtomicU32::new(NO_ID), UnsafeCell::new(0));
        Arc::new(Self { list: PushList::new(), nodes: Nodes(std::array::from_fn(node)) })
    }

    fn push(&self, id: u32) {
        // SAFETY: the number is in no list yet, so this thread alone knows of it.
        self.nodes.0[id as usize].1.with_mut(|value| unsafe { *value = id });
        self.list.push(id, &self.nodes);
    }

    /// What is in the list.
    fn walk(&self) -> Vec<u32> {
        let read = |id: u32| {
            // SAFETY: nobody writes to what is in the list; `loom` checks that.
            let value = self.nodes.0[id as usize].1.with(|value| unsafe { *value });
            assert_eq!(value, id);
            id
        };
        let mut found: Vec<u32> = self.list.iter(&self.nodes).map(read).collect();
        found.sort();
        found
    }
}

#[test]
fn numbers_of_two_pushers_all_arrive() {
    loom::model(|| {
        let model = Model::new();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.push(0))
        };
        model.push(1);
        other.join().unwrap();
        assert_eq!(model.walk(), [0, 1]);
    });
}

/// The walk is not the first thread's on purpose: `loom` knows the last access of an atomic only, so
/// that a push, which loads before it exchanges, would hide an earlier load from it.
#[test]
fn a_walk_sees_what_the_pushers_did() {
    loom::model(|| {
        let model = Model::new();
        let walker = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.walk())
        };
        model.push(0);
        model.push(1);
        let found = walker.join().unwrap();
        assert!(found.is_empty() || found == [0] || found == [0, 1], "{found:?}");
        assert_eq!(model.walk(), [0, 1]);
    });
}
