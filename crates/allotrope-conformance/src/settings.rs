//! What a suite is asked to do.

#![forbid(unsafe_code)]

use std::env;

/// The figures and switches of a suite; see the methods of [`Suite`](crate::Suite).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Vec<usize>,
    pub(crate) max_size: usize,
    pub(crate) max_align: usize,
    pub(crate) max_live: usize,
    pub(crate) max_live_bytes: usize,
    pub(crate) sweeps: bool,
    pub(crate) steps: usize,
    /// Beside a limit, sizes are swept in such steps.
    pub(crate) size_step: usize,
    /// Alignments are swept in such steps of their powers.
    pub(crate) align_step: usize,
    /// Of a fits range, a sweep takes so many sizes, or few more.
    pub(crate) excesses: usize,
    pub(crate) seeds: Vec<u64>,
    /// After how many steps of a case invariants are checked each time, and after every how many
    /// further ones.
    pub(crate) checked_steps: (u64, u64),
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
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            max_size: pick(128 << 10, 16 << 10, 2 << 10),
            max_align: pick(4096, 4096, 64),
            max_live: pick(400, 200, 20),
            max_live_bytes: pick(16 << 20, 1 << 20, 64 << 10),
            sweeps: true,
            steps: pick(10_000, 500, 150),
            size_step: sample(1, 16),
            align_step: sample(1, 6),
            excesses: sample(256, 2),
            seeds: pick(vec![1, 2, 3, 4], vec![1], vec![1]),
            checked_steps: (0, u64::MAX),
            bytes_limits: pick(vec![4 << 10, 64 << 10, 1 << 20], vec![64 << 10], vec![4 << 10]),
            failing_calls: pick(100, 10, 4),
            threads: pick(4, 4, 2),
            short_lives: pick(2_000, 50, 8),
            fills_again: false,
            only_from_upstream: false,
            gives_all_back: true,
            impossible_requests: true,
            trace: false,
        }
    }
}

/// What suits this machine: one emulated by software is some ten or twenty times slower, which
/// `ALLOTROPE_EMULATED` in the environment says, and Miri some hundred times.
///
/// Of the sweeps, which take most of the time, an emulated machine does a hundredth or so: a third of
/// the limits, three alignments, a tenth of the sizes beside a limit (all calls at it, next to it, and
/// at both ends), and the ends of each fits range with a size between. What depends on a size
/// alone the unit tests of the arithmetic go through on every machine. All scripts and scenarios of
/// threads are made, with one seed, smaller blocks and fewer calls.
fn pick<T>(usual: T, emulated: T, miri: T) -> T {
    if cfg!(miri) {
        miri
    } else if env::var_os("ALLOTROPE_EMULATED").is_some() {
        emulated
    } else {
        usual
    }
}

/// What of the sweeps is done: all, or a sample, on an emulated machine and where
/// `ALLOTROPE_SAMPLED` in the environment says so: under sanitizers, which find the bugs of one call
/// in one of its kind.
fn sample(all: usize, sampled: usize) -> usize {
    let all = if env::var_os("ALLOTROPE_SAMPLED").is_some() { sampled } else { all };
    pick(all, sampled, all)
}

impl Settings {
    /// The limits that a user named, and every power of two: an allocator's own limits are likely
    /// to be among those.
    pub(crate) fn all_limits(&self) -> Vec<usize> {
        let step = pick(1, 3, 4);
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
        (0..=self.max_align.max(1).ilog2()).step_by(self.align_step).map(|shift| 1 << shift)
    }
}
