//! Six seeded families of traces.

use bench_kit::rng::Rng;
use bench_kit::trace::{Builder, Trace};

/// The families' names in the tables.
pub const NAMES: [&str; 6] =
    ["log-normal", "small-then-large", "powers of two +-1", "growing vecs", "bimodal", "phases"];

/// How a trace is made.
#[derive(Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    /// About how many operations it has.
    pub ops: usize,
    /// About how many blocks are live once it is warm.
    pub live: usize,
    /// Lets the live set grow without end instead (for the fill factor).
    pub grows: bool,
}

/// A trace of `NAMES[family]`.
pub fn make(family: usize, plan: Plan) -> Trace {
    let rng = Rng::new(plan.seed * 977 + family as u64);
    let mut maker = Maker { rng, trace: Builder::default(), held: Vec::new(), plan };
    match family {
        0 => maker.steady(|rng, _| rng.log_normal(90.0, 1.3, 8, 64 << 10)),
        1 => maker.small_then_large(),
        2 => maker.steady(|rng, _| (1usize << (4 + rng.below(9))) + rng.below(3) - 1),
        3 => maker.growing(),
        4 => maker.steady(|rng, _| match rng.below(20) {
            0 => (4 << 10) + rng.below(60 << 10),
            _ => 24 + rng.below(40),
        }),
        // The usual size changes every 20,000 operations.
        _ => maker.steady(|rng, i| {
            rng.log_normal([32.0, 1500.0, 96.0, 400.0][i / 20_000 % 4], 0.6, 8, 32 << 10)
        }),
    }
    maker.trace.finish(NAMES[family])
}

struct Maker {
    rng: Rng,
    trace: Builder,
    held: Vec<u32>,
    plan: Plan,
}

impl Maker {
    /// Frees a block: mostly a young one (lifetimes are exponential), now and then any.
    fn free_one(&mut self) {
        let n = self.held.len();
        let back = match self.rng.below(4) {
            0 => self.rng.below(n),
            _ => (self.rng.exp(n as f64 / 4.0) as usize).min(n - 1),
        };
        let slot = self.held.swap_remove(n - 1 - back);
        self.trace.free(slot);
    }

    /// Whether the next operation is to free.
    fn is_full(&mut self) -> bool {
        let keep = match (self.plan.grows, self.held.len() < self.plan.live) {
            (true, _) => 0.62,
            (false, true) => 0.75,
            (false, false) => 0.5,
        };
        !self.held.is_empty() && self.rng.unit() > keep
    }

    fn steady(&mut self, size: impl Fn(&mut Rng, usize) -> usize) {
        for i in 0..self.plan.ops {
            if self.is_full() {
                self.free_one();
            } else {
                let size = size(&mut self.rng, i);
                let align = if size >= 64 && self.rng.below(50) == 0 { 6 } else { 3 };
                self.held.push(self.trace.alloc(size, align));
            }
        }
    }

    /// Rounds of many small blocks, nine in ten of them freed at random, then large blocks that
    /// must find room between the rest.
    fn small_then_large(&mut self) {
        let Plan { ops, live, grows, .. } = self.plan;
        let batch = live.min(4000);
        let mut large = Vec::new();
        while self.trace.len() < ops {
            let mut small = Vec::new();
            for _ in 0..batch {
                let size = 16 + self.rng.below(112);
                small.push(self.trace.alloc(size, 3));
            }
            self.free_down_to(&mut small, batch / 10);
            self.held.append(&mut small);
            for _ in 0..40 {
                let size = 2048 + self.rng.below(14 << 10);
                large.push(self.trace.alloc(size, 4));
            }
            if !grows {
                self.free_down_to(&mut large, 120);
                let mut held = std::mem::take(&mut self.held);
                self.free_down_to(&mut held, live / 2);
                self.held = held;
            }
        }
    }

    /// Frees slots at random until `left` are left.
    fn free_down_to(&mut self, slots: &mut Vec<u32>, left: usize) {
        while slots.len() > left {
            let k = self.rng.below(slots.len());
            self.trace.free(slots.swap_remove(k));
        }
    }

    /// Vectors that double as they grow, and short strings between.
    fn growing(&mut self) {
        let mut vecs: Vec<(u32, usize, usize)> = Vec::new(); // slot, size now, final size
        while self.trace.len() < self.plan.ops {
            match self.rng.below(4) {
                0 if vecs.len() < 64 => {
                    let last = self.rng.log_normal(2000.0, 1.5, 128, 256 << 10);
                    vecs.push((self.trace.alloc(64, 3), 64, last));
                }
                1 if !vecs.is_empty() => {
                    let k = self.rng.below(vecs.len());
                    let (slot, now, last) = vecs[k];
                    if now >= last {
                        vecs.swap_remove(k);
                        self.held.push(slot);
                    } else {
                        vecs[k].1 = now * 2;
                        self.trace.realloc(slot, now * 2);
                    }
                }
                _ if self.is_full() => self.free_one(),
                _ => {
                    let size = self.rng.log_normal(24.0, 0.8, 1, 400);
                    self.held.push(self.trace.alloc(size, 0));
                }
            }
        }
    }
}
