//! One contract suite that any allocator can be pointed at.
//!
//! An `Allocator` of allocator-api2 0.2 in ten lines. The closure gets an upstream that counts,
//! that fails when the suite wants it to, and that watches what it lends:
//!
//! ```
//! use allocator_api2::alloc::Allocator;
//! use allotrope_conformance::Suite;
//! # struct Mine<A>(A);
//! # // SAFETY: every call is the one of the allocator inside.
//! # unsafe impl<A: Allocator> Allocator for Mine<A> {
//! #     fn allocate(&self, layout: std::alloc::Layout) -> Result<std::ptr::NonNull<[u8]>, allocator_api2::alloc::AllocError> { self.0.allocate(layout) }
//! #     // SAFETY: as for the allocator inside.
//! #     unsafe fn deallocate(&self, start: std::ptr::NonNull<u8>, layout: std::alloc::Layout) { unsafe { self.0.deallocate(start, layout) } }
//! # }
//! # impl<A> Mine<A> { fn check_invariants(&self) -> Result<(), String> { Ok(()) } }
//!
//! Suite::new(|upstream| Mine(upstream))
//!     .limits(&[1024, 32 * 1024]) // where it changes its ways
//!     .max_size(64 * 1024)
//!     .only_from_upstream(true)
//!     .invariants(|mine| mine.check_invariants())
//!     .assert_shared(); // or `.assert()` for an allocator of one thread
//! ```
//!
//! A `GlobalAlloc`:
//!
//! ```
//! allotrope_conformance::Suite::global(|_| std::alloc::System).max_size(4096).assert_shared();
//! ```
//!
//! An allocator that borrows its upstream, or lives in a buffer, is a [`Subject`].
//!
//! # What is checked
//!
//! The promises are the variants of [`Promise`]. Four kinds of scripts look for a broken one:
//!
//! | script | calls |
//! |---|---|
//! | sweeps | every alignment with every size ± 64 around every limit; frees, grows and shrinks with every size in the fits range, from the requested to the returned one (of a range longer than 256 a sample of 256); grows and shrinks that change the alignment, beside a hole that fits just so; sizes near `isize::MAX` |
//! | random | all of these mixed, over an upstream that returns exactly what it was asked for, or more |
//! | short and failing upstreams | the same over an upstream with a limit, and over one that fails at its first call, its second, … |
//! | threads | the same from several threads that share one allocator ([`Suite::run_threads`], which [`Suite::run_shared`] includes), or with an allocator that moves between threads ([`Suite::run_sent`]) |
//!
//! The suite keeps a *shadow*, a map of the blocks that are handed out, and fills blocks with a
//! pattern of their own. Blocks longer than 256 bytes are filled and checked at both ends and in
//! eight places between; that zeroed memory is zero is checked to the last byte.
//!
//! # Threads
//!
//! Threads that share an allocator play these scenarios, each with a new one and every seed:
//!
//! | scenario | what the threads do |
//! |---|---|
//! | exchange | everything, at random; blocks change hands through a mailbox |
//! | pipeline | one allocates; behind a bounded channel another one grows, shrinks and frees |
//! | heirs of long lives | each ends with blocks in hand, which one that comes later inherits |
//! | heirs of short lives | the same two thousand times, a few calls each |
//! | twins | the same calls on two allocators, one of them trivially right ([`Suite::run_twins`]) |
//!
//! Each thread has a shadow of its own and every block a pattern of its own, so that whoever was
//! given another's memory finds another's bytes; at the end all shadows are laid over each other,
//! everything is freed, the invariants are checked, and nothing may be in use
//! ([`Suite::bytes_used`]). Threads share nothing else, so that under ThreadSanitizer an ordering
//! that the allocator owes is not given by the suite. That the upstream is watched by a lock is the
//! exception: leave [`Suite::only_from_upstream`] off there.
//!
//! # A failure
//!
//! names the promise, the seed, and the shortest list of calls that was found to break it:
//!
//! ```text
//! broken promise: ShrinkKeepsContent (shrink keeps the bytes that remain)
//!   byte 0 of the 8 bytes that b0 has to keep is lost
//!   seed 1, found at step 117
//!   minimal sequence:
//!     1. b0 = allocate(size 9, align 1)
//!     2. b0 = shrink(b0, to size 8, align 1)
//!     then every block left is freed, and the allocator dropped
//! ```
//!
//! [`Suite::replay`] makes these calls again.
//!
//! # A badly wrong allocator
//!
//! may still take the process down: the suite looks at a block's address before it writes there,
//! but it cannot know whether memory outside the upstream is memory at all (see
//! [`Suite::only_from_upstream`]), and what an allocator wrote over is not restored. Such
//! allocators are best run in a child process, with [`Suite::trace`]; the workspace in `foreign/`
//! beside this crate does that. Nor can the suite prove anything: a run that finds nothing has
//! found nothing.

mod case;
#[doc(hidden)]
pub mod child;
mod failure;
mod global;
mod minimise;
#[doc(hidden)]
pub mod misuse;
mod operation;
mod pattern;
mod probe;
mod promise;
mod random;
mod runner;
mod script;
mod settings;
mod shadow;
mod subject;
mod suite;
mod threads;
mod upstream;

pub use failure::{Failure, Report};
pub use global::AsAllocator;
pub use operation::Operation;
pub use promise::Promise;
pub use subject::{Checked, Counted, Made, Subject};
pub use suite::Suite;
pub use upstream::{Conditions, TestUpstream};
