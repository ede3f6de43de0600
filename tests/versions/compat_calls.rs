//! A wrapper passes each call on as it is.
//!
//! Goal: a call that becomes another one on the way (a `grow` that allocates, copies and frees, by
//! a default of the trait), a layout that is changed, a length that is lost, an error that is none.
//!
//! Method: an allocator that writes down what it is asked for and returns more than that, or
//! nothing, in every wrapper; each wrapper is asked in every version.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

use std::alloc::Layout;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ptr::{self, NonNull};

#[cfg(feature = "nightly")]
use allotrope_core::compat::FromNightly;
use allotrope_core::compat::{From02, From03, From04};

/// What was asked for: the method, the block, and the layouts.
type Call = (&'static str, Option<NonNull<u8>>, Vec<Layout>);

/// How much longer than asked a block is.
const MORE: usize = 5;

/// Writes down each call, and serves it, or not, from the same bytes each time.
#[derive(Debug)]
struct Recorder {
    calls: RefCell<Vec<Call>>,
    serves: Cell<bool>,
    bytes: UnsafeCell<[u64; 16]>,
}

impl Recorder {
    fn new() -> Self {
        let bytes = UnsafeCell::new([0; 16]);
        Self { calls: RefCell::default(), serves: Cell::new(true), bytes }
    }

    fn record(&self, call: Call) -> Option<NonNull<[u8]>> {
        let layout = *call.2.last().unwrap();
        assert!(layout.size() + MORE <= size_of::<[u64; 16]>());
        self.calls.borrow_mut().push(call);
        let block = NonNull::slice_from_raw_parts(self.start(), layout.size() + MORE);
        self.serves.get().then_some(block)
    }

    /// Where every block begins.
    fn start(&self) -> NonNull<u8> {
        NonNull::new(self.bytes.get()).unwrap().cast()
    }

    fn last(&self) -> Call {
        let mut calls = self.calls.borrow_mut();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.pop().unwrap()
    }
}

/// The tests of one version: how it is asked, and the recorder that speaks it.
macro_rules! version {
    ($name:ident, $wrapper:ident, $($path:tt)*) => {
        mod $name {
            use super::*;
            use $($path)*::{AllocError, Allocator};

            // SAFETY: it does not keep the contract; nobody here accesses its blocks.
            unsafe impl Allocator for Recorder {
                fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                    self.record(("allocate", None, vec![layout])).ok_or(AllocError)
                }

                fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                    self.record(("allocate_zeroed", None, vec![layout])).ok_or(AllocError)
                }

                unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
                    self.record(("deallocate", Some(start), vec![layout]));
                }

                unsafe fn grow(
                    &self,
                    start: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    self.record(("grow", Some(start), vec![old, new])).ok_or(AllocError)
                }

                unsafe fn grow_zeroed(
                    &self,
                    start: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    self.record(("grow_zeroed", Some(start), vec![old, new])).ok_or(AllocError)
                }

                unsafe fn shrink(
                    &self,
                    start: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    self.record(("shrink", Some(start), vec![old, new])).ok_or(AllocError)
                }
            }

            /// Asks `wrapper` in this version, by every method, for sizes with and without bytes.
            pub fn ask(wrapper: &impl Allocator, recorder: &Recorder) {
                for (small, large) in [((0, 1), (0, 16)), ((0, 8), (7, 1)), ((13, 16), (64, 32))] {
                    let small = Layout::from_size_align(small.0, small.1).unwrap();
                    let large = Layout::from_size_align(large.0, large.1).unwrap();
                    for serves in [true, false] {
                        recorder.serves.set(serves);
                        ask_for(wrapper, recorder, small, large);
                    }
                }
                assert!(ptr::eq(wrapper.by_ref(), wrapper));
            }

            fn ask_for(wrapper: &impl Allocator, recorder: &Recorder, small: Layout, large: Layout) {
                let start = recorder.start();
                let block = |layout: Layout| {
                    let block = NonNull::slice_from_raw_parts(start, layout.size() + MORE);
                    recorder.serves.get().then_some(block).ok_or(AllocError)
                };
                assert_eq!(wrapper.allocate(large), block(large));
                assert_eq!(recorder.last(), ("allocate", None, vec![large]));
                assert_eq!(wrapper.allocate_zeroed(small), block(small));
                assert_eq!(recorder.last(), ("allocate_zeroed", None, vec![small]));
                // SAFETY: the block is one of the recorder's, which does not access it either.
                unsafe {
                    assert_eq!(wrapper.grow(start, small, large), block(large));
                    assert_eq!(recorder.last(), ("grow", Some(start), vec![small, large]));
                    assert_eq!(wrapper.grow_zeroed(start, small, large), block(large));
                    assert_eq!(recorder.last(), ("grow_zeroed", Some(start), vec![small, large]));
                    assert_eq!(wrapper.shrink(start, large, small), block(small));
                    assert_eq!(recorder.last(), ("shrink", Some(start), vec![large, small]));
                    wrapper.deallocate(start, large);
                }
                assert_eq!(recorder.last(), ("deallocate", Some(start), vec![large]));
            }

            #[test]
            fn calls_come_through_the_wrapper_in_every_version() {
                let recorder = Recorder::new();
                let wrapper = $wrapper::new(&recorder);
                // A copy, a clone and a reference are the same allocator.
                let copy = wrapper;
                ask_in_every_version!(wrapper, &recorder);
                ask_in_every_version!(copy, &recorder);
                ask_in_every_version!(&wrapper, &recorder);
                assert!(ptr::eq(*wrapper.allocator(), &recorder));
                assert!(ptr::eq(wrapper.into_inner(), &recorder));
            }
        }
    };
}

/// Makes the same calls in all versions that there are.
#[cfg(not(feature = "nightly"))]
macro_rules! ask_in_every_version {
    ($wrapper:expr, $recorder:expr) => {
        crate::v02::ask(&$wrapper, $recorder);
        crate::v03::ask(&$wrapper, $recorder);
        crate::v04::ask(&$wrapper, $recorder);
    };
}
#[cfg(feature = "nightly")]
macro_rules! ask_in_every_version {
    ($wrapper:expr, $recorder:expr) => {
        crate::v02::ask(&$wrapper, $recorder);
        crate::v03::ask(&$wrapper, $recorder);
        crate::v04::ask(&$wrapper, $recorder);
        crate::nightly::ask(&$wrapper, $recorder);
    };
}

version!(v02, From02, allocator_api2::alloc);
version!(v03, From03, allocator_api2_03::alloc);
version!(v04, From04, allocator_api2_04::alloc);
#[cfg(feature = "nightly")]
version!(nightly, FromNightly, std::alloc);
