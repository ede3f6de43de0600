//! hashbrown and allocator-api2 collections in different homes, and std's own on the system
//! allocator: `bench-collections [--quick] [--only WORKLOAD] [--rounds N]`.

mod contestants;
mod ours;
mod peers;

#[cfg(feature = "c-peers")]
mod c_peers;
#[cfg(not(feature = "c-peers"))]
#[path = "no_c_peers.rs"]
mod c_peers;

use std::collections::HashMap;
use std::hint::black_box;

use allocator_api2::boxed::Box as ABox;
use allocator_api2::vec::Vec as AVec;
use bench_kit::args::Args;
use bench_kit::count::{Meter, Sample};
use bench_kit::rng::Rng;
use bench_kit::rounds::{Entry, race};
use hashbrown::{DefaultHashBuilder, HashMap as AMap};

use c_peers::*;
use contestants::*;
use ours::*;
use peers::*;

/// Each workload is written once; `$vec`, `$map`, `$box` make empty collections.
macro_rules! map_large {
    ($vec:expr, $map:expr, $box:expr) => {{
        let mut rng = Rng::new(1);
        let mut m = $map;
        for i in 0..100_000u64 {
            m.insert(rng.next_u64(), i);
        }
        black_box(m.len());
        100_000
    }};
}

macro_rules! maps_small {
    ($vec:expr, $map:expr, $box:expr) => {{
        for k in 0..5000u64 {
            let mut m = $map;
            for i in 0..20u64 {
                m.insert(i * k, i);
            }
            black_box(m.len());
        }
        100_000
    }};
}

macro_rules! vec_push {
    ($vec:expr, $map:expr, $box:expr) => {{
        let mut v = $vec;
        for i in 0..1_000_000u64 {
            v.push(i);
        }
        black_box(&v[..]);
        1_000_000
    }};
}

macro_rules! vec_of_vecs {
    ($vec:expr, $map:expr, $box:expr) => {{
        let mut all = $vec;
        for k in 0..10_000u64 {
            let mut v = $vec;
            for i in 0..1 + k % 60 {
                v.push(i);
            }
            all.push(v);
        }
        black_box(&all[..]);
        10_000
    }};
}

macro_rules! map_of_vecs {
    ($vec:expr, $map:expr, $box:expr) => {{
        let mut rng = Rng::new(2);
        let mut m = $map;
        for i in 0..100_000u64 {
            m.entry(rng.next_u64() & 0x3FFF).or_insert_with(|| $vec).push(i);
        }
        black_box(m.len());
        100_000
    }};
}

macro_rules! boxes {
    ($vec:expr, $map:expr, $box:expr) => {{
        let make = $box;
        let mut v = $vec;
        for i in 0..100_000u64 {
            v.push(make([i; 4]));
        }
        black_box(&v[..]);
        100_000
    }};
}

fn in_home<H: Home>(meter: &Meter, turns: usize, f: impl Fn(&H) -> usize) -> (usize, Sample) {
    let mut home = H::new();
    f(&home);
    home.reset();
    repeat(meter, turns, || {
        let operations = f(&home);
        home.reset();
        operations
    })
}

fn repeat(meter: &Meter, turns: usize, mut f: impl FnMut() -> usize) -> (usize, Sample) {
    meter.measure(|| (0..turns).map(|_| f()).sum())
}

fn main() {
    let args = Args::parse(5);
    macro_rules! workload {
        ($name:literal, $body:ident, $turns:expr) => {
            if args.wants($name) {
                let turns = args.turns($turns);
                let mut entries: Vec<Entry> = Vec::new();
                entries.push(Entry::new("std + system", |m| {
                    repeat(m, turns, || {
                        $body!(
                            Vec::new(),
                            HashMap::with_hasher(DefaultHashBuilder::default()),
                            |v| Box::new(v)
                        )
                    })
                }));
                macro_rules! add {
                    ($home:ty) => {
                        entries.push(Entry::new(<$home>::NAME, |m| {
                            in_home::<$home>(m, turns, |home| {
                                $body!(
                                    AVec::new_in(home.handle()),
                                    AMap::with_hasher_in(
                                        DefaultHashBuilder::default(),
                                        home.handle()
                                    ),
                                    |v| ABox::new_in(v, home.handle())
                                )
                            })
                        }))
                    };
                }
                for_each_home!(add);
                race("collections", $name, args.rounds, &mut entries);
            }
        };
    }
    workload!("hashmap of 100k u64", map_large, 12);
    workload!("5k hashmaps of 20", maps_small, 12);
    workload!("vec push 1M u64", vec_push, 12);
    workload!("10k vecs of 1-60", vec_of_vecs, 40);
    workload!("hashmap of vecs", map_of_vecs, 16);
    workload!("100k boxes of 32 B", boxes, 30);
}
