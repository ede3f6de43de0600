//! What a pool does besides allocating: counts, trims, resets, tells its hook.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Mutex;

use allotrope_core::{
    AllocError, Buffer, DefaultPolicy, Event, EventKind, Events, Hook, OsPages, Pool,
    SharedStrategy,
};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn take(pool: &Pool<OsPages>, layout: Layout, count: usize) -> Vec<NonNull<u8>> {
    (0..count).map(|_| pool.allocate(layout).unwrap().cast()).collect()
}

fn put(pool: &Pool<OsPages>, layout: Layout, blocks: impl IntoIterator<Item = NonNull<u8>>) {
    // SAFETY: `take` took the blocks with this layout, and each is put once.
    blocks.into_iter().for_each(|block| unsafe { pool.deallocate(block, layout) });
}

#[test]
fn blocks_are_the_power_of_two_that_fits_size_and_alignment() {
    let pool = Pool::new(OsPages::new());
    for (size, align, extent) in
        [(1, 1, 16), (16, 16, 16), (17, 1, 32), (1, 256, 256), (100, 64, 128), (4096, 4096, 4096)]
    {
        let block = pool.allocate(layout(size, align)).unwrap();
        assert_eq!((block.len(), block.addr().get() % extent), (extent, 0));
        assert_eq!(Pool::<OsPages>::extent(layout(size, align)), Some(extent));
    }
}

#[test]
fn counts_follow_what_is_taken_and_put() {
    let pool = Pool::new(OsPages::new());
    let (small, large, empty) = (layout(60, 4), layout(10_000, 8), layout(0, 64));
    assert_eq!((pool.capacity(small), pool.bytes_held()), (0, 0));
    let blocks = take(&pool, small, 1500);
    let more = take(&pool, large, 2);
    put(&pool, empty, take(&pool, empty, 1));
    assert_eq!(pool.blocks_used(small), 1500);
    assert!(pool.capacity(small) >= 1500 && pool.capacity(large) == 0);
    assert_eq!(pool.bytes_used(), 1500 * 64 + 2 * 12_288);
    assert_eq!(pool.bytes_free(), (pool.capacity(small) - 1500) * 64);
    assert!(pool.bytes_held() >= pool.bytes_used() + pool.bytes_free());
    put(&pool, small, blocks);
    put(&pool, large, more);
    assert_eq!((pool.blocks_used(small), pool.bytes_used()), (0, 0));
}

#[test]
fn trim_gives_back_what_nobody_uses_and_keeps_the_rest() {
    let mut pool = Pool::new(OsPages::new());
    let sizes = [64, 512, 4096].map(|size| layout(size, 8));
    let mut all: Vec<_> = sizes.iter().map(|&layout| take(&pool, layout, 3000)).collect();
    let full = pool.bytes_held();
    // The largest come last, and are kept least.
    let (first, last) = (all[0].drain(..10).collect::<Vec<_>>(), all[2].drain(..10).collect());
    let kept = [first, all[1].split_off(2990), last];
    for (&layout, blocks) in sizes.iter().zip(all) {
        put(&pool, layout, blocks);
    }
    for block in kept.iter().flatten() {
        // SAFETY: the blocks are in use, and long enough.
        unsafe { block.cast::<u64>().write(7) };
    }
    pool.trim();
    assert_eq!(pool.check_invariants(), Ok(()));
    assert!(pool.bytes_held() < full, "{} {full}", pool.bytes_held());
    assert_eq!(pool.bytes_used(), 10 * (64 + 512 + 4096));
    // Chunks in the middle are any class's now.
    let others = take(&pool, layout(16, 1), 100_000);
    assert!(pool.bytes_held() <= full);
    put(&pool, layout(16, 1), others);
    for (&layout, blocks) in sizes.iter().zip(kept) {
        // SAFETY: as above.
        assert!(blocks.iter().all(|block| unsafe { block.cast::<u64>().read() } == 7));
        put(&pool, layout, blocks);
    }
    pool.trim();
    assert_eq!((pool.bytes_used(), pool.bytes_held()), (0, 0));
    put(&pool, sizes[0], take(&pool, sizes[0], 10));
}

#[test]
fn reset_takes_everything_back_and_keeps_the_memory() {
    let mut pool = Pool::new(OsPages::new());
    take(&pool, layout(64, 8), 5000);
    take(&pool, layout(100_000, 8), 1);
    let held = pool.bytes_held();
    pool.reset();
    assert_eq!((pool.bytes_used(), pool.check_invariants()), (0, Ok(())));
    assert!(pool.bytes_held() < held && pool.bytes_held() >= 5000 * 64);
    let held = pool.bytes_held();
    // As many bytes as before, in blocks of another class.
    let blocks = take(&pool, layout(512, 8), 5000 / 8);
    assert_eq!(pool.bytes_held(), held);
    put(&pool, layout(512, 8), blocks);
}

