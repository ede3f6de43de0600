//! Pools of one object size: `bench-pools [--quick] [--only WORKLOAD] [--rounds N]`.

mod contestants;
mod limits;
mod ours;
mod peers;

#[cfg(feature = "c-peers")]
mod c_peers;
#[cfg(not(feature = "c-peers"))]
#[path = "no_c_peers.rs"]
mod c_peers;

use std::hint::black_box;

use bench_kit::args::Args;
use bench_kit::count::{Meter, Sample};
use bench_kit::rng::Rng;
use bench_kit::rounds::{Entry, race};

use c_peers::*;
use contestants::*;
use limits::*;
use ours::*;
use peers::*;

/// How many objects a pool has room for before it needs to grow.
const CAPACITY: usize = 8192;

fn pair<P: Pool>(pool: &P, n: usize) -> usize {
    for i in 0..n {
        pool.put(black_box(pool.get(i as u64)));
    }
    n
}

/// 64 objects held, a random one replaced.
fn held<P: Pool>(pool: &P, n: usize) -> usize {
    let mut rng = Rng::new(1);
    let mut items: Vec<P::Item<'_>> = (0..64).map(|i| pool.get(i)).collect();
    for i in 0..n {
        let new = black_box(pool.get(i as u64));
        pool.put(std::mem::replace(&mut items[rng.below(64)], new));
    }
    items.into_iter().for_each(|item| pool.put(item));
    n
}

/// A thousand taken, then all given back in the order they came.
fn burst<P: Pool>(pool: &P, n: usize) -> usize {
    let mut items = Vec::with_capacity(1000);
    for _ in 0..n / 1000 {
        items.extend((0..1000).map(|i| black_box(pool.get(i))));
        items.drain(..).for_each(|item| pool.put(item));
    }
    n / 1000 * 1000
}

/// As many as sixteen calls take, then all given back, the last ones first, as many a call.
fn batches<P: Pool>(pool: &P, n: usize) -> usize {
    const CALLS: usize = 16;
    let mut items = Vec::with_capacity(CALLS * BATCH);
    for _ in 0..n / (CALLS * BATCH) {
        (0..CALLS).for_each(|call| pool.get_batch((call * BATCH) as u64, &mut items));
        black_box(&mut items);
        (0..CALLS).for_each(|_| pool.put_batch(items.drain(items.len() - BATCH..)));
    }
    n / (CALLS * BATCH) * CALLS * BATCH
}

fn one<P: Pool>(meter: &Meter, n: usize, work: impl Fn(&P, usize) -> usize) -> (usize, Sample) {
    let pool = P::new(CAPACITY);
    black_box(&pool); // its state must be in memory, as in real use
    work(&pool, n / 20);
    meter.measure(|| work(&pool, n))
}

fn two<P: Pool + Sync>(
    meter: &Meter,
    n: usize,
    work: impl Fn(&P, usize) -> usize + Sync,
) -> (usize, Sample) {
    let pool = P::new(CAPACITY);
    black_box(&pool); // its state must be in memory, as in real use
    work(&pool, n / 20);
    meter.measure(|| {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| work(&pool, n));
            work(&pool, n) + other.join().expect("no panic")
        })
    })
}

fn main() {
    let args = Args::parse(5);
    let n = args.turns(2_000_000);
    macro_rules! workload {
        ($name:literal, $run:ident, $work:ident, $for_each:ident) => {
            if args.wants($name) {
                let mut entries: Vec<Entry> = Vec::new();
                macro_rules! add {
                    ($pool:ty) => {
                        entries.push(Entry::new(<$pool>::NAME, |m| $run::<$pool>(m, n, $work)))
                    };
                }
                $for_each!(add);
                race("pools", $name, args.rounds, &mut entries);
            }
        };
    }
    workload!("get+put", one, pair, for_each_pool);
    workload!("64 held", one, held, for_each_pool);
    workload!("burst of 1000", one, burst, for_each_pool);
    workload!("burst, batched", one, batches, for_each_batch_pool);
    workload!("2 threads get+put", two, pair, for_each_shared_pool);
    workload!("2 threads 64 held", two, held, for_each_shared_pool);
    workload!("2 threads burst", two, burst, for_each_shared_pool);
    workload!("2 threads burst, batched", two, batches, for_each_shared_batch_pool);
}
