//! Pointers of our own to memory that users have pointers to.
//!
//! ```text
//! region   │ bookkeeping │ block │ block (freed) │ block │
//!  ours     ─────────────┬───────┬───────────────┬──────▶     reaches all of it
//!  user's                └─────▶ │               └─────▶      reaches one value, for a while
//! ```
//!
//! A block is freed by whatever pointer its user has left. `Box::from_raw_in(Box::leak(b), &heap)`
//! has one that was made from a `&mut T`: it reaches the bytes of one `T`, no link beside or behind
//! them, and is void once the allocator lends those bytes to somebody else. So no such pointer
//! outlives the call that it came with: what is kept in a list, used to reach a neighbour or a
//! head, or returned, is made here, of the provenance that the source lent and the address of the
//! user's.
//!
//! | at hand | made by | provenance |
//! |---|---|---|
//! | a pointer to the region | [`within`] | strict: that pointer's |
//! | the address alone: a free list knows no regions, and a free of best fit has no register to spare | [`ours`] | of a region that was [exposed](exposed) when it was lent |
//! | the address alone: a block between affixes | [`ours`] | of the part's block, which [`expose`] has exposed |
//!
//! # Why that is right
//!
//! - [`within`] is `with_addr`: the pointer has the provenance of its base, and reaches what that
//!   reaches. Miri accepts it with `-Zmiri-strict-provenance`.
//! - [`ours`] is `with_exposed_provenance`: the pointer gets the provenance of some memory that was
//!   exposed and makes the accesses that follow defined, if there is one. The block's region is
//!   one: every region from which such blocks are cut goes through [`exposed`] before the first of
//!   them is. Should it lie in a block of another allocator of ours, which exposed its own region
//!   as well, both allow the access.
//! - A user's pointer derives from the region's. An access by ours ends what was borrowed from the
//!   user's, which nobody uses any more: the block was given up with the call (`deallocate`), or
//!   the call's result takes the place of the pointer (`grow`, `shrink`).
//!
//! Neither is an instruction. Nothing else in allotrope makes a pointer of an address, but for the
//! pages of WebAssembly, which come as an address from `memory.grow`; `cargo xtask lint` looks for
//! that. Natively all of this changes nothing, so that no test can fail for want of it:
//! `tests/leaked_boxes.rs`, here and in the heap's crate, are for Miri and for those who read.

use core::ptr::NonNull;

use super::Region;

/// The region, whose provenance is exposed from now on: [`ours`] makes pointers into it.
#[inline]
pub fn exposed(region: Region) -> Region {
    expose(region.start());
    region
}

/// Exposes the provenance of the memory that a pointer reaches: [`ours`] makes pointers into it.
#[inline(always)]
pub fn expose(memory: NonNull<u8>) {
    // The address is not needed here: it comes back with the user's pointer.
    let _ = memory.expose_provenance();
}

/// Our own pointer to where the user's points: into memory that was [exposed].
#[inline(always)]
#[must_use]
pub fn ours<T>(users: NonNull<T>) -> NonNull<T> {
    NonNull::with_exposed_provenance(users.addr())
}

/// Our own pointer to where the user's points: into the same memory as `base`.
#[inline(always)]
#[must_use]
pub fn within<T>(base: NonNull<u8>, users: NonNull<T>) -> NonNull<T> {
    base.with_addr(users.addr()).cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Contents;

    #[test]
    fn our_pointers_reach_all_of_a_region_from_the_address_of_one_value() {
        let mut words = [0_u64; 8];
        let bytes = NonNull::slice_from_raw_parts(NonNull::from(&mut words).cast::<u8>(), 64);
        let region = exposed(Region::new(bytes, 64, Contents::Unknown));
        // SAFETY: the third word lies in the region, which nobody else uses.
        let third = unsafe { region.start().cast::<u64>().add(2).as_mut() };
        let users = NonNull::from(third);
        for pointer in [ours(users), within(region.start(), users)] {
            assert_eq!(pointer, users);
            // SAFETY: the word before and that behind it lie in the region, which `pointer`
            // reaches.
            unsafe {
                pointer.sub(1).write(pointer.add(1).read() + 1);
                pointer.write(7);
            }
        }
        assert_eq!(words, [0, 1, 7, 0, 0, 0, 0, 0]);
    }
}
