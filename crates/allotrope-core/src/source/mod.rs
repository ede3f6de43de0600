//! Sources: where bytes come from.
//!
//! A source lends *regions*: contiguous bytes, of which a strategy cuts chunks and blocks.
//!
//! ```text
//! reserve ──▶ region ─┬─ commit a range ──▶ usable bytes ─┬─▶ discard them: still usable
//!                     │        ▲                          └─▶ decommit them ─┐
//!                     │        └─────────────────────────────────────────────┘
//!                     ├─ grow_region ──▶ a longer region, perhaps elsewhere
//!                     └─ release
//! ```
//!
//! | source | lends | reserves ahead |
//! |---|---|---|
//! | [`OsPages`](crate::OsPages) | pages of the operating system | on 64-bit targets |
//! | [`Buffer`] | bytes that the user has, once | no |
//! | [`Upstream`](crate::Upstream) | blocks of another allocator | no |

mod buffer;
pub(crate) mod chunks;
mod firm;
#[cfg(all(
    feature = "os-pages",
    any(
        target_os = "linux",
        target_vendor = "apple",
        target_os = "freebsd",
        windows,
        all(target_arch = "wasm32", not(unix))
    )
))]
mod pages;
pub(crate) mod provenance;
#[cfg(feature = "allocator-api2-02")]
mod upstream;

pub use buffer::Buffer;
pub use firm::Firm;
#[cfg(all(
    feature = "os-pages",
    any(
        target_os = "linux",
        target_vendor = "apple",
        target_os = "freebsd",
        windows,
        all(target_arch = "wasm32", not(unix))
    )
))]
pub use pages::OsPages;
#[cfg(feature = "allocator-api2-02")]
pub use upstream::Upstream;

use core::ops::Range;
use core::ptr::NonNull;

use crate::{AllocError, Policy, poison};

/// Where bytes come from.
///
/// Strategies own their source and are the only ones to call it. A source of your own starts
/// from [`Buffer`], the simplest: only [`reserve`](Self::reserve) and [`release`](Self::release)
/// have no default.
///
/// # Threads
///
/// A strategy that threads share without a lock, [`Pool`](crate::Pool), needs a source that is
/// `Sync`, and calls it from several threads at once. [`reserve`](Self::reserve), and calls for
/// different regions, may overlap in time. For one region calls of [`commit`](Self::commit) may
/// overlap, even for the same bytes; [`decommit`](Self::decommit) and [`discard`](Self::discard)
/// overlap neither of them nor any use of their bytes, and [`grow_region`](Self::grow_region) and [`release`](Self::release) overlap
/// nothing that is done with their region.
///
/// # Safety
///
/// Implementors uphold the *Guarantees* of every method. Their methods do not unwind (where one does,
/// the allocator that it supplies ends the program, with a sentence on standard error), and do not
/// call, directly or indirectly, the allocator that they supply, unless
/// [`MAY_REENTER`](Self::MAY_REENTER) says that they might.
pub unsafe trait Source {
    /// Is reserving cheap, so that strategies should reserve more than they need now, and commit it
    /// as they grow?
    const RESERVES_AHEAD: bool = false;

    /// Every region starts at a multiple of this, also one that has grown; a power of two.
    const REGION_ALIGN: usize = 1;

    /// No region reaches beyond this address. What is known to lie in the lower half of the address
    /// space is checked for overflow with fewer instructions.
    const HIGHEST_ADDRESS: usize = usize::MAX;

    /// Might a method call the allocator that this source supplies? Then every call of a
    /// [`Local`](crate::Local) or an [`ObjectPool`](crate::ObjectPool) over it makes sure that it
    /// does not; it aborts the program if it does.
    const MAY_REENTER: bool = false;

    /// Lends a region.
    ///
    /// `least` is what the caller cannot do without, in bytes and above zero; `wanted` is what it
    /// would like, at least `least`. A source that has just one region lends that.
    ///
    /// # Guarantees
    ///
    /// The region is at least `least` bytes long, and `isize::MAX` at most; it overlaps no other
    /// region that is lent, and stays where it is, whether or not the source is moved, until it is
    /// released. Its committed bytes are valid for reads and writes; nobody else accesses any of
    /// it. The pointer to it reaches all of it, through whatever threads it goes.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when there is no such region; the source is unchanged then.
    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError>;

    /// Lends a region of `size` bytes for a single block that may [grow](Self::grow_region).
    ///
    /// # Guarantees
    ///
    /// As for [`reserve`](Self::reserve) of exactly `size` bytes.
    ///
    /// # Errors
    ///
    /// As for [`reserve`](Self::reserve).
    #[doc(hidden)]
    fn reserve_block(&self, size: usize) -> Result<Region, AllocError> {
        self.reserve(size, size)
    }

