//! What the heaps and arenas of allotrope are made of, besides the strategies: for `allotrope-heap` and
//! `allotrope-scope` alone, and no part of what this crate promises.

pub use crate::hook::Log;
pub use crate::layout::area::edges_size;
pub use crate::layout::granule::BlockSize;
pub use crate::layout::size_class::SizeClass;
pub use crate::policy::ValidPolicy;
pub use crate::source::provenance::{exposed, ours};
pub use crate::source::{Firm, release_clean, reserve_ahead};
pub use crate::strategy::{Edges, Large, NONE, Run, Space, Table, carry_over, dangling};
