//! `allotrope`, from code that is not `unsafe`: names for what the other crates have.

#![forbid(unsafe_code)]

mod lodgers;

use std::mem::MaybeUninit;

use allotrope::containers::{Box, DefaultHashBuilder, Global, HashMap, HashSet, Vec};
use allotrope::{
    BestFit, Buffer, BufferHeap, ClassHeap, OsPages, PageHeap, Segregated, SharedBufferHeap,
    SharedPageHeap, SharedUpstreamHeap, Upstream, UpstreamHeap, allocator_api2, chapters,
    hashbrown, heap, prelude,
};
use lodgers::lodge;

#[allow(unused_imports, reason = "a module of documentation each")]
use chapters::{bare_metal, compose, lifetimes};

#[test]
fn heaps_by_their_short_names() {
    let mut bytes = [const { MaybeUninit::uninit() }; 8192];
    lodge(&BufferHeap::new(BestFit::new(Buffer::new(&mut bytes))));
    lodge(&SharedBufferHeap::new(BestFit::new(Buffer::new(&mut bytes))));
    lodge(&PageHeap::new(BestFit::new(OsPages::new())));
    lodge(&SharedPageHeap::new(BestFit::new(OsPages::new())));
    lodge(&ClassHeap::new(Segregated::new(OsPages::new())));
    lodge(&UpstreamHeap::new(BestFit::new(Upstream::new(Global))));
    lodge(&SharedUpstreamHeap::new(BestFit::new(Upstream::new(Global))));
    lodge(&heap::LocalHeap::new(OsPages::new()));
}

#[test]
fn containers_of_the_prelude() {
    let arena = prelude::Arena::new();
    let mut map: HashMap<u64, Vec<u64, &prelude::Arena>, DefaultHashBuilder, _> =
        HashMap::new_in(&arena);
    map.entry(1).or_insert_with(|| Vec::new_in(&arena)).push(2);
    let mut set = HashSet::new_in(&arena);
    set.insert(*Box::new_in(3, &arena));
    assert_eq!((&map[&1][..], set.contains(&3)), (&[2][..], true));
    let _: hashbrown::HashMap<u8, u8, DefaultHashBuilder, allocator_api2::alloc::Global> =
        HashMap::new_in(Global);
}
