//! Spans: what users see of a best-fit strategy's memory.

use core::ptr::NonNull;

use super::area::Area;
use super::space::Run;
use crate::layout::granule::bytes_of;

/// A run of memory that is all used or all free; see [`BestFit::spans`](super::BestFit::spans).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Its first byte.
    pub start: NonNull<u8>,
    /// How many bytes it has.
    pub size: usize,
    /// Is it free?
    pub is_free: bool,
}

impl Span {
    pub(super) fn all_of(area: &Area) -> impl Iterator<Item = Self> {
        let end = Run { start: area.space.granules(), size: 0 };
        let mut from = 0;
        area.space
            .free_runs()
            .chain(core::iter::once(end))
            .flat_map(move |free| {
                let used = Run { start: from, size: free.start - from };
                from = free.end();
                [(used, false), (free, true)]
            })
            .filter(|(run, _)| run.size > 0)
            .map(|(run, is_free)| Self {
                // SAFETY: runs lie in the area.
                start: unsafe { area.address(run.start) },
                size: bytes_of(run.size),
                is_free,
            })
    }
}
