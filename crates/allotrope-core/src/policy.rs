//! Policies: the figures that strategies go by, as types.

use core::marker::PhantomData;

use crate::layout::size_class::SizeClass;

/// The figures that a strategy goes by.
///
/// Change one by a type of your own:
///
/// ```
/// use allotrope_core::{FixedSize, OsPages, Policy};
///
/// /// Small steps, for many small pools.
/// struct Frugal;
/// impl Policy for Frugal {
///     const CHUNK_SIZE: usize = 4096;
///     const GROWTH_SIZE: usize = 16 * 1024;
/// }
///
/// let pool: FixedSize<64, OsPages, Frugal> = FixedSize::with_policy(OsPages::new());
/// ```
///
/// Figures that contradict each other do not compile:
///
/// ```compile_fail,E0080
/// # use allotrope_core::{FixedSize, OsPages, Policy};
/// struct Odd;
/// impl Policy for Odd {
///     const CHUNK_SIZE: usize = 3000;
/// }
/// let pool: FixedSize<64, OsPages, Odd> = FixedSize::with_policy(OsPages::new());
/// ```
pub trait Policy {
    /// The size in bytes of the chunks that strategies of uniform blocks take from a region; a
    /// power of two.
    const CHUNK_SIZE: usize = 64 * 1024;

    /// How many bytes a strategy asks its source for at least, or commits at once; the more it
    /// holds already, the more it asks for. Strategies of uniform blocks begin with one chunk, and
    /// double up to this.
    const GROWTH_SIZE: usize = 1024 * 1024;

    /// The most bytes of address space that a strategy reserves at once beyond what it needs, where
    /// a source reserves ahead at all (`OsPages` on 64-bit targets): it begins with less
    /// than four times [`GROWTH_SIZE`](Self::GROWTH_SIZE), goes on with 256 times that, and then takes
    /// sixteen times what it holds. What is not to be had is halved until it is.
    const RESERVE_SIZE: usize = 1 << (if usize::BITS == 64 { 34 } else { 20 });

    /// The size in bytes of the largest blocks that [`Segregated`](crate::Segregated) cuts from its
    /// slabs, a class size: a power of two from 16 to 8192, or a quarter, a half or three quarters
    /// more. What is larger gets a region of its own.
    const LARGEST_CLASS: usize = 8 * 1024;

    /// The size in bytes of the largest blocks that a heap cuts from the pages it holds: a multiple
    /// of 4096. What is larger, or aligned to more, gets pages of its own.
    const LARGEST_MEDIUM: usize = 1024 * 1024;
}

/// A policy whose figures agree with each other.
///
/// The check is an inherent constant of a type that is ours, because a constant of [`Policy`] would
/// be the user's to replace. Every constructor of what goes by a policy evaluates it; `unsafe` code
/// rests on that.
///
/// It is exported for `allotrope-heap` alone.
#[derive(Debug)]
pub struct ValidPolicy<P>(PhantomData<fn() -> P>);

impl<P: Policy> ValidPolicy<P> {
    /// Fails to compile where the figures contradict each other.
    pub const CHECKED: () = {
        assert!(P::CHUNK_SIZE.is_power_of_two(), "CHUNK_SIZE is not a power of two");
        assert!(P::CHUNK_SIZE >= 256, "CHUNK_SIZE leaves no room for blocks");
        assert!(SizeClass::is_block_size(P::LARGEST_CLASS), "LARGEST_CLASS is no class size");
        assert!(P::LARGEST_MEDIUM % 4096 == 0, "LARGEST_MEDIUM is no whole number of pages");
        assert!(P::LARGEST_MEDIUM >= P::LARGEST_CLASS, "LARGEST_MEDIUM is below LARGEST_CLASS");
        assert!(P::LARGEST_MEDIUM <= 1 << 30, "LARGEST_MEDIUM exceeds 1 GiB");
        assert!(P::GROWTH_SIZE >= P::CHUNK_SIZE, "GROWTH_SIZE is less than a chunk");
        assert!(P::RESERVE_SIZE >= P::GROWTH_SIZE, "RESERVE_SIZE is less than GROWTH_SIZE");
        assert!(P::RESERVE_SIZE <= isize::MAX as usize, "RESERVE_SIZE exceeds any region");
    };
}

/// What measures best.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {}

/// The figures of the small C++ allocators that this project grew from: chunks of 64 KiB, growth
/// by 1 MiB and nothing reserved beyond it, blocks of up to 4 KiB from slabs, of 128 KiB and more from
/// the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassicPolicy;

impl Policy for ClassicPolicy {
    const CHUNK_SIZE: usize = 64 * 1024;
    const GROWTH_SIZE: usize = 1024 * 1024;
    const RESERVE_SIZE: usize = 1024 * 1024;
    const LARGEST_CLASS: usize = 4 * 1024;
    const LARGEST_MEDIUM: usize = 124 * 1024;
}

const _: () = (ValidPolicy::<DefaultPolicy>::CHECKED, ValidPolicy::<ClassicPolicy>::CHECKED).0;
