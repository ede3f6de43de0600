//! Heaps in one buffer: random blocks of a live set are replaced.

use std::alloc::Layout;
use std::cell::RefCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use bench_kit::rng::Rng;
use criterion::{Criterion, criterion_group, criterion_main};

const LIVE: usize = 2000;
const BUFFER: usize = 4 << 20;

type Buffer = Box<[MaybeUninit<u64>]>;

fn buffer() -> Buffer {
    Box::new_uninit_slice(BUFFER / 8)
}

fn start_of(buffer: &mut Buffer) -> *mut u8 {
    buffer.as_mut_ptr().cast()
}

/// Endless replacements: each call frees a block and allocates another.
fn replacements(
    mut allocate: impl FnMut(Layout) -> Option<NonNull<u8>>,
    mut deallocate: impl FnMut(NonNull<u8>, Layout),
) -> impl FnMut() {
    let mut rng = Rng::new(3);
    let mut layout =
        move || Layout::from_size_align(rng.log_normal(90.0, 1.0, 8, 8192), 8).expect("a layout");
    let mut random = Rng::new(4);
    let mut held: Vec<_> = (0..LIVE)
        .map(|_| {
            let layout = layout();
            (allocate(layout).expect("room"), layout)
        })
        .collect();
    move || {
        let (block, layout_now) = &mut held[random.below(LIVE)];
        deallocate(*block, *layout_now);
        *layout_now = layout();
        *block = black_box(allocate(*layout_now).expect("room"));
    }
}

fn fixedbuf(c: &mut Criterion) {
    let mut group = c.benchmark_group("fixedbuf: replace a random block of 2000");
    group.bench_function("talc", |b| {
        let mut buffer = buffer();
        let heap =
            RefCell::new(talc::base::Talc::<_, talc::DefaultBinning>::new(talc::source::Manual));
        // SAFETY: the buffer outlives the heap and nobody else uses it.
        unsafe { heap.borrow_mut().claim(start_of(&mut buffer), BUFFER) }.expect("room");
        let mut replace = replacements(
            // SAFETY: no size is zero.
            |layout| unsafe { heap.borrow_mut().allocate(layout) },
            // SAFETY: the block came from this heap with this layout.
            |block, layout| unsafe { heap.borrow_mut().deallocate(block.as_ptr(), layout) },
        );
        b.iter(&mut replace);
    });
    group.bench_function("rlsf", |b| {
        let mut buffer = buffer();
        let heap = RefCell::new(rlsf::Tlsf::<'_, u32, u16, 24, 16>::new());
        heap.borrow_mut().insert_free_block(as_bytes(&mut buffer));
        let mut replace = replacements(
            |layout| heap.borrow_mut().allocate(layout),
            // SAFETY: the block came from this heap with this alignment.
            |block, layout| unsafe { heap.borrow_mut().deallocate(block, layout.align()) },
        );
        b.iter(&mut replace);
    });
    // Our contestants.
    group.finish();
}

fn as_bytes(buffer: &mut Buffer) -> &mut [MaybeUninit<u8>] {
    let start = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer is `BUFFER` bytes long, and any bytes are uninitialized bytes.
    unsafe { std::slice::from_raw_parts_mut(start, BUFFER) }
}

criterion_group!(benches, fixedbuf);
criterion_main!(benches);
