//! The longer story: who owns what, and a page for each structure.

#[doc = include_str!("../docs/ownership.md")]
pub mod ownership {}

#[doc = include_str!("../docs/budget.md")]
pub mod budget {}

#[doc = include_str!("../docs/side_table.md")]
pub mod side_table {}

#[doc = include_str!("../docs/slots.md")]
pub mod slots {}

#[doc = include_str!("../docs/spin_lock.md")]
pub mod spin_lock {}

#[doc = include_str!("../docs/occupancy.md")]
pub mod occupancy {}

#[doc = include_str!("../docs/stacks.md")]
pub mod stacks {}

#[doc = include_str!("../docs/growth.md")]
pub mod growth {}

#[doc = include_str!("../docs/segments.md")]
pub mod segments {}
