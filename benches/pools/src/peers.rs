//! The pool crates.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Once;

use slabmalloc::{ObjectPage, SCAllocator};

use crate::contestants::{Object, Pool};

pub struct Slab(UnsafeCell<slab::Slab<Object>>);

impl Pool for Slab {
    const NAME: &'static str = "slab";
    type Item<'a> = usize;

    fn new(capacity: usize) -> Self {
        Slab(UnsafeCell::new(slab::Slab::with_capacity(capacity)))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> usize {
        // SAFETY: the cell is not `Sync`, and no reference into it outlives this call.
        unsafe { (*self.0.get()).insert([v; 8]) }
    }

    #[inline(always)]
    fn put(&self, key: usize) {
        // SAFETY: as in `get`.
        unsafe { (*self.0.get()).remove(key) };
    }
}

/// The allocator of one size class, given its pages beforehand.
pub struct SlabMalloc(UnsafeCell<SCAllocator<'static, ObjectPage<'static>>>);

impl Pool for SlabMalloc {
    const NAME: &'static str = "slabmalloc";
    type Item<'a> = NonNull<u8>;

    fn new(capacity: usize) -> Self {
        let mut class = SCAllocator::new(size_of::<Object>());
        let layout = Layout::from_size_align(4096, 4096).expect("a page is a layout");
        for _ in 0..capacity / 50 + 2 {
            // SAFETY: a page is not empty.
            let page = NonNull::new(unsafe { alloc_zeroed(layout) }).expect("memory");
            // SAFETY: a zeroed page is an empty `ObjectPage`, as its documentation asks; it is
            // ours alone and, as in a kernel, never given back.
            unsafe { class.refill(page.cast().as_mut()) };
        }
        SlabMalloc(UnsafeCell::new(class))
    }

    #[inline(always)]
    fn get(&self, v: u64) -> NonNull<u8> {
        // SAFETY: the cell is not `Sync`, and no reference into it outlives this call.
        let class = unsafe { &mut *self.0.get() };
        let object = class.allocate(Layout::new::<Object>()).expect("room");
        // SAFETY: a block of the layout of `Object` has room for its first word.
        unsafe { object.cast::<u64>().write(v) };
        object
    }

    #[inline(always)]
    fn put(&self, object: NonNull<u8>) {
        // SAFETY: as in `get`.
        let class = unsafe { &mut *self.0.get() };
        class.deallocate(object, Layout::new::<Object>()).expect("a block of this pool");
    }
}

/// How opool makes its objects.
pub struct Make;

impl opool::PoolAllocator<Object> for Make {
    #[inline(always)]
    fn allocate(&self) -> Object {
        [0; 8]
    }
}

/// A pool whose items are guards that put themselves back.
macro_rules! pool_of_guards {
    ($ty:ident($inner:ty), $name:literal, $guard:ty, $new:expr, $get:expr) => {
        pub struct $ty($inner);

        impl Pool for $ty {
            const NAME: &'static str = $name;
            type Item<'a> = $guard;

            fn new(capacity: usize) -> Self {
                let new: fn(usize) -> $inner = $new;
                $ty(new(capacity))
            }

            #[inline(always)]
            fn get(&self, v: u64) -> Self::Item<'_> {
                let mut guard = $get(&self.0);
                guard[0] = v;
                guard
            }

            #[inline(always)]
            fn put<'a>(&'a self, guard: Self::Item<'a>) {
                drop(guard)
            }
        }
    };
}

pool_of_guards!(
    OpoolLocal(opool::LocalPool<Make, Object>),
    "opool local",
    opool::RefLocalGuard<'a, Make, Object>,
    |capacity| opool::LocalPool::new_prefilled(capacity, Make),
    opool::LocalPool::get
);
pool_of_guards!(
    OpoolShared(opool::Pool<Make, Object>),
    "opool shared",
    opool::RefGuard<'a, Make, Object>,
    |capacity| opool::Pool::new_prefilled(capacity, Make),
    opool::Pool::get
);
pool_of_guards!(
    ObjectPool(object_pool::Pool<Object>),
    "object-pool",
    object_pool::Reusable<'a, Object>,
    |capacity| object_pool::Pool::new(capacity, || [0; 8]),
    |pool| object_pool::Pool::pull(pool, || [0; 8])
);
pool_of_guards!(
    LockfreeLinear(lockfree_object_pool::LinearObjectPool<Object>),
    "lockfree-object-pool linear",
    lockfree_object_pool::LinearReusable<'a, Object>,
    |_| lockfree_object_pool::LinearObjectPool::new(|| [0; 8], |_| ()),
    lockfree_object_pool::LinearObjectPool::pull
);
pool_of_guards!(
    LockfreeSpin(lockfree_object_pool::SpinLockObjectPool<Object>),
    "lockfree-object-pool spin",
    lockfree_object_pool::SpinLockReusable<'a, Object>,
    |_| lockfree_object_pool::SpinLockObjectPool::new(|| [0; 8], |_| ()),
    lockfree_object_pool::SpinLockObjectPool::pull
);

heapless::box_pool!(StaticPool: Object);

/// Lives in a static, so all pools made are one pool.
pub struct Heapless;

impl Pool for Heapless {
    const NAME: &'static str = "heapless box_pool";
    type Item<'a> = heapless::pool::boxed::Box<StaticPool>;

    fn new(capacity: usize) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            for _ in 0..capacity.max(16 << 10) {
                StaticPool.manage(Box::leak(Box::new(heapless::pool::boxed::BoxBlock::new())));
            }
        });
        Heapless
    }

    #[inline(always)]
    fn get(&self, v: u64) -> Self::Item<'_> {
        StaticPool.alloc([v; 8]).expect("room")
    }

    #[inline(always)]
    fn put<'a>(&'a self, object: Self::Item<'a>) {
        drop(object)
    }
}

pub struct ShardedSlab(sharded_slab::Slab<Object>);

impl Pool for ShardedSlab {
    const NAME: &'static str = "sharded-slab";
    type Item<'a> = usize;

    fn new(_: usize) -> Self {
        ShardedSlab(sharded_slab::Slab::new())
    }

    #[inline(always)]
    fn get(&self, v: u64) -> usize {
        self.0.insert([v; 8]).expect("room")
    }

    #[inline(always)]
    fn put(&self, key: usize) {
        self.0.remove(key);
    }
}
