//! Our pools.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allotrope_core::{ObjectPool, OsPages, PoolBox};

use crate::contestants::{Object, Pool};

/// By handles of one word, as `slab` is by keys.
pub struct OurObjectPool(ObjectPool<MaybeUninit<Object>, OsPages>);

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
pub struct OurPoolBox(ObjectPool<MaybeUninit<Object>, OsPages>);

impl Pool for OurPoolBox {
    const NAME: &'static str = "(allotrope PoolBox)";
    type Item<'a> = PoolBox<'a, MaybeUninit<Object>, OsPages>;

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
fn insert(
    pool: &ObjectPool<MaybeUninit<Object>, OsPages>,
    v: u64,
) -> PoolBox<'_, MaybeUninit<Object>, OsPages> {
    let mut object = pool.insert(MaybeUninit::uninit());
    // SAFETY: the object is ours, and its first word is a `u64`.
    unsafe { object.as_mut_ptr().cast::<u64>().write(v) };
    object
}
