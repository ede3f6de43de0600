//! Routes: which strategy serves which layout.
//!
//! A route is a pure function of the layout and of the policy's figures, so a block is freed the way
//! it came without a header that says so. Limits are inclusive and lie on sizes that blocks have, and
//! every size from the one that was asked for to the one that was returned takes the same route.

#![forbid(unsafe_code)]

use core::alloc::Layout;

use allotrope_core::parts::{Large, SizeClass};
use allotrope_core::{DefaultPolicy, Policy};

/// The size of the pages that heaps reckon in, in bytes: that of most systems.
pub(crate) const PAGE: usize = 4096;

/// What serves a layout, and how many bytes a block for it takes.
///
/// | with [`DefaultPolicy`] | at an alignment of | route | served by | extent |
/// |---|---|---|---|---|
/// | size 0 | any | `Empty` | an aligned address; no memory | 0 |
/// | up to 8 KiB, rounded up to the alignment | up to 8 KiB | `Small` | slabs of a size class | the class's size: less than a quarter more |
/// | up to 1 MiB | up to 1 MiB | `Medium` | best fit over pages | whole pages of 4 KiB |
/// | all others | all others | `Large` | an extent of its own, or pages where the source has one region | whole pages of 4 KiB |
/// | no address space could hold it | | `Refused` | nothing | |
///
/// The limits are [`Policy::LARGEST_CLASS`] and [`Policy::LARGEST_MEDIUM`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Route {
    /// A size of 0: no memory.
    Empty,
    /// A block of a size class.
    Small {
        /// The size in bytes of the class's blocks.
        block_size: usize,
    },
    /// Pages of the heap.
    Medium {
        /// How many bytes the block takes.
        extent: usize,
    },
    /// Pages of its own.
    Large {
        /// How many bytes the block takes.
        extent: usize,
    },
    /// No memory could hold it.
    Refused,
}

/// The strategies of a heap.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Strategy {
    /// Slabs of size classes: small blocks only.
    Slabs,
    /// Best fit over the heap's pages, whatever the size.
    BestFit,
    /// Extents straight from the source, whatever the size.
    Extents,
}

/// The route that a heap with the default policy takes for `layout`; see [`Route`] for a table.
///
/// ```
/// use std::alloc::Layout;
/// use allotrope_heap::{Route, route};
///
/// assert_eq!(route(Layout::new::<[u8; 100]>()), Route::Small { block_size: 112 });
/// const PICTURE: Route = route(Layout::new::<[u8; 100_000]>());
/// assert_eq!(PICTURE, Route::Medium { extent: 102_400 });
/// ```
pub const fn route(layout: Layout) -> Route {
    Way::of::<DefaultPolicy>(layout).route()
}

/// A route as the heap takes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Small(SizeClass),
    /// So many bytes of the heap's pages.
    Medium(usize),
    /// So many bytes of pages of its own.
    Large(usize),
    Empty,
    Refused,
}

impl Way {
    /// The way of a layout, by the policy's limits.
    #[inline(always)]
    pub(crate) const fn of<P: Policy>(layout: Layout) -> Self {
        match SizeClass::for_layout(layout, P::LARGEST_CLASS) {
            Some(class) => Self::Small(class),
            None => Self::unclassed::<P>(layout),
        }
    }

    /// The way of a layout that no class serves.
    #[inline(always)]
    pub(crate) const fn unclassed<P: Policy>(layout: Layout) -> Self {
        let size = layout.size();
        if size.wrapping_sub(1) < P::LARGEST_MEDIUM && layout.align() <= P::LARGEST_MEDIUM {
            return Self::Medium((size + PAGE - 1) & !(PAGE - 1));
        }
        Self::by(Strategy::Extents, layout)
    }

    /// The way of a layout by a strategy that somebody chose.
    pub(crate) const fn by(strategy: Strategy, layout: Layout) -> Self {
        if layout.size() == 0 {
            return Self::Empty;
        }
        match strategy {
            Strategy::Slabs => match SizeClass::for_layout(layout, SizeClass::LARGEST) {
                Some(class) => Self::Small(class),
                None => Self::Refused,
            },
            Strategy::BestFit => match Large::extent(layout) {
                Some(extent) if extent.div_ceil(PAGE) <= MOST_PAGES => Self::Medium(extent),
                _ => Self::Refused,
            },
            Strategy::Extents => match Large::extent(layout) {
                Some(extent) => Self::Large(extent),
                None => Self::Refused,
            },
        }
    }

    /// What users see of it.
    pub(crate) const fn route(self) -> Route {
        match self {
            Self::Empty => Route::Empty,
            Self::Small(class) => Route::Small { block_size: class.block_size() },
            Self::Medium(extent) => Route::Medium { extent },
            Self::Large(extent) => Route::Large { extent },
            Self::Refused => Route::Refused,
        }
    }

    /// How many bytes a block takes.
    pub(crate) const fn extent(self) -> Option<usize> {
        match self {
            Self::Empty => Some(0),
            Self::Small(class) => Some(class.block_size()),
            Self::Medium(extent) | Self::Large(extent) => Some(extent),
            Self::Refused => None,
        }
    }
}

/// No block is cut from a heap's pages that has more of them.
pub(crate) const MOST_PAGES: usize = 1 << 26;

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use allotrope_core::ClassicPolicy;

    fn extents_are_their_own<P: Policy>() {
        for align in (0..24).map(|shift| 1 << shift) {
            let limits = [0, 16, 1024, 4096, 8192, 128 << 10, 1 << 20, 1 << 22];
            for size in limits.into_iter().flat_map(|limit: usize| {
                (limit.saturating_sub(70)..limit + 70).chain([limit + 4096, limit * 3 / 2])
            }) {
                let Ok(layout) = Layout::from_size_align(size, align) else { continue };
                let way = Way::of::<P>(layout);
                let extent = way.extent().unwrap();
                assert!(extent >= size, "{layout:?}");
                let own = Layout::from_size_align(extent, align).unwrap();
                assert_eq!(Way::of::<P>(own), way, "{layout:?}");
            }
        }
    }

    #[test]
    fn every_size_that_fits_takes_the_same_route() {
        extents_are_their_own::<DefaultPolicy>();
        extents_are_their_own::<ClassicPolicy>();
    }

    #[test]
    fn limits_are_inclusive() {
        let at = |size, align| route(Layout::from_size_align(size, align).unwrap());
        assert_eq!(at(0, 64), Route::Empty);
        assert_eq!(at(8192, 8192), Route::Small { block_size: 8192 });
        assert_eq!(at(8193, 1), Route::Medium { extent: 12_288 });
        assert_eq!(at(1, 16_384), Route::Medium { extent: 4096 });
        assert_eq!(at(1 << 20, 1 << 20), Route::Medium { extent: 1 << 20 });
        assert_eq!(at((1 << 20) + 1, 1), Route::Large { extent: (1 << 20) + 4096 });
        assert_eq!(at(1, 1 << 21), Route::Large { extent: 4096 });
        assert_eq!(at(isize::MAX as usize, 1), Route::Refused);
    }
}
