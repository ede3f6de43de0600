//! A handle to a heap that goes with its last handle.

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use allotrope_core::api::impl_allocator;
use allotrope_core::{AllocError, DefaultPolicy, Hook, Independent, NoHook, Policy, Source};

use crate::default_source::DefaultSource;
use crate::local_heap::LocalHeap;

/// A [`LocalHeap`] that is shared by its handles, as by an `Rc`, and dropped with the last of them:
/// for containers that own their memory. A handle is one word; cloning it counts.
///
/// The heap lies in its own memory. What drops last frees everything that the heap gave out.
///
/// ```
/// use allotrope_core::OsPages;
/// use allotrope_heap::HeapRc;
/// use allocator_api2::vec::Vec;
///
/// fn squares() -> Vec<u64, HeapRc> {
///     let heap = HeapRc::new(OsPages::new()).unwrap();
///     let mut squares = Vec::new_in(heap);
///     squares.extend((0..10).map(|n| n * n));
///     squares // and its heap
/// }
/// assert_eq!(squares()[9], 81);
/// ```
pub struct HeapRc<S: Source = DefaultSource, P: Policy = DefaultPolicy, H: Hook = NoHook> {
    shared: NonNull<Shared<S, P, H>>,
    owns: PhantomData<LocalHeap<S, P, H>>,
}

/// A heap, in a block of its own.
struct Shared<S: Source, P: Policy, H: Hook> {
    heap: LocalHeap<S, P, H>,
    handles: Cell<usize>,
}

impl<S: Source> HeapRc<S> {
    /// A handle to a new heap over the regions of `source`.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source has no memory for the heap itself, about 1.3 KiB.
    pub fn new(source: S) -> Result<Self, AllocError> {
        Self::from_heap(LocalHeap::new(source))
    }
}

impl<S: Source, P: Policy, H: Hook> HeapRc<S, P, H> {
    /// A handle to `heap`, which moves into its own memory.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is none; the heap is dropped then.
    pub fn from_heap(heap: LocalHeap<S, P, H>) -> Result<Self, AllocError> {
        let shared = heap.allocate(Layout::new::<Shared<S, P, H>>())?.cast();
        // SAFETY: the block is new, and of this layout. A heap may be moved.
        unsafe { shared.write(Shared { heap, handles: Cell::new(1) }) };
        Ok(Self { shared, owns: PhantomData })
    }

    fn shared(&self) -> &Shared<S, P, H> {
        // SAFETY: there is a handle, so the heap was not dropped.
        unsafe { self.shared.as_ref() }
    }

    /// How many handles there are.
    pub fn handles(&self) -> usize {
        self.shared().handles.get()
    }

    /// Allocates a block that fits `layout`.
    ///
    /// # Errors
    ///
    /// As for [`LocalHeap::allocate`].
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.shared().heap.allocate(layout)
    }

    /// Like [`allocate`](Self::allocate), and all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// As for [`LocalHeap::allocate`].
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.shared().heap.allocate_zeroed(layout)
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::deallocate`].
    #[inline]
    pub unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.shared().heap.deallocate(start, layout) };
    }

    /// Makes a block that `old` fits into one for `new`, which is no smaller.
    ///
    /// # Errors
    ///
    /// As for [`LocalHeap::grow`].
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::grow`].
    #[inline]
    pub unsafe fn grow(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.shared().heap.grow(start, old, new) }
    }

    /// Like [`grow`](Self::grow), and the bytes beyond `old.size()` are zero.
    ///
    /// # Errors
    ///
    /// As for [`LocalHeap::grow`].
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::grow`].
    #[inline]
    pub unsafe fn grow_zeroed(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.shared().heap.grow_zeroed(start, old, new) }
    }

    /// Makes a block that `old` fits into one for `new`, which is no larger.
    ///
    /// # Errors
    ///
    /// As for [`LocalHeap::shrink`].
    ///
    /// # Safety
    ///
    /// As for [`LocalHeap::shrink`].
    #[inline]
    pub unsafe fn shrink(
        &self,
        start: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.shared().heap.shrink(start, old, new) }
    }
}

// SAFETY: blocks are the heap's, which lives as long as any handle; a clone is the same heap.
unsafe impl<S: Source, P: Policy, H: Hook> allotrope_core::api::Sound for HeapRc<S, P, H> {}
impl_allocator!([S: Source, P: Policy, H: Hook] HeapRc<S, P, H>);

// SAFETY: blocks lie in regions of the source.
unsafe impl<S: Source + Independent, P: Policy, H: Hook> Independent for HeapRc<S, P, H> {}

impl<S: Source, P: Policy, H: Hook> Deref for HeapRc<S, P, H> {
    type Target = LocalHeap<S, P, H>;

    fn deref(&self) -> &LocalHeap<S, P, H> {
        &self.shared().heap
    }
}

impl<S: Source, P: Policy, H: Hook> Clone for HeapRc<S, P, H> {
    fn clone(&self) -> Self {
        let handles = &self.shared().handles;
        // Handles are memory, so there are never so many, unless they are forgotten.
        handles.set(handles.get().checked_add(1).expect("no more handles than there is memory"));
        Self { shared: self.shared, owns: PhantomData }
    }
}

impl<S: Source, P: Policy, H: Hook> Drop for HeapRc<S, P, H> {
    fn drop(&mut self) {
        let left = self.handles() - 1;
        self.shared().handles.set(left);
        if left == 0 {
            // SAFETY: this was the last handle; the heap leaves its block before that goes with it.
            drop(unsafe { self.shared.read() }.heap);
        }
    }
}

impl<S: Source, P: Policy, H: Hook> fmt::Debug for HeapRc<S, P, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("HeapRc").field(&**self).finish()
    }
}
