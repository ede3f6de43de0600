//! Values in places: how each kind comes to its own.
//!
//! Closures, iterators and `Clone` are the user's code: they may allocate from the same space, and
//! they may unwind. A block is taken before they are called, filled from its start, and given back
//! if they do not get to its end.

use core::alloc::Layout;
use core::fmt;
use core::mem;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

use allotrope_core::AllocError;

use crate::places::Places;

/// Why a value that may fail to be made is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InitError<E> {
    /// There was no memory for it.
    Alloc(AllocError),
    /// The closure that should have made it failed.
    Init(E),
}

impl<E: fmt::Display> fmt::Display for InitError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alloc(error) => error.fmt(formatter),
            Self::Init(error) => error.fmt(formatter),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for InitError<E> {}

/// Fails to compile for a type that somebody has to drop.
#[inline(always)]
pub(crate) const fn refuse_drop<T>() {
    const {
        assert!(
            !mem::needs_drop::<T>(),
            "nobody would drop this value: put it here by `keep`, which drops it when the scope \
             ends, or by `boxed`, which drops it with its box"
        );
    }
}

/// What infallible methods do without memory.
#[cold]
#[inline(never)]
pub(crate) fn exhausted() -> ! {
    panic!("the arena's source has no more memory")
}

/// What infallible methods make of what their twins return.
#[inline(always)]
pub(crate) fn or_exhausted<T>(result: Result<T, AllocError>) -> T {
    match result {
        Ok(value) => value,
        Err(AllocError) => exhausted(),
    }
}

/// A block that is given back unless it is filled.
struct Unfilled<'a, P: Places + ?Sized> {
    space: &'a P,
    start: NonNull<u8>,
    layout: Layout,
}

impl<'a, P: Places + ?Sized> Unfilled<'a, P> {
    #[inline(always)]
    fn new(space: &'a P, layout: Layout) -> Result<Self, AllocError> {
        Ok(Self { space, start: space.allocate(layout)?.cast(), layout })
    }

    #[inline(always)]
    fn keep(self) {
        mem::forget(self);
    }
}

impl<P: Places + ?Sized> Drop for Unfilled<'_, P> {
    fn drop(&mut self) {
        // SAFETY: the block is the space's, with this layout, and nobody has it.
        unsafe { self.space.deallocate(self.start, self.layout) };
    }
}

/// Writes `value` to its place.
///
/// # Safety
///
/// The place is that of a block that fits, and nobody else's.
#[inline(always)]
unsafe fn fill<T>(place: NonNull<T>, value: T) -> NonNull<T> {
    // SAFETY: as the caller promises.
    unsafe { place.write(value) };
    place
}

/// Copies `slice` to a block.
///
/// # Safety
///
/// The block at `start` fits, and is nobody else's.
#[inline(always)]
unsafe fn fill_slice<T: Copy>(start: NonNull<u8>, slice: &[T]) -> NonNull<[T]> {
    let start = start.cast::<T>();
    // SAFETY: the block is as long as the slice (caller), which lies elsewhere, for it is somebody's.
    unsafe { start.copy_from_nonoverlapping(NonNull::from_ref(slice).cast(), slice.len()) };
    NonNull::slice_from_raw_parts(start, slice.len())
}

/// Values of each kind, put where there is a place.
pub(crate) trait Values: Places {
    #[inline(always)]
    fn put<T>(&self, value: T) -> NonNull<T> {
        match self.place_here() {
            // SAFETY: the place is new, and for a `T`.
            Some(place) => unsafe { fill(place, value) },
            None => {
                let place = self.put_elsewhere(value);
                // No instruction. What the caller has read from memory it reads again after this
                // rare call, and keeps no register for it around the call.
                compiler_fence(Ordering::AcqRel);
                place
            }
        }
    }

    /// The value goes along, so that nothing is kept in registers around this call.
    #[cold]
    #[inline(never)]
    fn put_elsewhere<T>(&self, value: T) -> NonNull<T> {
        or_exhausted(self.try_put(value))
    }

    #[inline(always)]
    fn try_put<T>(&self, value: T) -> Result<NonNull<T>, AllocError> {
        let place = self.place_for()?;
        // SAFETY: the place is new, and for a `T`.
        Ok(unsafe { fill(place, value) })
    }

    #[inline(always)]
    fn try_put_with<T>(&self, make: impl FnOnce() -> T) -> Result<NonNull<T>, AllocError> {
        let start = self.place_for::<T>()?.cast();
        let unfilled = Unfilled { space: self, start, layout: Layout::new::<T>() };
        let value = make();
        // SAFETY: the place is new, and for a `T`; `make` does not know of it.
        let place = unsafe { fill(start.cast(), value) };
        unfilled.keep();
        Ok(place)
    }

    /// The result lies where the value is built, so that a large one need not be moved.
    #[inline(always)]
    fn try_put_try_with<T, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<NonNull<T>, InitError<E>> {
        let layout = Layout::new::<Result<T, E>>();
        let unfilled = Unfilled::new(self, layout).map_err(InitError::Alloc)?;
        let place = unfilled.start.cast::<Result<T, E>>();
        // SAFETY: the block is new, and fits; what is written is borrowed here only.
        let result = unsafe {
            place.write(make());
            &mut *place.as_ptr()
        };
        match result {
            Ok(value) => {
                let value = NonNull::from_mut(value);
                unfilled.keep();
                Ok(value)
            }
            // SAFETY: the error is moved out of a block that is given back.
            Err(error) => Err(InitError::Init(unsafe { (&raw mut *error).read() })),
        }
    }

