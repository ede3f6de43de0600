//! Explanations: why a request takes as many bytes as it does.

#![forbid(unsafe_code)]

use core::alloc::Layout;
use core::fmt;

use allotrope_core::parts::SizeClass;

use crate::route::{Route, Way};

/// Which way a request takes, and what it costs; by [`LocalHeap::explain`](crate::LocalHeap::explain).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What was asked about.
    pub layout: Layout,
    /// The route it takes.
    pub route: Route,
    /// The number of its size class, if one serves it.
    pub class: Option<usize>,
    /// How many bytes a block takes; `None` if there is none so large.
    pub extent: Option<usize>,
    /// How many of them nobody asked for.
    pub waste: usize,
}

impl Explanation {
    pub(crate) fn of(layout: Layout, way: Way) -> Self {
        let class = match way {
            Way::Small(class) => Some(SizeClass::index(class)),
            _ => None,
        };
        let extent = way.extent();
        let waste = extent.map_or(0, |extent| extent - layout.size());
        Self { layout, route: way.route(), class, extent, waste }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, align) = (self.layout.size(), self.layout.align());
        write!(formatter, "{size} bytes aligned to {align}: ")?;
        match self.route {
            Route::Empty => return write!(formatter, "no memory"),
            Route::Refused => return write!(formatter, "refused, no address space is so large"),
            Route::Small { .. } => {
                write!(formatter, "slabs, class {}", self.class.unwrap_or_default())?
            }
            Route::Medium { .. } => write!(formatter, "best fit over pages")?,
            Route::Large { .. } => write!(formatter, "an extent of its own")?,
        }
        write!(formatter, ", takes {} bytes ({} wasted)", size + self.waste, self.waste)
    }
}
