//! The calls that the suite makes, as data: recorded, replayed, removed one by one.

#![forbid(unsafe_code)]

use std::alloc::Layout;
use std::fmt;

/// One call to the allocator under test.
///
/// Blocks are named by number, in the order of their allocation. A call on a block that is not
/// live is skipped, so that any subsequence of a list of calls is a legal list.
///
/// `excess` says with which size a block is freed, grown or shrunk: that many bytes more than was
/// requested, and never more than was returned. All these sizes fit the block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// `allocate` or `allocate_zeroed`.
    Allocate {
        /// The number that the block gets.
        block: u32,
        /// What is asked for.
        layout: Layout,
        /// Whether it is `allocate_zeroed`.
        zeroed: bool,
    },
    /// `deallocate`.
    Deallocate {
        /// Which block.
        block: u32,
        /// How much above the requested size it is freed with.
        excess: usize,
    },
    /// `grow` or `grow_zeroed`; the size is raised to that of the old layout where it is below.
    Grow {
        /// Which block.
        block: u32,
        /// How much above the requested size the old layout is.
        excess: usize,
        /// What is asked for.
        layout: Layout,
        /// Whether it is `grow_zeroed`.
        zeroed: bool,
    },
    /// `shrink`; the size is lowered to that of the old layout where it is above.
    Shrink {
        /// Which block.
        block: u32,
        /// How much above the requested size the old layout is.
        excess: usize,
        /// What is asked for.
        layout: Layout,
    },
}

impl Operation {
    /// The number of the block that the call is about.
    pub const fn block(&self) -> u32 {
        match *self {
            Self::Allocate { block, .. }
            | Self::Deallocate { block, .. }
            | Self::Grow { block, .. }
            | Self::Shrink { block, .. } => block,
        }
    }

    /// The number, to be changed.
    pub(crate) fn block_mut(&mut self) -> &mut u32 {
        match self {
            Self::Allocate { block, .. }
            | Self::Deallocate { block, .. }
            | Self::Grow { block, .. }
            | Self::Shrink { block, .. } => block,
        }
    }

    /// The excess, where the call has one.
    pub(crate) fn excess_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Allocate { .. } => None,
            Self::Deallocate { excess, .. }
            | Self::Grow { excess, .. }
            | Self::Shrink { excess, .. } => Some(excess),
        }
    }

    /// The layout asked for, where the call asks for one.
    pub(crate) fn layout_mut(&mut self) -> Option<&mut Layout> {
        match self {
            Self::Deallocate { .. } => None,
            Self::Allocate { layout, .. }
            | Self::Grow { layout, .. }
            | Self::Shrink { layout, .. } => Some(layout),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Allocate { block, layout, zeroed } => {
                write!(formatter, "b{block} = allocate{}({})", suffix(zeroed), Shown(layout))
            }
            Self::Deallocate { block, excess } => {
                write!(formatter, "deallocate(b{block}{})", With(excess))
            }
            Self::Grow { block, excess, layout, zeroed } => write!(
                formatter,
                "b{block} = grow{}(b{block}{}, to {})",
                suffix(zeroed),
                With(excess),
                Shown(layout)
            ),
            Self::Shrink { block, excess, layout } => {
                write!(
                    formatter,
                    "b{block} = shrink(b{block}{}, to {})",
                    With(excess),
                    Shown(layout)
                )
            }
        }
    }
}

fn suffix(zeroed: bool) -> &'static str {
    if zeroed { "_zeroed" } else { "" }
}

/// A layout as a reader wants it.
pub(crate) struct Shown(pub(crate) Layout);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "size {}, align {}", self.0.size(), self.0.align())
    }
}

/// The excess of an old layout, which is not worth a word where there is none.
struct With(usize);

impl fmt::Display for With {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            usize::MAX => write!(formatter, " with its returned size"),
            excess => write!(formatter, " with its requested size + {excess}"),
        }
    }
}
