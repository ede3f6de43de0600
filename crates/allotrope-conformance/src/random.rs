//! SplitMix64: small, and the same sequence on every machine.

#![forbid(unsafe_code)]

/// A stream of numbers that one seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `limit`, and 0 where `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // The high half of the product is as good as a remainder, and costs no division.
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// True `percent` times out of a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// SplitMix64's finalizer: every bit of the result depends on every bit of `word`.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let mut seen = [false; 7];
        for _ in 0..200 {
            seen[random.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_seed_determines_the_sequence() {
        let (mut one, mut other) = (Random::new(9), Random::new(9));
        assert!((0..100).all(|_| one.next() == other.next()));
    }
}
