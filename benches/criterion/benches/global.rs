//! Global allocators, called directly: a thousand blocks of mixed sizes, freed in order.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use allotrope_core::{Locked, OsPages};
use allotrope_heap::LocalHeap;
use bench_kit::rng::Rng;
use criterion::{Criterion, criterion_group, criterion_main};

fn churn(allocator: &impl GlobalAlloc, layouts: &[Layout], blocks: &mut Vec<*mut u8>) {
    for &layout in layouts {
        // SAFETY: no size is zero.
        blocks.push(black_box(unsafe { allocator.alloc(layout) }));
    }
    for (block, &layout) in blocks.drain(..).zip(layouts) {
        // SAFETY: the block came from this allocator with this layout.
        unsafe { allocator.dealloc(block, layout) };
    }
}

fn global(c: &mut Criterion) {
    let mut rng = Rng::new(2);
    let layout = |size| Layout::from_size_align(size, 16).expect("a layout");
    let layouts: Vec<Layout> =
        (0..1000).map(|_| layout(rng.log_normal(96.0, 1.2, 16, 4096))).collect();
    let mut group = c.benchmark_group("global: 1000 mixed blocks");
    let mut blocks = Vec::with_capacity(layouts.len());
    macro_rules! contestant {
        ($name:literal, $allocator:expr) => {
            group.bench_function($name, |b| {
                b.iter(|| churn(&$allocator, &layouts, &mut blocks));
            });
        };
    }
    static RLSF: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();
    contestant!("system", System);
    contestant!("rusty-alloc", rusty_alloc_api::RustyAlloc);
    contestant!("rlsf", RLSF);
    contestant!("dlmalloc", dlmalloc::GlobalDlmalloc);
    // Our contestants.
    static OURS: Locked<LocalHeap<OsPages>> = Locked::new(LocalHeap::new(OsPages::new()));
    contestant!("allotrope Locked<LocalHeap>", OURS);
    group.finish();
}

criterion_group!(benches, global);
criterion_main!(benches);
