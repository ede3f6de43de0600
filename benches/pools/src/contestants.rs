//! The pools that are compared, all of 64-byte objects.
//!
//! To add one: implement [`Pool`], and add it to `for_each_pool!`, or to `for_each_shared_pool!`
//! if threads may share it.

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
}

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
        // Our contestants that threads share: $m!(Ours);
    };
}
pub(crate) use {for_each_pool, for_each_shared_pool};
