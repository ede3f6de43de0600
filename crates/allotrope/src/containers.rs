//! Containers that take an allocator, on stable Rust.
//!
//! | type | from | without an allocator |
//! |---|---|---|
//! | [`Vec<T, A>`](Vec), [`Box<T, A>`](Box) | allocator-api2 0.2 | [`Global`] |
//! | [`HashMap<K, V, S, A>`](HashMap), [`HashSet<T, S, A>`](HashSet) | hashbrown 0.17 | [`Global`] |
//!
//! They read like std's, with these differences:
//!
//! - They are types of their own: a function that wants std's `Vec` takes none of these, and
//!   `vec![]` makes std's. `Vec::from_iter` and `collect` need an allocator that has a `Default`;
//!   elsewhere it is `Vec::new_in` and `extend`.
//! - `Box<T, A>` does not coerce to `Box<dyn Trait, A>`: stable Rust keeps that for std.
//!   `unsize_box!` of allocator-api2 does it, in a crate that depends on allocator-api2 itself.
//! - A clone needs an allocator that can be cloned. References can; an allocator by value cannot.
//! - There is no `String`, `BTreeMap`, `Rc` or `Arc`: the crates have none. `Vec<u8, A>` with
//!   [`core::str::from_utf8`] serves for text, `Box<[u8], A>` for text that does not change.
//!
//! ```
//! use allotrope::containers::{HashMap, Vec};
//! use allotrope::{BestFit, Buffer, BufferHeap};
//! use std::mem::MaybeUninit;
//!
//! let mut bytes = [const { MaybeUninit::uninit() }; 4096];
//! let heap = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
//!
//! let mut words = HashMap::new_in(&heap);
//! for (number, word) in "the quick fox and the lazy dog".split(' ').enumerate() {
//!     words.entry(word).or_insert_with(|| Vec::new_in(&heap)).push(number);
//! }
//! assert_eq!(words["the"], [0, 4]);
//! ```
//!
//! The hasher comes third, the allocator last; [`DefaultHashBuilder`] is the hasher that
//! `HashMap::new_in` takes, and `HashMap::with_hasher_in` takes any:
//!
//! ```
//! # use allotrope::containers::{DefaultHashBuilder, HashMap};
//! # use allotrope::{BestFit, Buffer, BufferHeap};
//! # use std::mem::MaybeUninit;
//! # let mut bytes = [const { MaybeUninit::uninit() }; 4096];
//! # let heap = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
//! struct Ages<'h, 'b> {
//!     of: HashMap<&'static str, u32, DefaultHashBuilder, &'h BufferHeap<'b>>,
//! }
//!
//! let hasher = std::hash::RandomState::new();
//! let mut same = HashMap::with_hasher_in(hasher, &heap);
//! same.insert("Ada", 36);
//! let mut ages = Ages { of: HashMap::new_in(&heap) };
//! ages.of.extend(same);
//! assert_eq!(ages.of["Ada"], 36);
//! ```

pub use allocator_api2::alloc::Global;
pub use allocator_api2::boxed::Box;
pub use allocator_api2::vec::Vec;
pub use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
