//! Pools: an object taken out and put back.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

type Object = [u64; 8];

fn pools(c: &mut Criterion) {
    let mut group = c.benchmark_group("pools: get and put");
    group.bench_function("slab", |b| {
        let mut slab = slab::Slab::<Object>::with_capacity(8192);
        b.iter(|| {
            let key = black_box(slab.insert(black_box([1; 8])));
            slab.remove(key)
        });
    });
    group.bench_function("object-pool", |b| {
        let pool = object_pool::Pool::<Object>::new(8192, || [0; 8]);
        b.iter(|| drop(black_box(pool.pull(|| [0; 8]))));
    });
    group.bench_function("box", |b| b.iter(|| drop(black_box(Box::new([1u64; 8])))));
    // Our contestants.
    group.finish();
}

criterion_group!(benches, pools);
criterion_main!(benches);
