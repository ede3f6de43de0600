//! Heaps that live for ten blocks: made, used and dropped, a million times.
//! `bench-heap-lives [--quick] [--only WORKLOAD] [--rounds N]`.
//!
//! Nothing is freed block by block: what a dropped heap gave out goes with it. `RSS KiB grown` is by
//! how much resident memory grew from the first tenth of the heaps to the last.

use std::alloc::{Layout, System};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allotrope_core::{Buffer, OsPages};
use allotrope_heap::LocalHeap;
use bench_kit::args::Args;
use bench_kit::compat::From04;
use bench_kit::count::{Meter, Sample};
use bench_kit::rounds::{Entry, race};
use bench_kit::{callgrind, report, rss};
use talc::source::GlobalAllocSource;

type Talc = talc::base::Talc<talc::source::Manual, talc::DefaultBinning>;

const PROGRAM: &str = "heap";

/// Ten blocks: constant sizes, as those of values are. Of an arena's first chunk they leave some.
trait Blocks {
    const NAME: &'static str;
    const SIZES: [usize; 10];
}

struct Equal;

impl Blocks for Equal {
    const NAME: &'static str = "ten blocks of 32 B";
    const SIZES: [usize; 10] = [32; 10];
}

struct Mixed;

impl Blocks for Mixed {
    const NAME: &'static str = "ten blocks of five sizes";
    const SIZES: [usize; 10] = [16, 24, 32, 48, 64, 16, 24, 32, 48, 64];
}

/// How long a buffer is.
const BYTES: usize = 64 << 10;

/// A buffer that starts where a page might.
#[repr(align(4096))]
struct Bytes([MaybeUninit<u8>; BYTES]);

/// Writes to one block of every size, each by a call of its own, as values of ten types would.
#[inline(always)]
fn use_blocks<B: Blocks>(mut allocate: impl FnMut(Layout) -> Option<NonNull<u8>>) {
    macro_rules! each {
        ($($index:literal)*) => { $(use_block(B::SIZES[$index], &mut allocate);)* };
    }
    each!(0 1 2 3 4 5 6 7 8 9);
}

#[inline(always)]
fn use_block(size: usize, allocate: &mut impl FnMut(Layout) -> Option<NonNull<u8>>) {
    let layout = Layout::from_size_align(size, 8).expect("a layout");
    let block = black_box(allocate(layout).expect("a block"));
    // SAFETY: the block is `size` bytes long, and nobody else's.
    unsafe { block.write(1) };
}

#[inline(always)]
fn use_handle<B: Blocks>(heap: impl Allocator) {
    use_blocks::<B>(|layout| Some(heap.allocate(layout).ok()?.cast()));
}

/// Lives `heaps` lives, after some that do not count.
fn lives(
    meter: &Meter,
    workload: &str,
    contestant: &str,
    heaps: usize,
    mut live: impl FnMut(),
) -> (usize, Sample) {
    (0..heaps / 10).for_each(|_| live());
    let before = rss::anon_kib();
    let ((), sample) = meter.measure(|| (0..heaps).for_each(|_| live()));
    let grown = rss::anon_kib().saturating_sub(before);
    if !callgrind::is_counting() {
        report::emit(PROGRAM, workload, contestant, "RSS KiB grown", grown as f64);
    }
    (heaps, sample)
}

/// A contestant, and one life of its heap.
macro_rules! entry {
    ($workload:expr, $name:literal, $heaps:expr, || $live:expr) => {
        Entry::new($name, move |meter| lives(meter, $workload, $name, $heaps, || $live))
    };
}

/// Heaps that lend themselves 64 KiB of somebody else's.
fn in_a_buffer<B: Blocks>(workload: &str, heaps: usize) -> [Entry<'_>; 3] {
    let bytes = || Box::new(Bytes([const { MaybeUninit::uninit() }; BYTES]));
    let [mut for_talc, mut for_rlsf, mut for_ours] = [bytes(), bytes(), bytes()];
    [
        entry!(workload, "talc", heaps, || {
            let mut heap = Talc::new(talc::source::Manual);
            // SAFETY: the buffer is lent to this heap alone, which is gone before the next.
            let claimed = unsafe { heap.claim(for_talc.0.as_mut_ptr().cast(), BYTES) };
            black_box(claimed);
            // SAFETY: no size is zero.
            use_blocks::<B>(|layout| unsafe { heap.allocate(layout) });
        }),
        entry!(workload, "rlsf", heaps, || {
            let mut heap = rlsf::Tlsf::<u32, u16, 24, 16>::new();
            black_box(heap.insert_free_block(&mut for_rlsf.0));
            use_blocks::<B>(|layout| heap.allocate(layout));
        }),
        entry!(workload, "allotrope LocalHeap", heaps, || {
            use_handle::<B>(&LocalHeap::new(Buffer::new(&mut for_ours.0)));
        }),
    ]
}

/// Heaps that take their memory from the system; an arena stands for the least that can be done.
fn over_pages<B: Blocks>(workload: &str, heaps: usize) -> [Entry<'_>; 3] {
    [
        entry!(workload, "bumpalo", heaps, || use_handle::<B>(&bumpalo::Bump::new())),
        entry!(workload, "talc", heaps, || {
            use_handle::<B>(From04(&talc::TalcCell::new(GlobalAllocSource::new(System))));
        }),
        entry!(workload, "allotrope LocalHeap", heaps, || {
            use_handle::<B>(&LocalHeap::new(OsPages::new()));
        }),
    ]
}

/// The races over some blocks.
fn races<B: Blocks>(args: &Args) {
    let heaps = args.turns(1_000_000);
    let workload = &format!("{}, in a buffer", B::NAME);
    if args.wants(workload) {
        race(PROGRAM, workload, args.rounds, &mut in_a_buffer::<B>(workload, heaps));
    }
    let workload = &format!("{}, over pages", B::NAME);
    if args.wants(workload) {
        race(PROGRAM, workload, args.rounds, &mut over_pages::<B>(workload, heaps));
    }
}

fn main() {
    let args = Args::parse(5);
    races::<Equal>(&args);
    races::<Mixed>(&args);
}
