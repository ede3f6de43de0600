//! linked_list_allocator 0.10.1: RUSTSEC-2022-0063, heaps too small for the first hole.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::ptr::{NonNull, null_mut};

use allotrope_conformance::{AsAllocator, Subject, Suite, TestUpstream};
use allotrope_conformance_foreign::judged;
use linked_list_allocator::Heap;

#[test]
fn init_writes_beyond_a_heap_of_eight_bytes() {
    let verdict = judged("init_writes_beyond_a_heap_of_eight_bytes", || {
        suite(InBuffer { skew: 0, len: 8, init: true }).run()
    });
    verdict.must_be_broken("UpstreamBounds");
}

#[test]
fn new_writes_beyond_a_misaligned_heap_of_sixteen_bytes() {
    let verdict = judged("new_writes_beyond_a_misaligned_heap_of_sixteen_bytes", || {
        suite(InBuffer { skew: 1, len: 16, init: false }).run()
    });
    verdict.must_be_broken("UpstreamBounds");
}

#[test]
fn a_request_near_isize_max_panics() {
    let verdict = judged("a_request_near_isize_max_panics", || suite(LARGE).run());
    verdict.must_be_broken("Returns");
}

#[test]
fn without_such_requests_a_heap_of_64_kib_keeps_its_promises() {
    judged("without_such_requests_a_heap_of_64_kib_keeps_its_promises", || {
        suite(LARGE).impossible_requests(false).run()
    })
    .must_be_kept();
}

#[test]
fn a_rest_too_small_for_a_hole_is_lost() {
    let verdict = judged("a_rest_too_small_for_a_hole_is_lost", || {
        suite(LARGE).impossible_requests(false).fills_again(true).run()
    });
    verdict.must_be_broken("FillsAgain");
}

/// Its documentation wants the layout that was allocated; `GlobalAlloc` gives it just that.
fn suite(subject: InBuffer) -> Suite<InBuffer> {
    Suite::of(subject).max_size(2048).max_align(256).only_from_upstream(true)
}

const LARGE: InBuffer = InBuffer { skew: 0, len: 64 * 1024, init: false };

struct InBuffer {
    skew: usize,
    len: usize,
    init: bool,
}

impl Subject for InBuffer {
    type Allocator<'u> = AsAllocator<Locked>;

    fn make(&self, upstream: &TestUpstream) -> AsAllocator<Locked> {
        let buffer = &mut upstream.buffer(self.skew + self.len)[self.skew..];
        let start = buffer.as_mut_ptr().cast();
        // SAFETY: the heap asks for memory that lives for ever; the suite drops the allocator
        // before the upstream whose buffer this is, and nothing else uses the buffer.
        let heap = unsafe {
            if self.init {
                let mut heap = Heap::empty();
                heap.init(start, self.len);
                heap
            } else {
                Heap::new(start, self.len)
            }
        };
        AsAllocator::new(Locked(RefCell::new(heap)))
    }
}

/// What its own lock does, for one thread.
struct Locked(RefCell<Heap>);

// SAFETY: the promises are those of the heap inside.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.borrow_mut().allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let start = NonNull::new(start).expect("a block does not start at address 0");
        // SAFETY: the caller's promises are those of the heap inside.
        unsafe { self.0.borrow_mut().deallocate(start, layout) };
    }
}
