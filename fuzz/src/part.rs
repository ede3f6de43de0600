//! Parts: allocators that can be held against their invariants, tidied up, and put into a box.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};
use allotrope_conformance::TestUpstream;
use allotrope_core::{
    Affix, AlignTo, AskSecond, BySize, Fallback, Hook, Independent, Limit, Local, LocalBudget,
    Locked, Null, Owns, Policy, Pool, Source, Strategy,
};
use allotrope_heap::LocalHeap;

/// An allocator under test, or a part of one.
pub trait Part: Allocator {
    /// Checks every invariant.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// How many bytes are in use, where it knows.
    fn bytes_used(&self) -> Option<usize> {
        None
    }

    /// Does what an owner does now and then, besides allocating and freeing.
    fn tidy(&self) {}
}

/// A part that knows its blocks.
pub trait OwningPart: Part + Owns {}

impl<P: Part + Owns> OwningPart for P {}

/// Any allocator, that is tidied up after every so many frees.
pub struct Any<'u> {
    part: Box<dyn Part + 'u>,
    /// How many frees lie between two times; 0 means that it never happens.
    frees: usize,
    frees_left: Cell<usize>,
}

impl<'u> Any<'u> {
    /// `part`, never tidied up.
    pub fn new(part: impl Part + 'u) -> Self {
        Self::tidied(part, 0)
    }

    /// `part`, tidied up after every so many `frees`.
    pub fn tidied(part: impl Part + 'u, frees: usize) -> Self {
        Self { part: Box::new(part), frees, frees_left: Cell::new(frees) }
    }

    fn freed(&self) {
        if self.frees > 0 {
            self.frees_left.set(self.frees_left.get() - 1);
            if self.frees_left.get() == 0 {
                self.frees_left.set(self.frees);
                self.part.tidy();
            }
        }
    }
}

/// Any allocator that knows its blocks.
pub struct Owner<'u>(Box<dyn OwningPart + 'u>);

impl<'u> Owner<'u> {
    /// `part` in a box.
    pub fn new(part: impl OwningPart + 'u) -> Self {
        Self(Box::new(part))
    }
}

// SAFETY: the box is the only way to the part inside.
unsafe impl Owns for Owner<'_> {
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.0.owns(start, layout)
    }
}

// SAFETY: what is in the box was made before what it becomes part of, and has its memory from the
// upstream, which has it from the global allocator.
unsafe impl Independent for Any<'_> {}

// SAFETY: as for `Any`.
unsafe impl Independent for Owner<'_> {}

/// A strategy that threads could share, for one: it can be trimmed.
pub struct Alone<S>(RefCell<S>);

impl<S> Alone<S> {
    /// `strategy` for one thread.
    pub const fn new(strategy: S) -> Self {
        Self(RefCell::new(strategy))
    }
}

// SAFETY: the cell is the only way to the strategy inside.
unsafe impl<S: Owns> Owns for Alone<S> {
    fn owns(&self, start: NonNull<u8>, layout: Layout) -> bool {
        self.0.borrow().owns(start, layout)
    }
}

/// A heap by a view of it.
pub struct Viewed<S: Source> {
    heap: LocalHeap<S>,
    strategy: allotrope_heap::Strategy,
}

impl<S: Source> Viewed<S> {
    /// `heap`, whose blocks are all of one strategy.
    pub const fn new(heap: LocalHeap<S>, strategy: allotrope_heap::Strategy) -> Self {
        Self { heap, strategy }
    }
}

/// `Allocator` by calling another one.
macro_rules! forward {
    ([$($generics:tt)*] $type:ty, |$this:ident| $inner:expr, $freed:expr) => {
        // SAFETY: every call is the one of the allocator inside.
        unsafe impl<$($generics)*> Allocator for $type {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                Allocator::allocate($inner, layout)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                Allocator::allocate_zeroed($inner, layout)
            }

            unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
                let $this = self;
                // SAFETY: as the caller promises, here and below.
                unsafe { Allocator::deallocate($inner, start, layout) };
                $freed
            }

            unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: as above.
                unsafe { Allocator::grow($inner, start, old, new) }
            }

            unsafe fn grow_zeroed(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: as above.
                unsafe { Allocator::grow_zeroed($inner, start, old, new) }
            }

            unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: as above.
                unsafe { Allocator::shrink($inner, start, old, new) }
            }
        }
    };
}

forward!(['u] Any<'u>, |this| &*this.part, this.freed());
forward!(['u] Owner<'u>, |this| &*this.0, ());
forward!([S: Allocator] Alone<S>, |this| &*this.0.borrow(), ());
forward!([S: Source] Viewed<S>, |this| &this.heap.with(this.strategy), ());

impl Part for Any<'_> {
    fn check(&self) -> Result<(), String> {
        self.part.check()
    }

    fn bytes_used(&self) -> Option<usize> {
        self.part.bytes_used()
    }

    fn tidy(&self) {
        self.part.tidy();
    }
}

impl Part for Owner<'_> {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn bytes_used(&self) -> Option<usize> {
        self.0.bytes_used()
    }

    fn tidy(&self) {
        self.0.tidy();
    }
}

