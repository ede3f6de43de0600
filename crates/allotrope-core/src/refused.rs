//! What the compiler refuses, beside twins that it accepts. Only doctests compile this.
//!
//! # A policy that contradicts itself
//!
//! Every constructor refuses it, whatever else it might have done with it:
//!
//! ```
//! # use allotrope_core::*;
//! struct Even;
//! impl Policy for Even {
//!     const CHUNK_SIZE: usize = 4096;
//!     const LARGEST_CLASS: usize = 256;
//! }
//! BestFit::<_, Even>::with_policy(OsPages::new());
//! BestFit::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! FixedSize::<64, _, Even>::with_policy(OsPages::new());
//! FixedSize::<64, _, Even, _>::with_hook(OsPages::new(), NoHook);
//! Segregated::<_, Even>::with_policy(OsPages::new());
//! Segregated::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! Pool::<_, Even>::with_policy(OsPages::new());
//! Pool::<_, Even, _>::with_hook(OsPages::new(), NoHook);
//! ObjectPool::<u64, _, Even>::with_policy(OsPages::new());
//! SharedObjectPool::<u64, _, Even>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! BestFit::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! BestFit::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! FixedSize::<64, _, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! FixedSize::<64, _, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Segregated::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Segregated::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Pool::<_, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! Pool::<_, Odd, _>::with_hook(OsPages::new(), NoHook);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! ObjectPool::<u64, _, Odd>::with_policy(OsPages::new());
//! ```
//! ```compile_fail,E0080
//! # use allotrope_core::*;
//! # struct Odd;
//! # impl Policy for Odd { const CHUNK_SIZE: usize = 3000; const LARGEST_CLASS: usize = 256; }
//! SharedObjectPool::<u64, _, Odd>::with_policy(OsPages::new());
//! ```
//!
//! Nor can it say of itself that it is valid:
//!
//! ```compile_fail,E0438
//! # use allotrope_core::*;
//! struct Certain;
//! impl Policy for Certain {
//!     const CHUNK_SIZE: usize = 3000;
//!     const VALID: () = ();
//! }
//! ```
//!
//! # A part that could have its memory from the other
//!
//! A fallback finds a block's owner by its address. A static could name itself as the upstream of
//! its own second part, whose blocks would then lie in blocks of the first:
//!
//! ```
//! # use allotrope_core::*;
//! type Second = Locked<BestFit<Upstream<&'static Locked<BestFit<OsPages>>>>>;
//! static PAGES: Locked<BestFit<OsPages>> = Locked::new(BestFit::new(OsPages::new()));
//! static BOTH: Fallback<Locked<BestFit<Buffer<'static>>>, Second> = Fallback::new(
//!     Locked::new(BestFit::new(Buffer::new(&mut []))),
//!     Locked::new(BestFit::new(Upstream::new(&PAGES))),
//! );
//! # BOTH.second();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Allocator;
//! type Second = Locked<BestFit<Upstream<&'static (dyn Allocator + Sync)>>>;
//! static BOTH: Fallback<Locked<BestFit<Buffer<'static>>>, Second> = Fallback::new(
//!     Locked::new(BestFit::new(Buffer::new(&mut []))),
//!     Locked::new(BestFit::new(Upstream::new(&BOTH))),
//! );
//! # BOTH.second();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Allocator;
//! type First = Locked<BestFit<Upstream<&'static (dyn Allocator + Sync)>>>;
//! static BOTH: Fallback<First, Locked<BestFit<Buffer<'static>>>, AskSecond> =
//!     Fallback::asking_second(
//!         Locked::new(BestFit::new(Upstream::new(&BOTH))),
//!         Locked::new(BestFit::new(Buffer::new(&mut []))),
//!     );
//! # BOTH.first();
//! ```
//!
//! Without the trait object, the type would contain itself:
//!
//! ```compile_fail,E0391
//! # use allotrope_core::*;
//! type Second = Locked<BestFit<Upstream<&'static Both>>>;
//! type Both = Fallback<Locked<BestFit<Buffer<'static>>>, Second>;
//! # fn both(_: Both) {}
//! ```
//!
//! Nor is there a trait object that is independent:
//!
//! ```
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Allocator;
//! trait Memory: Allocator + Independent {}
//! # fn of(_: &impl Memory) {}
//! ```
//! ```compile_fail,E0038
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Allocator;
//! trait Memory: Allocator + Independent {}
//! # fn of(_: &dyn Memory) {}
//! ```
//!
//! Nor does `Default` go round the check:
//!
//! ```
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Global;
//! let memory: Fallback<Null, Global> = Fallback::default();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::*;
//! # use allocator_api2::alloc::Global;
//! # #[derive(Default)]
//! # struct Foreign(Global);
//! let memory: Fallback<Null, Foreign> = Fallback::default();
//! ```
//!
//! # An allocator that nobody has vouched for
//!
//! The macro that writes `Allocator` impls writes them for types that their author has made `Sound`:
//!
//! ```
//! # use allotrope_core::{AllocError, Null, api::{Sound, impl_allocator}};
//! # use std::{alloc::Layout, ptr::NonNull};
//! struct Nothing;
//! impl Nothing {
//!     fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
//!         Err(AllocError)
//!     }
//! #   fn allocate_zeroed(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
//! #   fn grow(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn grow_zeroed(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn shrink(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//!     // and so on
//! }
//! // SAFETY: it has no blocks.
//! unsafe impl Sound for Nothing {}
//! # mod other { #![allow(unused_unsafe)] use super::*;
//! impl_allocator!([] Nothing);
//! # }
//! # fn main() {}
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::{AllocError, api::impl_allocator_02};
//! # use std::{alloc::Layout, ptr::NonNull};
//! struct Nothing;
//! impl Nothing {
//!     fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
//!         Err(AllocError)
//!     }
//! #   fn allocate_zeroed(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
//! #   fn grow(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn grow_zeroed(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//! #   fn shrink(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> { Err(AllocError) }
//!     // and so on
//! }
//! impl_allocator_02!([] Nothing);
//! # fn main() {}
//! ```
//!
//! Nor does it take tokens that would end its impl and begin another one:
//!
//! ```compile_fail
//! # use allotrope_core::api::impl_allocator_02;
//! struct Local(*const u8);
//! impl_allocator_02!([> Send for Local {} #[cfg(any())] impl <] Local);
//! # fn main() {}
//! ```
//!
//! # Parts over memory that nobody has vouched for
//!
//! ```
//! # use allotrope_core::parts::Edges;
//! # use std::ptr::NonNull;
//! let mut words = [0];
//! // SAFETY: there are no granules that it could be asked for.
//! let edges = unsafe { Edges::new(NonNull::from(&mut words).cast()) };
//! assert_eq!(edges.valid(), 0);
//! ```
//! ```compile_fail,E0133
//! # use allotrope_core::parts::Edges;
//! # use std::ptr::NonNull;
//! Edges::new(NonNull::dangling());
//! ```
//! ```compile_fail,E0133
//! # use allotrope_core::parts::{Edges, Space, Table};
//! # fn space<T: Table>(table: T, edges: Edges) {
//! Space::new(table, edges);
//! # }
//! ```
//! ```compile_fail,E0133
//! # use allotrope_core::{OsPages, parts::Large};
//! # use std::alloc::Layout;
//! let large = Large::new();
//! large.allocate(&OsPages::new(), Layout::new::<[u8; 5000]>());
//! ```
//! ```compile_fail,E0133
//! # use allotrope_core::{OsPages, parts::Large};
//! # use std::alloc::Layout;
//! let large = Large::new();
//! large.allocate_zeroed(&OsPages::new(), Layout::new::<[u8; 5000]>());
//! ```
