//! The least that could work: an intrusive list, and a stack behind one compare-and-swap.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{NonNull, null_mut};

use bench_kit::limit::LimitTreiber;

use crate::contestants::{Object, Pool};

/// An intrusive free list for one thread: one load and one store each way.
///
/// Its objects are leaked, so they stay. Those in the list are free, and begin with a link.
pub struct LimitList {
    head: Cell<*mut u8>,
}

impl Pool for LimitList {
    const NAME: &'static str = "limit-freelist";
    type Item<'a> = NonNull<u8>;

    fn new(capacity: usize) -> Self {
        let pool = LimitList { head: Cell::new(null_mut()) };
        for object in Box::leak(vec![Object::default(); capacity].into_boxed_slice()) {
            pool.put(NonNull::from(object).cast());
        }
        pool
    }

    #[inline(always)]
    fn get(&self, v: u64) -> NonNull<u8> {
        let object = NonNull::new(self.head.get()).expect("room");
        // SAFETY: an object in the list is free and begins with a link.
        self.head.set(unsafe { object.cast::<*mut u8>().read() });
        // SAFETY: the object is out of the list, and no other use of it is left.
        unsafe { object.cast::<u64>().write(v) };
        object
    }

    #[inline(always)]
    fn put(&self, object: NonNull<u8>) {
        // SAFETY: an item is an object that `get` or `new` took, aligned and long enough for a
        // link. This harness puts each back once.
        unsafe { object.cast::<*mut u8>().write(self.head.get()) };
        self.head.set(object.as_ptr());
    }
}

/// A Treiber stack of tagged indices: one compare-and-swap each way.
pub struct LimitCas {
    free: LimitTreiber,
    objects: Box<[UnsafeCell<Object>]>,
}

// SAFETY: an object is accessed only by the thread that took its index out of the stack, and the
// stack hands an index to one thread at a time.
unsafe impl Sync for LimitCas {}

impl Pool for LimitCas {
    const NAME: &'static str = "limit-cas";
    type Item<'a> = usize;

    fn new(capacity: usize) -> Self {
        let objects = (0..capacity).map(|_| UnsafeCell::default()).collect();
        LimitCas { free: LimitTreiber::new(capacity), objects }
    }

    #[inline(always)]
    fn get(&self, v: u64) -> usize {
        let i = self.free.pop().expect("room");
        // SAFETY: the index came out of the stack just now, so the object is ours alone.
        unsafe { (*self.objects[i].get())[0] = v };
        i
    }

    #[inline(always)]
    fn put(&self, i: usize) {
        self.free.push(i)
    }
}