impl<S: Strategy> Part for Local<S> {
    fn check(&self) -> Result<(), String> {
        self.check_invariants().map_err(|broken| broken.to_string())
    }

    fn bytes_used(&self) -> Option<usize> {
        Some(Local::bytes_used(self))
    }

    fn tidy(&self) {
        self.trim();
    }
}

impl<S: Strategy> Part for Locked<S> {
    fn check(&self) -> Result<(), String> {
        self.check_invariants().map_err(|broken| broken.to_string())
    }

    fn bytes_used(&self) -> Option<usize> {
        Some(Locked::bytes_used(self))
    }

    fn tidy(&self) {
        self.trim();
    }
}

impl<S: Source, P: Policy, H: Hook> Part for Alone<Pool<S, P, H>> {
    fn check(&self) -> Result<(), String> {
        // SAFETY: there is one thread.
        unsafe { self.0.borrow().check_at_rest() }.map_err(|broken| broken.to_string())
    }

    fn bytes_used(&self) -> Option<usize> {
        Some(self.0.borrow().bytes_used())
    }

    /// A batch, which is freed in part by another, and a trim.
    fn tidy(&self) {
        let layout = Layout::new::<[u64; 5]>();
        let mut batch = [const { MaybeUninit::uninit() }; 50];
        let pool = self.0.borrow();
        let count = pool.allocate_batch(layout, &mut batch);
        // SAFETY: so many were written.
        let blocks = batch[..count].iter().map(|block| unsafe { block.assume_init() });
        let mut blocks: Vec<_> = blocks.collect();
        for block in blocks.split_off(count / 3) {
            // SAFETY: allocated above, and freed once; so below.
            unsafe { pool.deallocate(block, layout) };
        }
        // SAFETY: as above.
        unsafe { pool.deallocate_batch(layout, &blocks) };
        drop(pool);
        self.0.borrow_mut().trim();
    }
}

impl<S: Source> Part for LocalHeap<S> {
    fn check(&self) -> Result<(), String> {
        self.check_invariants().map_err(|broken| broken.to_string())
    }

    fn bytes_used(&self) -> Option<usize> {
        Some(LocalHeap::bytes_used(self))
    }

    fn tidy(&self) {
        self.trim();
    }
}

impl<S: Source> Part for Viewed<S> {
    fn check(&self) -> Result<(), String> {
        self.heap.check()
    }

    fn bytes_used(&self) -> Option<usize> {
        Some(self.heap.bytes_used())
    }

    fn tidy(&self) {
        self.heap.trim();
    }
}

impl Part for TestUpstream {}
impl Part for Null {}

impl<A: Part, B: Part + Owns> Part for Fallback<A, B, AskSecond> {
    fn check(&self) -> Result<(), String> {
        self.first().check()?;
        self.with_second(B::check)
    }

    fn bytes_used(&self) -> Option<usize> {
        sum(self.first().bytes_used(), self.with_second(B::bytes_used))
    }

    fn tidy(&self) {
        self.first().tidy();
        self.with_second(B::tidy);
    }
}

impl<A: Part + Owns, B: Part> Part for Fallback<A, B> {
    fn check(&self) -> Result<(), String> {
        self.with_first(A::check)?;
        self.second().check()
    }

    fn bytes_used(&self) -> Option<usize> {
        sum(self.with_first(A::bytes_used), self.second().bytes_used())
    }

    fn tidy(&self) {
        self.with_first(A::tidy);
        self.second().tidy();
    }
}

impl<const LIMIT: usize, A: Part, B: Part> Part for BySize<LIMIT, A, B> {
    fn check(&self) -> Result<(), String> {
        self.small().check()?;
        self.large().check()
    }

    fn bytes_used(&self) -> Option<usize> {
        sum(self.small().bytes_used(), self.large().bytes_used())
    }

    fn tidy(&self) {
        self.small().tidy();
        self.large().tidy();
    }
}

impl<A: Part> Part for Limit<A, LocalBudget> {
    fn check(&self) -> Result<(), String> {
        if self.used() > self.limit() {
            return Err(format!("{} bytes are used of {}", self.used(), self.limit()));
        }
        self.allocator().check()
    }

    fn bytes_used(&self) -> Option<usize> {
        sum(Some(self.used()), self.allocator().bytes_used())
    }

    fn tidy(&self) {
        self.allocator().tidy();
    }
}

impl<const N: usize, A: Part> Part for AlignTo<N, A> {
    fn check(&self) -> Result<(), String> {
        self.allocator().check()
    }

    fn bytes_used(&self) -> Option<usize> {
        self.allocator().bytes_used()
    }

    fn tidy(&self) {
        self.allocator().tidy();
    }
}

impl<A: Part, P: Copy, S: Copy> Part for Affix<A, P, S> {
    fn check(&self) -> Result<(), String> {
        self.allocator().check()
    }

    fn bytes_used(&self) -> Option<usize> {
        self.allocator().bytes_used()
    }

    fn tidy(&self) {
        self.allocator().tidy();
    }
}

/// What is in use of both, as far as they know.
fn sum(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    Some(one.unwrap_or(0) + other.unwrap_or(0))
}
