//! One impl of `Allocator`, and the conversions of its error, written once for all versions.

/// Implements the `Allocator` of the [version](super) in the file `$version` for a type, by its
/// inherent methods of the same names.
///
/// Nothing is imported: an `Allocator` among the parameters is the one that the caller means. The
/// type of the error says that the inherent method is called, and not the trait's, which is this one.
///
/// The macro writes `unsafe`, and anybody can call it. So the impl holds for a type that is
/// [`Sound`](super::Sound) only, which takes an `unsafe impl` of the caller's own. Parameters are
/// taken apart and put together again: tokens as they come could end the impl, and begin another.
#[doc(hidden)]
#[macro_export]
macro_rules! implement {
    ($version:ident [const $n:ident: $number:ty, $($name:ident: $bound:path),*] $type:ty) => {
        // SAFETY: the type is `Sound`.
        unsafe impl<const $n: $number, $($name: $bound),*> $crate::api::$version::Allocator
            for $type
        where
            $type: $crate::api::Sound,
        {
            $crate::api::implement::implement!(methods $version $type);
        }
    };
    ($version:ident [$($lifetime:lifetime,)* $($name:ident: $bound:path),*] $type:ty) => {
        // SAFETY: the type is `Sound`.
        unsafe impl<$($lifetime,)* $($name: $bound),*> $crate::api::$version::Allocator for $type
        where
            $type: $crate::api::Sound,
        {
            $crate::api::implement::implement!(methods $version $type);
        }
    };
    (methods $version:ident $type:ty) => {
        $crate::api::implement::implement!(allocates $version allocate);
        $crate::api::implement::implement!(allocates $version allocate_zeroed);
        $crate::api::implement::implement!(resizes $version grow);
        $crate::api::implement::implement!(resizes $version grow_zeroed);
        $crate::api::implement::implement!(resizes $version shrink);

        #[inline]
        unsafe fn deallocate(
            &self,
            start: ::core::ptr::NonNull<u8>,
            layout: ::core::alloc::Layout,
        ) {
            // SAFETY: both have the same contract.
            unsafe { <$type>::deallocate(self, start, layout) };
        }
    };
    (allocates $version:ident $method:ident) => {
        #[inline]
        fn $method(
            &self,
            layout: ::core::alloc::Layout,
        ) -> Result<::core::ptr::NonNull<[u8]>, $crate::api::$version::AllocError> {
            Self::$method(self, layout).map_err(|error: $crate::AllocError| error.into())
        }
    };
    (resizes $version:ident $method:ident) => {
        #[inline]
        unsafe fn $method(
            &self,
            start: ::core::ptr::NonNull<u8>,
            old: ::core::alloc::Layout,
            new: ::core::alloc::Layout,
        ) -> Result<::core::ptr::NonNull<[u8]>, $crate::api::$version::AllocError> {
            // SAFETY: both have the same contract.
            unsafe { Self::$method(self, start, old, new) }.map_err(|error: $crate::AllocError| error.into())
        }
    };
}
pub use implement;

/// Makes our error and the one of a version each other; neither says more than that it failed.
macro_rules! convert {
    ($theirs:ident) => {
        impl From<$crate::AllocError> for $theirs {
            fn from($crate::AllocError: $crate::AllocError) -> Self {
                Self
            }
        }

        impl From<$theirs> for $crate::AllocError {
            fn from($theirs: $theirs) -> Self {
                Self
            }
        }
    };
}
pub(crate) use convert;
