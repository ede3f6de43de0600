//! The limit of pools that threads share: one 64-bit compare-and-swap each way.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const INDEX: u64 = 0xFFFF_FFFF;
const TAG: u64 = 1 << 32;

/// Treiber's stack of indices, with a tag against ABA.
#[derive(Debug)]
pub struct LimitTreiber {
    /// Tag and one more than the first free index; 0 means none.
    head: AtomicU64,
    next: Box<[AtomicUsize]>,
}

impl LimitTreiber {
    /// A stack of the indices below `capacity`.
    pub fn new(capacity: usize) -> Self {
        let next = |i| AtomicUsize::new(if i + 1 < capacity { i + 2 } else { 0 });
        LimitTreiber { head: AtomicU64::new(1), next: (0..capacity).map(next).collect() }
    }

    /// Takes an index.
    #[inline(always)]
    pub fn pop(&self) -> Option<usize> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let first = (head & INDEX) as usize;
            if first == 0 {
                return None;
            }
            let next = self.next[first - 1].load(Ordering::Relaxed) as u64;
            let new = (head & !INDEX).wrapping_add(TAG) | next;
            match self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(first - 1),
                Err(now) => head = now,
            }
        }
    }

    /// Gives an index back.
    #[inline(always)]
    pub fn push(&self, index: usize) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            self.next[index].store((head & INDEX) as usize, Ordering::Relaxed);
            let new = (head & !INDEX).wrapping_add(TAG) | (index as u64 + 1);
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}