    #[inline(always)]
    fn copy_slice<T: Copy>(&self, slice: &[T]) -> NonNull<[T]> {
        match self.allocate_here(Layout::for_value(slice)) {
            // SAFETY: the block is new, and for such a slice.
            Some(start) => unsafe { fill_slice(start, slice) },
            None => self.copy_elsewhere(slice),
        }
    }

    #[cold]
    #[inline(never)]
    fn copy_elsewhere<T: Copy>(&self, slice: &[T]) -> NonNull<[T]> {
        or_exhausted(self.try_copy_slice(slice))
    }

    #[inline(always)]
    fn try_copy_slice<T: Copy>(&self, slice: &[T]) -> Result<NonNull<[T]>, AllocError> {
        let block = self.allocate(Layout::for_value(slice))?;
        // SAFETY: the block is new, and for such a slice.
        Ok(unsafe { fill_slice(block.cast(), slice) })
    }

    /// As many values as `len`, from `make`, or fewer if it comes to an end before.
    #[inline(always)]
    fn try_make_slice<T>(
        &self,
        len: usize,
        mut make: impl FnMut(usize) -> Option<T>,
    ) -> Result<NonNull<[T]>, AllocError> {
        let layout = Layout::array::<T>(len).map_err(|_| AllocError)?;
        let unfilled = Unfilled::new(self, layout)?;
        let start = unfilled.start.cast::<T>();
        let mut filled = 0;
        while filled < len
            && let Some(value) = make(filled)
        {
            // SAFETY: `filled` is less than `len`, and the block is nobody else's.
            unsafe { start.add(filled).write(value) };
            filled += 1;
        }
        unfilled.keep();
        Ok(NonNull::slice_from_raw_parts(start, filled))
    }

    #[inline(always)]
    fn try_clone_slice<T: Clone>(&self, slice: &[T]) -> Result<NonNull<[T]>, AllocError> {
        self.try_make_slice(slice.len(), |index| slice.get(index).cloned())
    }

    #[inline(always)]
    fn try_fill_with<T>(
        &self,
        len: usize,
        mut make: impl FnMut(usize) -> T,
    ) -> Result<NonNull<[T]>, AllocError> {
        self.try_make_slice(len, |index| Some(make(index)))
    }

    #[inline(always)]
    fn try_fill_iter<T>(
        &self,
        iter: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Result<NonNull<[T]>, AllocError> {
        let mut iter = iter.into_iter();
        self.try_make_slice(iter.len(), |_| iter.next())
    }

    fn put_text(&self, text: fmt::Arguments<'_>) -> Result<NonNull<[u8]>, AllocError> {
        let start = NonNull::dangling();
        let mut writer = Text { space: self, start, len: 0, room: 0, is_cut: false };
        // A value may make nothing of an error that its writer returned.
        if fmt::write(&mut writer, text).is_err() || writer.is_cut {
            return Err(AllocError);
        }
        Ok(writer.finish())
    }
}

impl<P: Places> Values for P {}

/// Text that is being written: a block that grows.
struct Text<'a, P: Places + ?Sized> {
    space: &'a P,
    start: NonNull<u8>,
    len: usize,
    room: usize,
    /// Whether there was no room for a part.
    is_cut: bool,
}

/// The layout of `size` bytes of text.
fn layout_of(size: usize) -> Result<Layout, AllocError> {
    Layout::array::<u8>(size).map_err(|_| AllocError)
}

impl<P: Places + ?Sized> Text<'_, P> {
    fn reserve(&mut self, more: usize) -> Result<(), AllocError> {
        let len = self.len.checked_add(more).ok_or(AllocError)?;
        if len <= self.room {
            return Ok(());
        }
        let room = len.max(self.room.saturating_mul(2));
        let (old, new) = (layout_of(self.room)?, layout_of(room)?);
        let block = match self.room {
            0 => self.space.allocate(new)?,
            // SAFETY: the block is ours, with this layout.
            _ => unsafe { self.space.grow(self.start, old, new)? },
        };
        self.start = block.cast();
        self.room = room;
        Ok(())
    }

    /// The text, in a block that is no longer; empty text has none.
    fn finish(self) -> NonNull<[u8]> {
        let mut text = NonNull::slice_from_raw_parts(self.start, self.len);
        if self.len < self.room
            && let (Ok(old), Ok(new)) = (layout_of(self.room), layout_of(self.len))
            // SAFETY: the block is ours, with the first layout.
            && let Ok(shrunk) = unsafe { self.space.shrink(self.start, old, new) }
        {
            text = shrunk;
        }
        mem::forget(self);
        text
    }
}

impl<P: Places + ?Sized> fmt::Write for Text<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.is_cut |= self.reserve(text.len()).is_err();
        if self.is_cut {
            return Err(fmt::Error);
        }
        let source = NonNull::from_ref(text).cast::<u8>();
        // SAFETY: there is room for so many bytes, in a block of our own.
        unsafe { self.start.add(self.len).copy_from_nonoverlapping(source, text.len()) };
        self.len += text.len();
        Ok(())
    }
}

impl<P: Places + ?Sized> Drop for Text<'_, P> {
    fn drop(&mut self) {
        if self.room > 0
            && let Ok(layout) = layout_of(self.room)
        {
            // SAFETY: the block is ours, with this layout.
            unsafe { self.space.deallocate(self.start, layout) };
        }
    }
}
