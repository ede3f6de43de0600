//! What a suite is asked to do.

#![forbid(unsafe_code)]

/// The figures and switches of a suite; see the methods of [`Suite`](crate::Suite).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Vec<usize>,
    pub(crate) max_size: usize,
    pub(crate) max_align: usize,
    pub(crate) max_live: usize,
    pub(crate) max_live_bytes: usize,
    pub(crate) steps: usize,
    pub(crate) seeds: Vec<u64>,
    pub(crate) bytes_limits: Vec<usize>,
    pub(crate) failing_calls: u64,
    pub(crate) threads: usize,
    pub(crate) short_lives: usize,
    pub(crate) fills_again: bool,
    pub(crate) only_from_upstream: bool,
    pub(crate) gives_all_back: bool,
    pub(crate) impossible_requests: bool,
    pub(crate) trace: bool,
}

impl Default for Settings {
    /// Miri runs the same suite some hundred times slower.
    fn default() -> Self {
        let miri = cfg!(miri);
        Self {
            limits: Vec::new(),
            max_size: if miri { 2 << 10 } else { 128 << 10 },
            max_align: if miri { 64 } else { 4096 },
            max_live: if miri { 20 } else { 400 },
            max_live_bytes: if miri { 64 << 10 } else { 16 << 20 },
            steps: if miri { 150 } else { 10_000 },
            seeds: if miri { vec![1] } else { vec![1, 2, 3, 4] },
            bytes_limits: if miri { vec![4 << 10] } else { vec![4 << 10, 64 << 10, 1 << 20] },
            failing_calls: if miri { 4 } else { 100 },
            threads: if miri { 2 } else { 4 },
            short_lives: if miri { 8 } else { 2_000 },
            fills_again: false,
            only_from_upstream: false,
            gives_all_back: true,
            impossible_requests: true,
            trace: false,
        }
    }
}

impl Settings {
    /// The limits that a user named, and every power of two: an allocator's own limits are likely
    /// to be among those.
    pub(crate) fn all_limits(&self) -> Vec<usize> {
        let step = if cfg!(miri) { 4 } else { 1 };
        let powers = (4..usize::BITS).step_by(step).map(|shift| 1 << shift);
        let mut limits: Vec<usize> = powers
            .chain(self.limits.iter().copied())
            .filter(|&size| size <= self.max_size)
            .collect();
        limits.sort_unstable();
        limits.dedup();
        limits
    }

    /// Every alignment that is asked for.
    pub(crate) fn aligns(&self) -> impl Iterator<Item = usize> + use<> {
        (0..=self.max_align.max(1).ilog2()).map(|shift| 1 << shift)
    }
}
