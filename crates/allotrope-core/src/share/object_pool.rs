//! A pool of objects of one type, owned by boxes that borrow the pool.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::gate::Gate;
use super::pool_box::{Places, PoolBox};
use crate::strategy::{Blocks, Shape};
use crate::{AllocError, DefaultPolicy, Policy, Source};

/// A pool of `T`s for one thread: O(1) to insert and to drop, all of one size side by side.
///
/// Values are owned by [`PoolBox`]es, which drop them and give their block back. A box that is
/// forgotten leaks its value; its block is the pool's again when the pool is dropped, at the
/// latest.
///
/// ```
/// use std::mem::MaybeUninit;
/// use allotrope_core::{Buffer, ObjectPool};
///
/// struct Particle {
///     position: [f32; 3],
/// }
///
/// const SIZE: usize = ObjectPool::<Particle, Buffer>::buffer_size(100);
/// let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
/// let particles = ObjectPool::new(Buffer::new(&mut bytes));
/// let mut first = particles.insert(Particle { position: [0.0; 3] });
/// first.position[1] += 1.0;
/// let second = particles.insert(Particle { position: first.position });
/// assert_eq!((particles.len(), second.position[1]), (2, 1.0));
/// drop(first);
/// assert_eq!(particles.len(), 1);
/// ```
///
/// Boxes cannot outlive their pool:
///
/// ```compile_fail
/// # use allotrope_core::{ObjectPool, OsPages};
/// let pool = ObjectPool::<u32, _>::new(OsPages::new());
/// let number = pool.insert(1);
/// drop(pool);
/// assert_eq!(*number, 1);
/// ```
pub struct ObjectPool<T, S: Source, P: Policy = DefaultPolicy> {
    blocks: UnsafeCell<Blocks<OfType<T>, S, P>>,
    gate: Gate,
}

/// Blocks for a `T` each.
struct OfType<T>(PhantomData<T>);

impl<T> Shape for OfType<T> {
    const SIZE: usize = {
        // A block of size 0 is never handed out; it needs a size all the same.
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        size.next_multiple_of(Self::ALIGN)
    };
    const ALIGN: usize = if align_of::<T>() > 16 { align_of::<T>() } else { 16 };
}

// SAFETY: sending the pool sends the source, the regions, and the values that were leaked in them:
// no box is left, and pointers from `into_raw` are of use on this thread only by `from_raw`'s
// leave.
unsafe impl<T: Send, S: Source + Send, P: Policy> Send for ObjectPool<T, S, P> {}

impl<T, S: Source> ObjectPool<T, S> {
    /// A pool in the regions of `source`.
    pub const fn new(source: S) -> Self {
        Self::with_policy(source)
    }
}

impl<T, S: Source, P: Policy> ObjectPool<T, S, P> {
    /// A pool in the regions of `source`, by the figures of a policy that the type names.
    pub const fn with_policy(source: S) -> Self {
        Self { blocks: UnsafeCell::new(Blocks::new(source)), gate: Gate::new() }
    }

    /// How many bytes a buffer needs so that `objects` objects fit in it, wherever it starts.
    ///
    /// # Panics
    ///
    /// If there is no such size.
    pub const fn buffer_size(objects: usize) -> usize {
        Blocks::<OfType<T>, S, P>::buffer_size(objects)
    }

    /// Inserts `value`.
    ///
    /// # Panics
    ///
    /// If the source has no more memory; [`try_insert`](Self::try_insert) gives the value back.
    #[inline]
    pub fn insert(&self, value: T) -> PoolBox<'_, T, Self> {
        PoolBox::insert(self, value)
    }

    /// Inserts `value`, or gives it back.
    ///
    /// # Errors
    ///
    /// `value`, if the source has no more memory.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<PoolBox<'_, T, Self>, T> {
        PoolBox::try_insert(self, value)
    }

    /// Inserts what `make` returns, which is made after its place is known, so that a large value
    /// need not be moved. If `make` unwinds, the place is the pool's again.
    ///
    /// # Panics
    ///
    /// If the source has no more memory; `make` is not called then.
    #[inline]
    pub fn insert_with(&self, make: impl FnOnce() -> T) -> PoolBox<'_, T, Self> {
        PoolBox::insert_with(self, make)
    }

    /// Makes a box of what [`PoolBox::into_raw`] made a pointer of: it owns the value again.
    ///
    /// # Safety
    ///
    /// [`PoolBox::into_raw`] returned `value` for a box of this very pool, which may have been
    /// moved since. It was not made a box of since then, the value there was neither dropped nor
    /// moved out, and nobody has a reference to it.
    #[inline]
    pub const unsafe fn from_raw(&self, value: NonNull<T>) -> PoolBox<'_, T, Self> {
        // SAFETY: as the caller promises.
        unsafe { PoolBox::from_raw_in(self, value) }
    }

    /// How many values the pool holds, leaked ones included. O(free places); of values without a
    /// size nothing is counted.
    pub fn len(&self) -> usize {
        self.run(|blocks| blocks.used())
    }

    /// Does it hold no value?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of its source's memory the pool holds.
    pub fn bytes_held(&self) -> usize {
        self.run(|blocks| blocks.bytes_held())
    }

    /// Gives memory that no value lies in back to the source.
    pub fn trim(&self) {
        self.run(Blocks::trim);
    }

    #[inline(always)]
    fn run<R>(&self, work: impl FnOnce(&mut Blocks<OfType<T>, S, P>) -> R) -> R {
        let _inside = self.gate.enter(S::MAY_REENTER);
        // SAFETY: a pool is not `Sync`, so this is the only thread here, and `work`, which is ours
        // and calls nothing of `T`'s, does not come back, or not past the gate: see `Source`. So
        // this is the only borrow.
        work(unsafe { &mut *self.blocks.get() })
    }
}

// SAFETY: `Blocks` hands out every block once, long enough and aligned for a `T`, until it is given
// back; a value without a size needs no memory.
unsafe impl<T, S: Source, P: Policy> Places<T> for ObjectPool<T, S, P> {
    #[inline(always)]
    fn take(&self) -> Result<NonNull<T>, AllocError> {
        if size_of::<T>() == 0 {
            return Ok(NonNull::dangling());
        }
        self.run(|blocks| blocks.take(Layout::new::<T>())).map(NonNull::cast)
    }

    #[inline(always)]
    unsafe fn give_back(&self, place: NonNull<T>) {
        if size_of::<T>() > 0 {
            // SAFETY: as the caller promises.
            self.run(|blocks| unsafe { blocks.give_back(place.cast(), Layout::new::<T>()) });
        }
    }
}

impl<T, S: Source, P: Policy> fmt::Debug for ObjectPool<T, S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ObjectPool").field("len", &self.len()).finish_non_exhaustive()
    }
}