    /// Makes the bytes of `range` usable, those that are already included.
    ///
    /// # Guarantees
    ///
    /// The bytes become valid for reads and writes. What was usable stays as it is; what was not
    /// reads as [`Region::contents`] says, or as [`decommit`](Self::decommit) said.
    ///
    /// # Errors
    ///
    /// [`AllocError`] when the memory cannot be had; what was usable before still is.
    ///
    /// # Safety
    ///
    /// `region` is on loan from this source, and `range` lies in it.
    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        let _ = (region, range);
        Ok(())
    }

    /// Gives back what is behind the bytes of `range`, which stay reserved, and are usable again
    /// when they have been committed again. May do nothing, or do it for whole pages only.
    ///
    /// # Guarantees
    ///
    /// Returns what the bytes read as then: [`Contents::Zero`] only if all of them are zero.
    ///
    /// # Safety
    ///
    /// `region` is on loan from this source, `range` lies in what is committed of it, and nobody
    /// needs what is there, or accesses it before it is committed again.
    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        let _ = (region, range);
        Contents::Unknown
    }

    /// Gives back what is behind the bytes of `range`, which stay usable: the next access gets
    /// memory again. May do nothing, or do it for whole pages only.
    ///
    /// This is for bytes that nobody could commit again in time. Where memory is promised before it
    /// is used, as on Windows, it gives back less than [`decommit`](Self::decommit): the promise
    /// is kept.
    ///
    /// # Guarantees
    ///
    /// Returns what the bytes read as now: [`Contents::Zero`] only if all of them are zero.
    ///
    /// # Safety
    ///
    /// `region` is on loan from this source, `range` lies in what is committed of it, and nobody
    /// needs what is there.
    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        let _ = (region, range);
        Contents::Unknown
    }

    /// Hears that all of `range` will be used, or what is committed of it by and by, so that larger
    /// pages may serve it. What is there stays.
    ///
    /// # Safety
    ///
    /// As for [`commit`](Self::commit).
    #[doc(hidden)]
    unsafe fn expect_use(&self, region: &Region, range: Range<usize>) {
        let _ = (region, range);
    }

    /// Lends a region of `size` bytes, all of it committed, that
    /// [`release_or_keep`](Self::release_or_keep) has kept, if there is one.
    ///
    /// # Guarantees
    ///
    /// As for [`reserve`](Self::reserve).
    #[doc(hidden)]
    fn take_kept(&self, size: usize) -> Option<Region> {
        let _ = size;
        None
    }

    /// Takes back a region as [`release`](Self::release) does, or keeps it for one of the next calls
    /// of [`take_kept`](Self::take_kept).
    ///
    /// # Safety
    ///
    /// As for [`release`](Self::release); all of the region is committed.
    #[doc(hidden)]
    unsafe fn release_or_keep(&self, region: Region) {
        // SAFETY: as the caller promises.
        unsafe { self.release(region) };
    }

    /// Takes back a region, whole, as it was lent.
    ///
    /// # Safety
    ///
    /// `region` is on loan from this source, and nobody accesses it afterwards.
    unsafe fn release(&self, region: Region);

    /// Makes `region` at least `size` bytes long, in place or, if `movement` allows it, elsewhere.
    ///
    /// # Guarantees
    ///
    /// The returned region takes the place of `region`. What was committed has kept its contents
    /// and is committed; the rest is committed only if all of `region` was. The new bytes read as
    /// [`Region::contents`] of the returned region says, which need not be what it said before. Of
    /// a region that is committed in part, a source may refuse to make more.
    ///
    /// # Errors
    ///
    /// `region`, unchanged and still on loan, when it cannot be done.
    ///
    /// # Safety
    ///
    /// `region` is on loan from this source; where `movement` allows it to move, nobody accesses
    /// its old place afterwards.
    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        let _ = (size, movement);
        Err(region)
    }
}

/// How many bytes a strategy that holds `held` bytes asks a source for that reserves ahead: `first`
/// at first, for many heaps are small and stay so, and then much, so that there are few regions to
/// look through.
pub const fn reserve_ahead<P: Policy>(held: usize, first: usize) -> usize {
    const LARGE: usize = 256;
    let wanted = if held == 0 {
        first
    } else if held < P::GROWTH_SIZE.saturating_mul(LARGE / 16) {
        P::GROWTH_SIZE.saturating_mul(LARGE)
    } else {
        held.saturating_mul(16)
    };
    if wanted < P::RESERVE_SIZE { wanted } else { P::RESERVE_SIZE }
}

/// Releases a region to its source, with none of it poisoned: its owner may use all of it again.
///
/// # Safety
///
/// As for [`Source::release`].
pub unsafe fn release_clean(source: &impl Source, region: Region) {
    poison::unpoison(region.start(), region.size());
    // SAFETY: as the caller promises.
    unsafe { source.release(region) };
}

/// Whether a region that grows may move.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Movement {
    /// It stays where it is.
    Never,
    /// It may end up elsewhere.
    Allowed,
}

/// What memory reads as that nobody has written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contents {
    /// Zeros.
    Zero,
    /// Anything, or nothing: it may be uninitialized.
    Unknown,
}

/// Contiguous bytes on loan from a [`Source`].
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a region that is dropped is never released"]
pub struct Region {
    bytes: NonNull<[u8]>,
    committed: usize,
    contents: Contents,
}

// SAFETY: a region is the exclusive use of memory that belongs to no thread in particular.
unsafe impl Send for Region {}

// SAFETY: a shared region tells where it is and how long, and nothing of it changes.
unsafe impl Sync for Region {}

impl Region {
    /// A region of `bytes`, the first `committed` of them usable as it is, that read as
    /// `contents` until they are written; all of them, if `committed` is more than there are.
    pub const fn new(bytes: NonNull<[u8]>, committed: usize, contents: Contents) -> Self {
        let committed = if committed < bytes.len() { committed } else { bytes.len() };
        Self { bytes, committed, contents }
    }

    /// Its first byte.
    pub const fn start(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    /// How many bytes it has.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// All of it.
    pub const fn bytes(&self) -> NonNull<[u8]> {
        self.bytes
    }

    /// How many bytes from its start were usable when it was lent.
    pub const fn committed(&self) -> usize {
        self.committed
    }

    /// What its bytes read as until they are written.
    pub const fn contents(&self) -> Contents {
        self.contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_committed_of_a_region_than_it_has() {
        let bytes = NonNull::slice_from_raw_parts(NonNull::<u8>::dangling(), 100);
        for (committed, all) in [(0, 0), (99, 99), (100, 100), (101, 100), (usize::MAX, 100)] {
            assert_eq!(Region::new(bytes, committed, Contents::Zero).committed(), all);
        }
    }
}
