//! Our pools.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::vec::Drain;

use allotrope_core::{self as ours, ObjectPool, OsPages, PoolBox};

use crate::contestants::{BATCH, Object, Pool};

type Objects = ObjectPool<MaybeUninit<Object>, OsPages>;

/// By handles of one word, as `slab` is by keys.
pub struct OurObjectPool(Objects);

impl Pool for OurObjectPool {
    const NAME: &'static str = "allotrope ObjectPool";
    type Item<'a> = NonNull<MaybeUninit<Object>>;

    fn new(_: usize) -> Self {
        OurObjectPool(ObjectPool::new(OsPages::new()))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> Self::Item<'_> {
        PoolBox::into_raw(insert(&self.0, v))
    }

    #[inline(always)]
    fn put<'a>(&'a self, object: Self::Item<'a>) {
        // SAFETY: `get` took it out of this pool, and the caller gives it up.
        drop(unsafe { self.0.from_raw(object) });
    }
}

/// By owning boxes, which are two words.
pub struct OurPoolBox(Objects);

impl Pool for OurPoolBox {
    const NAME: &'static str = "(allotrope PoolBox)";
    type Item<'a> = PoolBox<'a, MaybeUninit<Object>, Objects>;

    fn new(_: usize) -> Self {
        OurPoolBox(ObjectPool::new(OsPages::new()))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> Self::Item<'_> {
        insert(&self.0, v)
    }

    #[inline(always)]
    fn put<'a>(&'a self, object: Self::Item<'a>) {
        drop(object);
    }
}

#[inline(always)]
fn insert(pool: &Objects, v: u64) -> PoolBox<'_, MaybeUninit<Object>, Objects> {
    let mut object = pool.insert(MaybeUninit::uninit());
    // SAFETY: the object is ours, and its first word is a `u64`.
    unsafe { object.as_mut_ptr().cast::<u64>().write(v) };
    object
}

const LAYOUT: Layout = Layout::new::<Object>();

/// Blocks of the lock-free pool, one a call.
pub struct OurPool(ours::Pool<OsPages>);

impl Pool for OurPool {
    const NAME: &'static str = "allotrope Pool";
    type Item<'a> = NonNull<u8>;

    fn new(_: usize) -> Self {
        OurPool(ours::Pool::new(OsPages::new()))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> NonNull<u8> {
        let object = self.0.allocate(LAYOUT).expect("memory").cast::<u8>();
        // SAFETY: the block is ours, and its first word is a `u64`.
        unsafe { object.cast::<u64>().write(v) };
        object
    }

    #[inline(always)]
    fn put(&self, object: NonNull<u8>) {
        // SAFETY: `get` took it out of this pool, and the caller gives it up.
        unsafe { self.0.deallocate(object, LAYOUT) };
    }
}

/// Blocks of the lock-free pool, many a call.
pub struct OurPoolBatch(OurPool);

impl Pool for OurPoolBatch {
    const NAME: &'static str = "allotrope Pool batch";
    type Item<'a> = NonNull<u8>;

    fn new(capacity: usize) -> Self {
        OurPoolBatch(OurPool::new(capacity))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> NonNull<u8> {
        self.0.get(v)
    }

    #[inline(always)]
    fn put(&self, object: NonNull<u8>) {
        self.0.put(object);
    }

    #[inline(always)]
    fn get_batch(&self, v: u64, items: &mut Vec<NonNull<u8>>) {
        let mut objects = [MaybeUninit::uninit(); BATCH];
        assert_eq!(self.0.0.allocate_batch(LAYOUT, &mut objects), BATCH);
        items.extend(objects.iter().zip(v..).map(|(object, v)| {
            // SAFETY: as many were allocated as there is room for, each with room for a word.
            unsafe {
                let object = object.assume_init();
                object.cast::<u64>().write(v);
                object
            }
        }));
    }

    #[inline(always)]
    fn put_batch(&self, items: Drain<'_, NonNull<u8>>) {
        // SAFETY: `get_batch` took them out of this pool, and the caller gives them up.
        unsafe { self.0.0.deallocate_batch(LAYOUT, items.as_slice()) };
    }
}
