//! Arenas against each other: `bench-arena [--quick] [--only WORKLOAD] [--rounds N]`.

mod contestants;
mod limits;
mod ours;
mod peers;
mod raw;
mod shared;
mod tree;

#[cfg(feature = "c-peers")]
mod c_peers;
#[cfg(not(feature = "c-peers"))]
#[path = "no_c_peers.rs"]
mod c_peers;

use std::hint::black_box;

use allocator_api2::vec::Vec as AVec;
use bench_kit::args::Args;
use bench_kit::count::{Meter, Sample};
use bench_kit::data::{self, Words};
use bench_kit::rounds::{Entry, race};
use hashbrown::{DefaultHashBuilder, HashMap};

use c_peers::*;
use contestants::*;
use limits::*;
use ours::*;
use peers::*;

const PROGRAM: &str = "arena";

/// Values in an arena before it is reset.
const N: usize = 100_000;

/// `turns` times: `N` values, then reset. Only the seed of a value is hidden
/// from the optimiser: hiding all of it would put it on the stack first, and
/// the copy from there would stall on store forwarding and measure that.
fn values<T: 'static, A: ArenaOf<T>>(
    meter: &Meter,
    turns: usize,
    make: impl Fn(u64) -> T,
) -> (usize, Sample) {
    let mut arena = A::make();
    black_box(&arena); // its state must be in memory, as in real use
    let mut turn = || {
        for i in 0..N {
            black_box(arena.put(make(black_box(i as u64))));
        }
        arena.clear();
    };
    turn();
    let ((), s) = meter.measure(|| (0..turns).for_each(|_| turn()));
    (turns * N, s)
}

fn slices<A: Arena>(meter: &Meter, turns: usize, input: &[&[u32]]) -> (usize, Sample) {
    repeat::<A>(meter, turns, |a| {
        for s in input {
            black_box(a.slice(black_box(*s)));
        }
        input.len()
    })
}

fn strs<A: Arena>(meter: &Meter, turns: usize, input: &[&str]) -> (usize, Sample) {
    repeat::<A>(meter, turns, |a| {
        for s in input {
            black_box(a.str(black_box(*s)));
        }
        input.len()
    })
}

fn repeat<A: Arena>(
    meter: &Meter,
    turns: usize,
    mut f: impl FnMut(&A) -> usize,
) -> (usize, Sample) {
    let mut a = A::new();
    black_box(&a);
    f(&a);
    a.reset();
    meter.measure(|| {
        let mut ops = 0;
        for _ in 0..turns {
            ops += f(&a);
            a.reset();
        }
        ops
    })
}

fn vec_one<A: Arena>(a: &A) -> usize {
    for _ in 0..40 {
        let mut v = AVec::new_in(a.handle());
        for i in 0..1000u64 {
            v.push(i);
        }
        black_box(&v[..]);
    }
    40_000
}

fn vec_two<A: Arena>(a: &A) -> usize {
    for _ in 0..20 {
        let (mut v, mut w) = (AVec::new_in(a.handle()), AVec::new_in(a.handle()));
        for i in 0..1000u64 {
            v.push(i);
            w.push(!i);
        }
        black_box((&v[..], &w[..]));
    }
    40_000
}

fn hash_map<A: Arena>(a: &A) -> usize {
    for _ in 0..20 {
        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), a.handle());
        for i in 0..1000u64 {
            map.insert(i, i);
        }
        black_box(map.len());
    }
    20_000
}

fn scopes<A: Arena>(meter: &Meter, turns: usize) -> (usize, Sample) {
    let mut a = A::new();
    black_box(&a);
    a.scope_of_100();
    let ((), s) = meter.measure(|| (0..turns).for_each(|_| a.scope_of_100()));
    (turns, s)
}

fn fresh<A: Arena>(meter: &Meter, turns: usize) -> (usize, Sample) {
    let ((), s) = meter.measure(|| {
        for _ in 0..turns {
            let a = A::new();
            black_box(&a);
            for i in 0..1000u64 {
                black_box(a.alloc([i; 3]));
            }
        }
    });
    (turns, s)
}

fn main() {
    let args = Args::parse(6);
    values_of_one_type(&args);
    values_of_any_type(&args);
    trees(&args);
    shared_by_threads(&args);
}

