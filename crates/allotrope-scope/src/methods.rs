//! The methods that arenas and scopes share: the same names, with the lifetime that the values of
//! each have.
//!
//! Both have a method `space`, which is all that these rest on. The parameters of the macros are
//! the lifetime of `&self`, where the values have that one, and the lifetime of the values.

/// Methods that put values into a space.
macro_rules! value_methods {
    ([$($borrow:lifetime)?] $life:lifetime) => {
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts `value` here.
            alloc, try_alloc: [T] (value: T) => T,
            |space| space.put(value), space.try_put(value)
        }
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts here what `make` returns; where the compiler can do so, it is built in its
            /// place. If `make` unwinds, the place is free again.
            alloc_with, try_alloc_with: [T] (make: impl FnOnce() -> T) => T,
            |space| or_exhausted(space.try_put_with(make)), space.try_put_with(make)
        }
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts a copy of `slice` here.
            alloc_slice_copy, try_alloc_slice_copy: [T: Copy] (slice: &[T]) => [T],
            |space| space.copy_slice(slice), space.try_copy_slice(slice)
        }
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts a clone of every value of `slice` here, in their order.
            alloc_slice_clone, try_alloc_slice_clone: [T: Clone] (slice: &[T]) => [T],
            |space| or_exhausted(space.try_clone_slice(slice)), space.try_clone_slice(slice)
        }
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts a slice of `len` values here; `make` returns the one at an index.
            alloc_slice_fill_with, try_alloc_slice_fill_with:
            [T] (len: usize, make: impl FnMut(usize) -> T) => [T],
            |space| or_exhausted(space.try_fill_with(len, make)), space.try_fill_with(len, make)
        }
        $crate::methods::value_pair! { [$($borrow)?] $life
            /// Puts the values of `iter` here, as a slice. One that ends before the length it told
            /// makes a shorter slice; of one that goes on, the rest is not taken.
            alloc_slice_fill_iter, try_alloc_slice_fill_iter:
            [T] (iter: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>) => [T],
            |space| or_exhausted(space.try_fill_iter(iter)), space.try_fill_iter(iter)
        }
        $crate::methods::text_methods! { [$($borrow)?] $life }
        $crate::methods::fallible_methods! { [$($borrow)?] $life }
    };
}

/// A method that panics where there is no memory, and its twin that returns an error.
macro_rules! value_pair {
    (
        [$($borrow:lifetime)?] $life:lifetime
        $(#[$doc:meta])*
        $name:ident, $try_name:ident: [$($generics:tt)*] ($($arg:ident: $type:ty),*) => $out:ty,
        |$space:ident| $put:expr, $try_put:expr
    ) => {
        $(#[$doc])*
        ///
        /// A type with drop glue does not compile here.
        ///
        /// # Panics
        ///
        /// If the source has no more memory.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn $name<$($borrow,)? $($generics)*>(& $($borrow)? self, $($arg: $type),*) -> & $life mut $out {
            $crate::values::refuse_drop::<T>();
            let $space = self.space();
            // SAFETY: the value is new, nobody else has it, and blocks stay for this lifetime.
            unsafe { $put.as_mut() }
        }

        #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        ///
        /// # Errors
        ///
        /// [`AllocError`] if the source has no more memory; nothing has changed then.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn $try_name<$($borrow,)? $($generics)*>(
            & $($borrow)? self,
            $($arg: $type),*
        ) -> Result<& $life mut $out, AllocError> {
            $crate::values::refuse_drop::<T>();
            let $space = self.space();
            // SAFETY: the value is new, nobody else has it, and blocks stay for this lifetime.
            $try_put.map(|mut value| unsafe { value.as_mut() })
        }
    };
}

/// Methods that put text into a space.
macro_rules! text_methods {
    ([$($borrow:lifetime)?] $life:lifetime) => {
        /// Puts a copy of `text` here.
        ///
        /// # Panics
        ///
        /// If the source has no more memory.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn alloc_str $(<$borrow>)? (& $($borrow)? self, text: &str) -> & $life mut str {
            let bytes = self.alloc_slice_copy(text.as_bytes());
            // SAFETY: the bytes of a `str`.
            unsafe { core::str::from_utf8_unchecked_mut(bytes) }
        }

        /// As [`alloc_str`](Self::alloc_str).
        ///
        /// # Errors
        ///
        /// [`AllocError`] if the source has no more memory; nothing has changed then.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn try_alloc_str $(<$borrow>)? (
            & $($borrow)? self,
            text: &str,
        ) -> Result<& $life mut str, AllocError> {
            let bytes = self.try_alloc_slice_copy(text.as_bytes())?;
            // SAFETY: the bytes of a `str`.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
        }

        /// Puts formatted text here; [`alloc_fmt!`](crate::alloc_fmt) calls it.
        ///
        /// # Panics
        ///
        /// If the source has no more memory, or a value refuses to be formatted.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        pub fn alloc_fmt $(<$borrow>)? (
            & $($borrow)? self,
            text: core::fmt::Arguments<'_>,
        ) -> & $life mut str {
            or_exhausted(self.try_alloc_fmt(text))
        }

        /// As [`alloc_fmt`](Self::alloc_fmt).
        ///
        /// # Errors
        ///
        /// [`AllocError`] if the source has no more memory, or a value refuses to be formatted; what
        /// was written by then is free again.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        pub fn try_alloc_fmt $(<$borrow>)? (
            & $($borrow)? self,
            text: core::fmt::Arguments<'_>,
        ) -> Result<& $life mut str, AllocError> {
            let mut bytes = self.space().put_text(text)?;
            // SAFETY: the bytes were written as `str`s, are new, and stay for this lifetime.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes.as_mut()) })
        }
    };
}

