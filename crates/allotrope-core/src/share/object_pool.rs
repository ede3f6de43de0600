//! A pool of objects of one type, owned by boxes that borrow the pool.

use core::alloc::Layout;
use core::borrow::{Borrow, BorrowMut};
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::gate::Gate;
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

// SAFETY: sending the pool sends what leaked values it may hold, and the source.
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
    pub fn insert(&self, value: T) -> PoolBox<'_, T, S, P> {
        match self.take() {
            Ok(place) => self.fill(place, value),
            Err(AllocError) => exhausted(),
        }
    }

    /// Inserts `value`, or gives it back.
    ///
    /// # Errors
    ///
    /// `value`, if the source has no more memory.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<PoolBox<'_, T, S, P>, T> {
        match self.take() {
            Ok(place) => Ok(self.fill(place, value)),
            Err(AllocError) => Err(value),
        }
    }

    /// Inserts what `make` returns, which is made after its place is known, so that a large value
    /// need not be moved. If `make` unwinds, the place is the pool's again.
    ///
    /// # Panics
    ///
    /// If the source has no more memory; `make` is not called then.
    #[inline]
    pub fn insert_with(&self, make: impl FnOnce() -> T) -> PoolBox<'_, T, S, P> {
        let Ok(place) = self.take() else { exhausted() };
        let free_place = GiveBack { pool: self, place };
        let value = make();
        mem::forget(free_place);
        self.fill(place, value)
    }

    /// Makes a box of what [`PoolBox::into_raw`] made a pointer of.
    ///
    /// # Safety
    ///
    /// `value` comes from a box of this very pool, and no other box is made of it.
    #[inline]
    pub const unsafe fn from_raw(&self, value: NonNull<T>) -> PoolBox<'_, T, S, P> {
        PoolBox { value, pool: self, owns: PhantomData }
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
        // SAFETY: a pool is not `Sync`, so this is the only thread here, and `work`, which is ours,
        // does not come back, or not past the gate: see `Source`. So this is the only borrow.
        work(unsafe { &mut *self.blocks.get() })
    }

    /// Takes a place for one value.
    #[inline(always)]
    fn take(&self) -> Result<NonNull<T>, AllocError> {
        if size_of::<T>() == 0 {
            return Ok(NonNull::dangling());
        }
        self.run(|blocks| blocks.take(Layout::new::<T>())).map(NonNull::cast)
    }

    #[inline(always)]
    fn fill(&self, place: NonNull<T>, value: T) -> PoolBox<'_, T, S, P> {
        // SAFETY: the place is a block of ours that nobody has, or, without a size, no memory.
        unsafe { place.write(value) };
        PoolBox { value: place, pool: self, owns: PhantomData }
    }

    /// Takes a place back.
    ///
    /// # Safety
    ///
    /// `take` returned it, and nobody uses it any more.
    #[inline(always)]
    unsafe fn give_back(&self, place: NonNull<T>) {
        if size_of::<T>() > 0 {
            // SAFETY: as the caller promises.
            self.run(|blocks| unsafe { blocks.give_back(place.cast(), Layout::new::<T>()) });
        }
    }
}

#[cold]
#[inline(never)]
fn exhausted() -> ! {
    panic!("the pool's source has no more memory")
}

impl<T, S: Source, P: Policy> fmt::Debug for ObjectPool<T, S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ObjectPool").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Gives a place back when it goes out of scope.
struct GiveBack<'p, T, S: Source, P: Policy> {
    pool: &'p ObjectPool<T, S, P>,
    place: NonNull<T>,
}

impl<T, S: Source, P: Policy> Drop for GiveBack<'_, T, S, P> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: whoever makes one of these gives up the place.
        unsafe { self.pool.give_back(self.place) };
    }
}

/// A value in an [`ObjectPool`], owned.
pub struct PoolBox<'p, T, S: Source, P: Policy = DefaultPolicy> {
    value: NonNull<T>,
    pool: &'p ObjectPool<T, S, P>,
    owns: PhantomData<T>,
}

impl<'p, T, S: Source, P: Policy> PoolBox<'p, T, S, P> {
    /// Takes the value out.
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        let free_place = GiveBack { pool: this.pool, place: this.value };
        // SAFETY: the value is moved out, and the box is forgotten.
        let value = unsafe { this.value.read() };
        drop(free_place);
        value
    }

    /// The value's place, which nobody owns then: half the size of a box, for those who hold many
    /// and know their pool. [`ObjectPool::from_raw`] makes a box of it again.
    ///
    /// ```
    /// use allotrope_core::{ObjectPool, OsPages, PoolBox};
    ///
    /// let pool = ObjectPool::new(OsPages::new());
    /// let handle = PoolBox::into_raw(pool.insert(String::from("here")));
    /// // SAFETY: from a box of this pool, just above.
    /// assert_eq!(*unsafe { pool.from_raw(handle) }, "here");
    /// assert!(pool.is_empty());
    /// ```
    #[inline]
    pub const fn into_raw(this: Self) -> NonNull<T> {
        let value = this.value;
        mem::forget(this);
        value
    }

    /// Leaves the value in the pool until the pool is dropped. It is not dropped itself.
    pub fn leak(self) -> &'p mut T {
        let mut value = ManuallyDrop::new(self).value;
        // SAFETY: the value stays as long as the pool does, and nobody else can reach it.
        unsafe { value.as_mut() }
    }
}

impl<T, S: Source, P: Policy> Drop for PoolBox<'_, T, S, P> {
    #[inline]
    fn drop(&mut self) {
        // The place is free again even if dropping the value unwinds.
        let free_place = GiveBack { pool: self.pool, place: self.value };
        // SAFETY: the box owns the value, and is dropped once.
        unsafe { self.value.drop_in_place() };
        drop(free_place);
    }
}

impl<T, S: Source, P: Policy> Deref for PoolBox<'_, T, S, P> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the box owns an initialized value.
        unsafe { self.value.as_ref() }
    }
}

impl<T, S: Source, P: Policy> DerefMut for PoolBox<'_, T, S, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the box is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T, S: Source, P: Policy> AsRef<T> for PoolBox<'_, T, S, P> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T, S: Source, P: Policy> AsMut<T> for PoolBox<'_, T, S, P> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T, S: Source, P: Policy> Borrow<T> for PoolBox<'_, T, S, P> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T, S: Source, P: Policy> BorrowMut<T> for PoolBox<'_, T, S, P> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug, S: Source, P: Policy> fmt::Debug for PoolBox<'_, T, S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

impl<T: fmt::Display, S: Source, P: Policy> fmt::Display for PoolBox<'_, T, S, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, formatter)
    }
}
