//! The pools that are compared, all of 64-byte objects.
//!
//! To add one: implement [`Pool`], and add it to `for_each_pool!`, or to `for_each_shared_pool!`
//! if threads may share it.

use std::vec::Drain;

/// What the pools hold.
pub type Object = [u64; 8];

/// A pool of [`Object`]s.
pub trait Pool {
    /// Its name in the tables.
    const NAME: &'static str;
    /// An object that was taken out.
    type Item<'a>
    where
        Self: 'a;

    /// A pool with room for `capacity` objects before it needs to grow.
    fn new(capacity: usize) -> Self;
    /// Takes an object out and writes its first word.
    fn get(&self, v: u64) -> Self::Item<'_>;
    /// Puts an object back.
    fn put<'a>(&'a self, item: Self::Item<'a>);

    /// Takes [`BATCH`] objects out and writes their first words: in one call where the pool has
    /// one for it, else one after the other. No pool crate among the peers has such a call.
    #[inline(always)]
    fn get_batch<'a>(&'a self, v: u64, items: &mut Vec<Self::Item<'a>>) {
        items.extend((v..v + BATCH as u64).map(|v| self.get(v)));
    }

    /// Puts these objects back: in one call where the pool has one for it.
    #[inline(always)]
    fn put_batch<'a>(&'a self, items: Drain<'_, Self::Item<'a>>) {
        items.for_each(|item| self.put(item));
    }
}

/// How many objects a call takes where many are taken at once.
pub const BATCH: usize = 64;

/// Calls `$m!(Type)` for every pool that one thread can use.
macro_rules! for_each_pool {
    ($m:ident) => {
        $m!(Slab);
        $m!(SlabMalloc);
        $m!(OpoolLocal);
        $m!(LimitList);
        $m!(OurObjectPool);
        $m!(OurPoolBox);
        for_each_shared_pool!($m);
    };
}

/// Calls `$m!(Type)` for every pool that threads can share.
macro_rules! for_each_shared_pool {
    ($m:ident) => {
        $m!(OpoolShared);
        $m!(ObjectPool);
        $m!(LockfreeLinear);
        $m!(LockfreeSpin);
        $m!(Heapless);
        $m!(ShardedSlab);
        for_each_c_peer!($m);
        $m!(LimitCas);
        $m!(OurPool);
    };
}

/// Calls `$m!(Type)` for every pool, where many objects are taken at once.
macro_rules! for_each_batch_pool {
    ($m:ident) => {
        for_each_pool!($m);
        $m!(OurPoolBatch);
    };
}

/// Calls `$m!(Type)` for every pool that threads can share, where many are taken at once.
macro_rules! for_each_shared_batch_pool {
    ($m:ident) => {
        for_each_shared_pool!($m);
        $m!(OurPoolBatch);
    };
}
pub(crate) use {
    for_each_batch_pool, for_each_pool, for_each_shared_batch_pool, for_each_shared_pool,
};
