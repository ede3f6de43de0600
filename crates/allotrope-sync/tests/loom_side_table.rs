//! Every interleaving of [`SideTable`]: inserting, taking, putting back, and adding levels.
//!
//! Goal: a value is given out once, to whoever knows its address, and as it was put in; an entry
//! that one thread vacates serves another; a level that one thread adds serves all.
//!
//! Method: values and the heads of levels lie in `loom`'s cells, so an access without a
//! happens-before edge panics even if what it reads is right.

#![cfg(loom)]

use std::alloc::{Layout, alloc, dealloc};
use std::iter;
use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_sync::SideTable;
use allotrope_sync::facade::thread;

/// A table whose buckets have two entries, in levels of one bucket.
struct Model(SideTable<usize, 2>);

const LEAST: usize = SideTable::<usize, 2>::least_level_size();

impl Model {
    /// A table with this many levels.
    fn with_levels(levels: usize) -> Self {
        let model = Self(SideTable::new());
        (0..levels).for_each(|_| model.add_level());
        model
    }

    fn add_level(&self) {
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout()) }).unwrap();
        let memory = NonNull::slice_from_raw_parts(start, LEAST);
        // SAFETY: the memory is new, and freed when the table has gone.
        unsafe { self.0.add_level(memory, start.expose_provenance().get()) }.unwrap();
    }

    /// Inserts the address itself as the value, adding a level where there is no room.
    fn insert(&self, address: usize) {
        while self.0.insert(address, address).is_err() {
            self.add_level();
        }
    }

    fn remove(&self, address: usize) -> Option<usize> {
        let (value, entry) = self.0.take(address)?;
        entry.vacate();
        Some(value)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.0.drain(|_, _| ());
        for origin in iter::from_fn(|| self.0.take_empty_level()) {
            // SAFETY: `add_level` allocated it, and the table has it no more.
            unsafe { dealloc(std::ptr::with_exposed_provenance_mut(origin), layout()) };
        }
    }
}

fn layout() -> Layout {
    Layout::from_size_align(LEAST, 16).unwrap()
}

fn explore(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

#[test]
fn two_values_get_an_entry_each() {
    explore(3, || {
        let model = Arc::new(Model::with_levels(1));
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.insert(4096));
        model.insert(8192);
        other.join().unwrap();
        assert_eq!((model.remove(4096), model.remove(8192)), (Some(4096), Some(8192)));
        assert!(model.0.is_empty());
    });
}

#[test]
fn one_vacant_entry_serves_one_of_two() {
    explore(3, || {
        let model = Arc::new(Model::with_levels(1));
        model.insert(4096);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.0.insert(8192, 8192).is_ok());
        let mine = model.0.insert(12288, 12288).is_ok();
        assert!(mine != other.join().unwrap());
        assert_eq!(model.remove(12288).is_some(), mine);
        assert_eq!(model.remove(4096), Some(4096));
    });
}

#[test]
fn a_taker_sees_what_was_inserted() {
    explore(3, || {
        let model = Arc::new(Model::with_levels(1));
        let other = Arc::clone(&model);
        // The taker is the later thread: `loom` runs it last by default, and then before.
        let taker = thread::spawn(move || other.remove(4096));
        model.insert(4096);
        let early = taker.join().unwrap();
        let late = model.remove(4096);
        assert!(early.is_some() != late.is_some());
        assert_eq!(early.or(late), Some(4096));
    });
}

#[test]
fn a_value_is_taken_by_one_of_two() {
    explore(3, || {
        let model = Arc::new(Model::with_levels(1));
        model.insert(4096);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.remove(4096));
        let mine = model.remove(4096);
        assert!(mine.is_some() != other.join().unwrap().is_some());
    });
}

#[test]
fn a_vacated_entry_serves_another_thread() {
    explore(3, || {
        let model = Arc::new(Model::with_levels(1));
        model.insert(4096);
        model.insert(8192);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || assert_eq!(other.remove(4096), Some(4096)));
        let inherited = model.0.insert(12288, 12288).is_ok();
        other.join().unwrap();
        assert_eq!(model.remove(12288).is_some(), inherited);
        assert_eq!(model.remove(8192), Some(8192));
    });
}

#[test]
fn a_value_changes_its_address_while_others_come_and_go() {
    explore(2, || {
        let model = Arc::new(Model::with_levels(1));
        model.insert(4096);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || {
            let (value, entry) = other.0.take(4096).unwrap();
            // The address is anybody's now.
            entry.put_back(8192, value + 1);
            assert_eq!(other.remove(8192), Some(4097));
        });
        model.insert(12288);
        assert_eq!(model.remove(12288), Some(12288));
        other.join().unwrap();
        assert!(model.0.is_empty());
    });
}

#[test]
fn levels_of_two_threads_are_both_found() {
    explore(2, || {
        let model = Arc::new(Model::with_levels(0));
        let other = Arc::clone(&model);
        let other = thread::spawn(move || {
            other.add_level();
            // Walks both levels, if there are two.
            (2..4).for_each(|page| other.insert(page << 12));
            assert_eq!(other.remove(1 << 12), None);
        });
        model.add_level();
        assert_eq!(model.remove(1 << 12), None);
        other.join().unwrap();
        assert_eq!(model.0.bytes_held(), 2 * LEAST);
        assert_eq!(model.0.len(), 2);
    });
}

#[test]
fn values_are_found_while_others_add_levels() {
    explore(2, || {
        let model = Arc::new(Model::with_levels(1));
        model.insert(1 << 12);
        let others = [2, 3].map(|page| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.insert(page << 12))
        });
        assert_eq!(model.remove(1 << 12), Some(1 << 12));
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(model.0.len(), 2);
    });
}
