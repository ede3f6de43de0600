//! Arenas: a thousand values of 24 bytes, then all freed at once.

use std::hint::black_box;

use allotrope_scope::Arena;
use criterion::{Criterion, criterion_group, criterion_main};

fn arena(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena: 1000 values of 24 bytes");
    macro_rules! contestant {
        ($name:literal, $new:expr, $alloc:expr) => {
            group.bench_function($name, |b| {
                let mut arena = $new;
                b.iter(|| {
                    for i in 0..1000u64 {
                        black_box($alloc(&arena, [black_box(i); 3]));
                    }
                    arena.reset();
                });
            });
        };
    }
    contestant!("bumpalo", bumpalo::Bump::new(), |arena: &bumpalo::Bump, value| {
        std::ptr::from_mut(arena.alloc::<[u64; 3]>(value))
    });
    contestant!("bump-scope", <bump_scope::Bump>::new(), |arena: &bump_scope::Bump, value| {
        std::ptr::from_mut(bump_scope::BumpBox::leak(arena.alloc::<[u64; 3]>(value)))
    });
    contestant!("blink-alloc", blink_alloc::Blink::new(), |arena: &blink_alloc::Blink, value| {
        std::ptr::from_mut(arena.put_no_drop::<[u64; 3]>(value))
    });
    contestant!("allotrope Arena", Arena::new(), |arena: &Arena, value| {
        std::ptr::from_mut(arena.alloc::<[u64; 3]>(value))
    });
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
