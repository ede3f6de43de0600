//! Collections: small hash maps in different homes.

use std::alloc::System;
use std::hint::black_box;

use allotrope_core::OsPages;
use allotrope_heap::LocalHeap;
use allotrope_scope::Arena;
use bench_kit::compat::FromGlobal;
use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};
use hashbrown::{DefaultHashBuilder, HashMap};

/// A map of twenty entries, made and dropped in a home.
macro_rules! small_map {
    ($home:expr) => {{
        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), $home);
        for i in 0..20u64 {
            map.insert(i, i);
        }
        black_box(map.len())
    }};
}

fn collections(c: &mut Criterion) {
    let mut group = c.benchmark_group("collections: a map of 20");
    group.bench_function("system", |b| b.iter(|| small_map!(FromGlobal(&System))));
    group.bench_function("bumpalo", |b| {
        let mut bump = Bump::new();
        b.iter(|| {
            small_map!(&bump);
            bump.reset();
        });
    });
    group.bench_function("bump-scope", |b| {
        let mut bump: bump_scope::Bump = bump_scope::Bump::new();
        b.iter(|| {
            small_map!(&bump);
            bump.reset();
        });
    });
    group.bench_function("allotrope Arena", |b| {
        let mut arena = Arena::new();
        b.iter(|| {
            small_map!(&arena);
            arena.reset();
        });
    });
    group.bench_function("allotrope LocalHeap", |b| {
        let heap = LocalHeap::new(OsPages::new());
        b.iter(|| small_map!(&heap));
    });
    group.finish();
}

criterion_group!(benches, collections);
criterion_main!(benches);
