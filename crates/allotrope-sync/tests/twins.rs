//! The structures of this crate against trivially right twins.
//!
//! Goal: every call returns what the twin returns, a plain collection of std's; and with threads,
//! what goes in comes out once.
//!
//! Method: long random sequences of calls on one thread, on both; then threads that move numbers
//! between two stacks, one of them a locked `Vec`.

#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::thread;

use allotrope_sync::{Links, NO_ID, Occupancy, PushList, Summary, TaggedStack, Word};

struct Nodes(Vec<AtomicU32>);

impl Nodes {
    fn new(count: u32) -> Self {
        Self((0..count).map(|_| AtomicU32::new(NO_ID)).collect())
    }
}

// SAFETY: each number has a node of its own, with a link in it.
unsafe impl Links for Nodes {
    fn link(&self, id: u32) -> &AtomicU32 {
        &self.0[id as usize]
    }
}

/// Numbers that look random.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn an_occupancy_does_as_a_set_of_blocks_does() {
    let mut random = random(1);
    for words in [1, 2, 4, 5, 9, 128] {
        let all: Vec<Word> = (0..words).map(|_| Word::new(u32::MAX)).collect();
        let summary = Summary::held(words);
        let occupancy = Occupancy::new(&summary, &all);
        let mut free: BTreeSet<usize> = (0..words * 32).collect();
        let (mut taken, mut is_held) = (Vec::new(), true);
        for _ in 0..20_000 {
            match random(10) {
                0..5 => match occupancy.take() {
                    Some((word, bit)) => {
                        let block = word * 32 + bit as usize;
                        assert!(free.remove(&block));
                        taken.push(block);
                    }
                    None => assert!(free.is_empty()),
                },
                5 => {
                    if let Some((word, mut bits)) = occupancy.take_many(random(128), random(40)) {
                        while bits != 0 {
                            let block = word * 32 + bits.trailing_zeros() as usize;
                            assert!(free.remove(&block));
                            taken.push(block);
                            bits &= bits - 1;
                        }
                    }
                }
                6 if is_held && occupancy.give_up() => {
                    assert!(free.is_empty());
                    is_held = false;
                }
                _ if !taken.is_empty() => {
                    let block = taken.swap_remove(random(taken.len()));
                    assert!(free.insert(block));
                    let holds = occupancy.put(block / 32, 1 << (block % 32));
                    assert_eq!(holds, !is_held);
                    is_held = true;
                }
                _ => {}
            }
            assert_eq!((occupancy.free(), occupancy.state().0), (free.len(), is_held));
            assert!(free.iter().all(|block| occupancy.is_raised(block / 32)));
        }
    }
}

#[test]
fn a_stack_and_a_list_do_as_vectors_do() {
    let mut random = random(2);
    let (nodes, others) = (Nodes::new(100), Nodes::new(100));
    let (stack, list) = (TaggedStack::new(), PushList::new());
    let (mut twin, mut list_twin, mut out) = (Vec::new(), Vec::new(), (0..100).collect::<Vec<_>>());
    for _ in 0..10_000 {
        if random(2) == 0 && !out.is_empty() {
            let id = out.swap_remove(random(out.len()));
            stack.push(id, &nodes);
            twin.push(id);
            if !list_twin.contains(&id) {
                list.push(id, &others);
                list_twin.push(id);
            }
        } else {
            let id = stack.pop(&nodes);
            assert_eq!(id, twin.pop());
            out.extend(id);
        }
        assert!(stack.iter(&nodes).eq(twin.iter().rev().copied()));
    }
    assert!(list.iter(&others).eq(list_twin.iter().rev().copied()));
}

#[test]
fn numbers_that_threads_move_between_a_stack_and_a_locked_one_all_stay() {
    const COUNT: u32 = 8;
    let nodes = Nodes::new(COUNT);
    let (stack, locked) = (TaggedStack::new(), Mutex::new(Vec::new()));
    (0..COUNT).for_each(|id| stack.push(id, &nodes));
    let rounds = if cfg!(miri) { 50 } else { 50_000 };
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..rounds {
                    if let Some(id) = stack.pop(&nodes) {
                        locked.lock().unwrap().push(id);
                    }
                    let id = locked.lock().unwrap().pop();
                    if let Some(id) = id {
                        stack.push(id, &nodes);
                    }
                }
            });
        }
    });
    let mut all = locked.into_inner().unwrap();
    all.extend(std::iter::from_fn(|| stack.pop(&nodes)));
    all.sort();
    assert!(all.into_iter().eq(0..COUNT));
}