/// Methods that put values into a space that may fail to be made, and boxes.
macro_rules! fallible_methods {
    ([$($borrow:lifetime)?] $life:lifetime) => {
        /// Puts here what `make` returns, unless that is an error. If `make` fails or unwinds, its
        /// place is free again.
        ///
        /// A type with drop glue does not compile here.
        ///
        /// # Errors
        ///
        /// The error of `make`.
        ///
        /// # Panics
        ///
        /// If the source has no more memory.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn alloc_try_with<$($borrow,)? T, E>(
            & $($borrow)? self,
            make: impl FnOnce() -> Result<T, E>,
        ) -> Result<& $life mut T, E> {
            match self.try_alloc_try_with(make) {
                Ok(value) => Ok(value),
                Err($crate::InitError::Init(error)) => Err(error),
                Err($crate::InitError::Alloc(AllocError)) => $crate::values::exhausted(),
            }
        }

        /// As [`alloc_try_with`](Self::alloc_try_with).
        ///
        /// # Errors
        ///
        /// [`InitError`](crate::InitError) says whether `make` failed, or there was no memory.
        #[allow(clippy::mut_from_ref, reason = "every call makes a new value")]
        #[inline(always)]
        pub fn try_alloc_try_with<$($borrow,)? T, E>(
            & $($borrow)? self,
            make: impl FnOnce() -> Result<T, E>,
        ) -> Result<& $life mut T, $crate::InitError<E>> {
            $crate::values::refuse_drop::<T>();
            // SAFETY: the value is new, nobody else has it, and blocks stay for this lifetime.
            self.space().try_put_try_with(make).map(|mut value| unsafe { value.as_mut() })
        }

        /// Puts `value` here and returns a box, which drops it; its memory is freed with all
        /// others.
        ///
        /// # Panics
        ///
        /// If the source has no more memory.
        #[inline(always)]
        pub fn boxed<$($borrow,)? T>(& $($borrow)? self, value: T) -> $crate::ScopeBox<$life, T> {
            let value = self.space().put(value);
            // SAFETY: the value is new, nobody else has it, and blocks stay for this lifetime.
            unsafe { $crate::ScopeBox::from_raw(value) }
        }

        /// As [`boxed`](Self::boxed).
        ///
        /// # Errors
        ///
        /// [`AllocError`] if the source has no more memory; `value` is dropped then.
        #[inline(always)]
        pub fn try_boxed<$($borrow,)? T>(
            & $($borrow)? self,
            value: T,
        ) -> Result<$crate::ScopeBox<$life, T>, AllocError> {
            let value = self.space().try_put(value)?;
            // SAFETY: the value is new, nobody else has it, and blocks stay for this lifetime.
            Ok(unsafe { $crate::ScopeBox::from_raw(value) })
        }
    };
}

/// Methods that hand out blocks: what `impl_allocator!` rests on.
///
/// `grow` is a call of what is not inline: containers that push keep their state in registers around a
/// call that is rare, and do not where its fast path is among their own code.
macro_rules! block_methods {
    () => {
        /// Allocates a block that fits `layout`. A size of 0 is served without touching memory.
        ///
        /// # Errors
        ///
        /// [`AllocError`] if the source has no more memory; nothing has changed then.
        #[inline(always)]
        pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            self.space().allocate(layout)
        }

        /// Like [`allocate`](Self::allocate), and all bytes of the block are zero. Those that the
        /// source has just lent as zeros are not written, where a large block needs a new chunk.
        ///
        /// # Errors
        ///
        /// As for [`allocate`](Self::allocate).
        #[inline]
        pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            self.space().allocate_zeroed(layout)
        }

        /// Frees a block: at once if it is the last one, or very large, else with its scope.
        ///
        /// # Safety
        ///
        /// `start` is the start of a block of this allocator that `layout` fits, not freed since,
        /// that nobody uses any more.
        #[inline(always)]
        pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
            // SAFETY: as the caller promises.
            unsafe { self.space().deallocate(start, layout) };
        }

        /// Makes a block that `old` fits into one for `new`, which is no smaller. The last block
        /// stays where it is, as long as its chunk has room.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        ///
        /// # Safety
        ///
        /// As for [`deallocate`](Self::deallocate), unless it fails; `new` is no smaller than `old`.
        #[inline(always)]
        pub unsafe fn grow(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            unsafe { self.space().grow(start, old, new) }
        }

        /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
        ///
        /// # Errors
        ///
        /// As for [`grow`](Self::grow).
        ///
        /// # Safety
        ///
        /// As for [`grow`](Self::grow).
        #[inline]
        pub unsafe fn grow_zeroed(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            unsafe { self.space().grow_zeroed(start, old, new) }
        }

        /// Makes a block that `old` fits into one for `new`, which is no larger. It stays in its place,
        /// and this does not fail, unless it has to be aligned more than it is.
        ///
        /// # Errors
        ///
        /// [`AllocError`] when it cannot be done; the block is unchanged then.
        ///
        /// # Safety
        ///
        /// As for [`deallocate`](Self::deallocate), unless it fails; `new` is no larger than `old`.
        #[inline]
        pub unsafe fn shrink(
            &self,
            start: NonNull<u8>,
            old: Layout,
            new: Layout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: as the caller promises.
            unsafe { self.space().shrink(start, old, new) }
        }
    };
}

pub(crate) use {block_methods, fallible_methods, text_methods, value_methods, value_pair};
