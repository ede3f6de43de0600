//! Interleavings of an [`ArenaPool`] that two threads take arenas from and leave them in.
//!
//! Goal: an arena is one thread's at a time, with what its last user left in it.
//!
//! Method: a source that the model's arenas have is behind a `loom` cell, which only who has the
//! arena touches. That the places themselves are right is for the models of `Kept` to show.

#![cfg(loom)]

use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;

use allotrope_core::{AllocError, Buffer, Region, Source};
use allotrope_scope::{Arena, ArenaPool};
use allotrope_sync::facade::{cell::UnsafeCell, thread};

/// A buffer, and whether it is one thread's at a time.
struct Watched(Buffer<'static>, Box<UnsafeCell<u32>>);

impl Watched {
    fn touch(&self) {
        // SAFETY: who has the arena has its source; `loom` checks that nobody else does.
        self.1.with_mut(|touched| unsafe { *touched += 1 });
    }
}

// SAFETY: as for the buffer.
unsafe impl Source for Watched {
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        self.touch();
        self.0.reserve(least, wanted)
    }

    unsafe fn release(&self, region: Region) {
        self.touch();
        // SAFETY: as the caller promises.
        unsafe { self.0.release(region) };
    }
}

fn arena() -> Arena<Watched> {
    let memory: &'static mut [_] = Box::leak(Box::new([MaybeUninit::<u64>::uninit(); 512]));
    // SAFETY: the memory is the arena's alone, for ever.
    let buffer = unsafe { Buffer::from_raw_parts(NonNull::from_mut(memory).cast(), 4096) };
    Arena::with_source(Watched(buffer, Box::new(UnsafeCell::new(0))))
}

#[test]
fn an_arena_goes_from_thread_to_thread() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        // Never dropped: where a model fails, `loom` drops it when its atomics are dead already.
        let pool = Arc::new(ManuallyDrop::new(ArenaPool::<Watched, 1>::keeping(usize::MAX)));
        let work = |pool: &ArenaPool<Watched, 1>| {
            let arena = pool.get_or(arena);
            arena.source().touch();
            assert_eq!((arena.bytes_used(), *arena.alloc(1)), (0, 1));
        };
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || work(&pool)
        });
        work(&pool);
        other.join().unwrap();
        assert!(pool.get_or(arena).bytes_held() > 0);
    });
}
