//! The targets by name.

pub mod arena;
pub mod best_fit;
pub mod composition;
pub mod heap;
pub mod layout;
pub mod pool;
pub mod segregated;

use crate::calls::Verdict;

/// Takes any bytes, and says what they show to be wrong.
pub type Target = fn(&[u8]) -> Verdict;

/// Every target, each of the name of its file.
pub const TARGETS: &[(&str, Target)] = &[
    ("arena", arena::run),
    ("best_fit", best_fit::run),
    ("composition", composition::run),
    ("heap", heap::run),
    ("layout", layout::run),
    ("pool", pool::run),
    ("segregated", segregated::run),
];

/// The target called `name`.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
