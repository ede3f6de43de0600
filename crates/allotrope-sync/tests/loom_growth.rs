//! Every interleaving of [`Growth`]: who finds the last piece gone, and nobody at it, sees what
//! has become of it.

#![cfg(loom)]

use std::sync::Arc;

use allotrope_sync::Growth;
use allotrope_sync::facade::atomic::{AtomicBool, AtomicU32, Ordering};
use allotrope_sync::facade::thread;

#[derive(Default)]
struct Model {
    growth: Growth,
    /// Like what becomes of it, without an ordering of its own.
    is_gone: AtomicBool,
    /// What has become of the piece.
    published: AtomicU32,
}

impl Model {
    /// Takes the piece if it is there, and publishes it.
    fn grow(&self) {
        let _growing = self.growth.begin();
        if !self.is_gone.swap(true, Ordering::Relaxed) {
            self.published.store(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn who_finds_nothing_left_and_nobody_at_it_sees_what_was_published() {
    loom::model(|| {
        let model = Arc::new(Model::default());
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.grow())
        };
        if model.is_gone.load(Ordering::Relaxed) && !model.growth.is_under_way() {
            assert_eq!(model.published.load(Ordering::Relaxed), 1);
        }
        other.join().unwrap();
        assert!(!model.growth.is_under_way());
    });
}

#[test]
fn two_that_grow_are_both_counted() {
    loom::model(|| {
        let model = Arc::new(Model::default());
        let others = [(); 2].map(|()| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.grow())
        });
        if model.is_gone.load(Ordering::Relaxed) && !model.growth.is_under_way() {
            assert_eq!(model.published.load(Ordering::Relaxed), 1);
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(!model.growth.is_under_way());
    });
}