#[test]
fn an_exhausted_pool_serves_again_what_is_given_back() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 * 1024];
    let pool = Pool::new(Buffer::new(&mut bytes));
    let layout = layout(256, 1);
    let mut blocks = Vec::new();
    while let Ok(block) = pool.allocate(layout) {
        blocks.push(block.cast::<u8>());
    }
    assert_eq!((blocks.len(), pool.bytes_free()), (pool.capacity(layout), 0));
    assert!(blocks.len() * 256 > 50 * 1024, "{}", blocks.len());
    // SAFETY: allocated above with this layout, and freed once.
    unsafe { pool.deallocate(blocks.swap_remove(7), layout) };
    assert!(pool.allocate(layout).is_ok());
    assert_eq!(pool.allocate(layout), Err(AllocError));
    let mut places = [MaybeUninit::uninit(); 10];
    assert_eq!(pool.allocate_batch(layout, &mut places), 0);
    // SAFETY: as above.
    unsafe { pool.deallocate_batch(layout, &blocks[..5]) };
    assert_eq!(pool.allocate_batch(layout, &mut places), 5);
}

#[test]
fn a_large_block_does_not_take_the_whole_buffer() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 * 1024];
    let pool = Pool::new(Buffer::new(&mut bytes));
    assert_eq!(pool.allocate(layout(8192, 8)), Err(AllocError));
    assert!(pool.allocate(layout(64, 8)).is_ok());
}

#[test]
fn blocks_grow_and_shrink_between_classes_and_pages() {
    let pool = Pool::new(OsPages::new());
    let sizes = [10, 16, 17, 4096, 4097, 100_000, 4097, 4096, 100, 20_000, 1];
    let mut size = 5;
    let mut block = pool.allocate_zeroed(layout(size, 8)).unwrap().cast::<u8>();
    for next in sizes {
        let (old, new) = (layout(size, 8), layout(next, 8));
        // SAFETY: the block is in use with `old`, and given up for the new one; bytes up to the
        // smaller size were written.
        unsafe {
            block.write_bytes(7, size);
            let grown = match next >= size {
                true => pool.grow_zeroed(block, old, new).unwrap(),
                false => pool.shrink(block, old, new).unwrap(),
            };
            let bytes = grown.as_ref();
            assert!(bytes[..size.min(next)].iter().all(|&byte| byte == 7));
            if next > size {
                assert!(bytes[size..].iter().all(|&byte| byte == 0), "{size} {next}");
            }
            block = grown.cast();
        }
        size = next;
    }
    // SAFETY: as above.
    unsafe { pool.deallocate(block, layout(size, 8)) };
    assert_eq!(pool.bytes_used(), 0);
}

#[derive(Default)]
struct Recorder(Mutex<Vec<EventKind>>);

impl Hook for &Recorder {
    type Record = Events;
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.kind);
    }
}

impl Recorder {
    fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().drain(..).collect()
    }
}

#[test]
fn a_hook_hears_of_blocks_and_chunks() {
    use EventKind::{Allocate, Free, Refill, Release};
    let recorder = Recorder::default();
    let mut pool = Pool::<_, DefaultPolicy, _>::with_hook(OsPages::new(), &recorder);
    let small = layout(64, 8);
    let block = pool.allocate(small).unwrap().cast();
    assert_eq!(recorder.kinds(), [Refill, Allocate]);
    let mut places = [MaybeUninit::uninit(); 2];
    assert_eq!(pool.allocate_batch(small, &mut places), 2);
    assert_eq!(recorder.kinds(), [Allocate, Allocate]);
    // SAFETY: allocated above, grown and freed once each.
    unsafe {
        let block = pool.grow(block, layout(50, 8), small).unwrap();
        pool.deallocate(block.cast(), small);
        pool.deallocate_batch(small, &places.map(|place| place.assume_init()));
    }
    assert_eq!(recorder.kinds(), [Free, Allocate, Free, Free, Free]);
    let block = pool.allocate(layout(8192, 8)).unwrap().cast();
    // SAFETY: as above.
    unsafe { pool.deallocate(block, layout(8192, 8)) };
    assert_eq!(recorder.kinds(), [Allocate, Free]);
    pool.trim();
    assert_eq!(recorder.kinds(), [Release]);
    pool.allocate(small).unwrap();
    drop(pool);
    assert_eq!(recorder.kinds(), [Refill, Allocate, Release]);
}
