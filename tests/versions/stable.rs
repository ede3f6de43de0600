//! What stable Rust knows: three versions, and no container of std that takes an allocator.

use allotrope_core::compat::{From02, From03, From04};

use crate::Guest;

/// Every version of `Allocator` that the compiler knows.
pub trait EveryVersion:
    allocator_api2::alloc::Allocator
    + allocator_api2_03::alloc::Allocator
    + allocator_api2_04::alloc::Allocator
{
}

impl<A> EveryVersion for A where
    A: allocator_api2::alloc::Allocator
        + allocator_api2_03::alloc::Allocator
        + allocator_api2_04::alloc::Allocator
{
}

/// None.
pub fn guests<A: EveryVersion>(_: &A) -> Vec<Box<dyn Guest + '_>> {
    Vec::new()
}

/// Every wrapper: each is asked in the version that the next one speaks.
pub type Chain<A> = From03<From04<From02<A>>>;

/// `allocator` in every wrapper.
pub fn chain<A>(allocator: A) -> Chain<A> {
    From03::new(From04::new(From02::new(allocator)))
}

/// The allocator in a chain.
pub fn inside<A>(chain: &Chain<A>) -> &A {
    chain.allocator().allocator().allocator()
}