fn values_of_one_type(args: &Args) {
    let turns = args.turns(40);
    macro_rules! of_type {
        ($name:literal, $ty:ty, $make:expr) => {
            if args.wants($name) {
                let mut entries: Vec<Entry> = Vec::new();
                macro_rules! add {
                    ($arena:ty) => {
                        entries.push(Entry::new(<$arena as ArenaOf<$ty>>::LABEL, |m| {
                            values::<$ty, $arena>(m, turns, $make)
                        }))
                    };
                }
                for_each_arena!(add);
                add!(Typed<$ty>);
                race(PROGRAM, $name, args.rounds, &mut entries);
            }
        };
    }
    of_type!("u32", u32, |i| i as u32);
    of_type!("u64", u64, |i| i);
    of_type!("24 bytes", [u64; 3], |i| [i; 3]);
    of_type!("256 bytes", [u8; 256], |i| [i as u8; 256]);
}

fn values_of_any_type(args: &Args) {
    let mut words = Words::new(21, 3000);
    let text = words.text(N);
    let strings: Vec<&str> = text.split(' ').collect();
    let numbers: Vec<u32> = (0..4096).collect();
    let parts: Vec<&[u32]> = (0..N).map(|i| &numbers[i % 97..i % 97 + 1 + i * 7 % 40]).collect();

    macro_rules! any_type {
        ($name:literal, |$meter:ident, $a:ident| $body:expr) => {
            if args.wants($name) {
                let mut entries: Vec<Entry> = Vec::new();
                macro_rules! add {
                    ($arena:ty) => {{
                        type $a = $arena;
                        entries.push(Entry::new($a::NAME, |$meter| $body))
                    }};
                }
                for_each_arena!(add);
                race(PROGRAM, $name, args.rounds, &mut entries);
            }
        };
    }
    any_type!("slice copy", |m, A| slices::<A>(m, args.turns(20), &parts));
    any_type!("str copy", |m, A| strs::<A>(m, args.turns(20), &strings));
    any_type!("vec push", |m, A| repeat::<A>(m, args.turns(80), vec_one));
    any_type!("two vecs push", |m, A| repeat::<A>(m, args.turns(80), vec_two));
    any_type!("hashmap insert", |m, A| repeat::<A>(m, args.turns(40), hash_map));
    any_type!("scope of 100", |m, A| scopes::<A>(m, args.turns(40_000)));
    any_type!("new+1000+drop", |m, A| fresh::<A>(m, args.turns(2000)));
}

fn trees(args: &Args) {
    if !args.wants("tree") {
        return;
    }
    let turns = args.turns(8);
    let expression = data::expression(1 << 20);
    let mut entries: Vec<Entry> = Vec::new();
    macro_rules! add {
        ($arena:ty) => {
            entries.push(Entry::new(<$arena as ArenaOf<tree::Expr>>::LABEL, |m| {
                tree::build::<$arena>(m, turns, &expression)
            }))
        };
    }
    for_each_arena!(add);
    add!(Typed<tree::Expr>);
    race(PROGRAM, "tree of 1 MB text (op: node)", args.rounds, &mut entries);
}

fn shared_by_threads(args: &Args) {
    let mut words = Words::new(21, 3000);
    let text = words.text(N);
    let strings: Vec<&str> = text.split(' ').collect();
    macro_rules! row {
        ($name:literal, |$meter:ident, $a:ident| $body:expr) => {
            if args.wants($name) {
                let mut entries: Vec<Entry> = Vec::new();
                macro_rules! add {
                    ($arena:ident) => {{
                        type $a = shared::$arena;
                        entries.push(Entry::new(<$a as shared::Shared>::NAME, |$meter| $body))
                    }};
                }
                add!(OneThread);
                add!(ByHandle);
                add!(ByReference);
                add!(BlinkOneThread);
                add!(BlinkByHandle);
                add!(BlinkByReference);
                race(PROGRAM, $name, args.rounds, &mut entries);
            }
        };
    }
    row!("shared u64", |m, A| shared::values::<A, u64>(m, args.turns(40), |i| i));
    row!("shared 24 bytes", |m, A| shared::values::<A, [u64; 3]>(m, args.turns(40), |i| [i; 3]));
    row!("shared str copy", |m, A| shared::strs::<A>(m, args.turns(20), &strings));
}
