//! The table from an address to the segment that it lies in: two loads, no loop.
//!
//! ```text
//! address │ root: upper bits │ leaf: 10 bits │ offset in the segment │
//!             └─▶ leaf ─────────▶ id, or none
//! ```
//!
//! A segment starts at a multiple of its size, so no two share an entry. Leaves are made when they
//! are first needed, and stay.
//!
//! # Orderings
//!
//! An entry is `Relaxed`: whoever holds a frame of a segment got it after the entry was written, and
//! about an address that is nobody's the table promises nothing.

use core::ptr::NonNull;

use allotrope_sync::facade::atomic::{AtomicU32, Ordering};
use allotrope_sync::facade::{array_of, const_fn};

use super::Platform;
use super::kept_for_ever::KeptForEver;
use super::store::SEGMENT_SIZE;

/// How many entries a leaf has.
const ENTRIES: usize = 1024;

/// No segment lies beyond this address: where addresses have 64 bits, no system maps higher unless
/// a program asks for that.
const HIGHEST: usize = usize::MAX >> (usize::BITS / 64 * 16);

const LEAVES: usize = (HIGHEST / SEGMENT_SIZE + 1).div_ceil(ENTRIES);

/// Which segment an address lies in.
#[derive(Debug)]
pub(super) struct Table<N> {
    root: [KeptForEver<Leaf, N>; LEAVES],
}

/// For each place in the address space that a segment may take: its id plus one, or zero.
#[derive(Debug)]
struct Leaf([AtomicU32; ENTRIES]);

impl<N: Platform> Table<N> {
    const_fn! {
        /// No segment.
        pub(super) fn new() -> Self {
            Self { root: array_of!(KeptForEver::new()) }
        }
    }

    /// The id of the segment that `address` lies in. O(1).
    #[inline]
    pub(super) fn find(&self, address: NonNull<u8>) -> Option<u32> {
        let place = address.addr().get() / SEGMENT_SIZE;
        let leaf = self.root.get(place / ENTRIES)?.get()?;
        leaf.0[place % ENTRIES].load(Ordering::Relaxed).checked_sub(1)
    }

    /// Notes that a segment with this id starts at `base`. `false` if there is no memory for that,
    /// or the address is too high.
    pub(super) fn insert(&self, base: NonNull<u8>, id: u32) -> bool {
        self.set(base, id + 1)
    }

    /// Forgets the segment that starts at `base`.
    pub(super) fn remove(&self, base: NonNull<u8>) {
        self.set(base, 0);
    }

    fn set(&self, base: NonNull<u8>, value: u32) -> bool {
        let place = base.addr().get() / SEGMENT_SIZE;
        let leaf = self.root.get(place / ENTRIES);
        let leaf = leaf.and_then(|leaf| leaf.get_or_make(|| Leaf(array_of!(AtomicU32::new(0)))));
        if let Some(leaf) = leaf {
            leaf.0[place % ENTRIES].store(value, Ordering::Relaxed);
        }
        leaf.is_some()
    }
}
