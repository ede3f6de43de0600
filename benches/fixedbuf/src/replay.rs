//! Replaying a trace on a heap, and how much that costs.
//!
//! # Invariants
//!
//! 1. A slot of a table that its trace has filled and not emptied holds a block of the heap it is
//!    replayed on, with the size it was allocated with, both ends of it tagged with the slot.

use std::ptr::null_mut;
use std::time::{Duration, Instant};

use bench_kit::count::{Meter, Sample};
use bench_kit::rounds::Outcome;
use bench_kit::trace::{Kind, Op, Trace};

use crate::contestants::Heap;

/// A populated mapping that all heaps get in turn.
pub struct Buffer {
    start: *mut u8,
    len: usize,
}

impl Buffer {
    /// A buffer that is never given back.
    pub fn new(len: usize) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let start = unsafe { libc::mmap(null_mut(), len, access, flags, -1, 0) };
        assert!(start != libc::MAP_FAILED, "no buffer of {len} bytes");
        Buffer { start: start.cast(), len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// A new heap in the first `len` bytes; no other heap in this buffer is used again.
    pub fn heap<H: Heap>(&mut self, len: usize) -> H {
        assert!(len <= self.len);
        // SAFETY: the bytes are mapped for good and aligned to a page, and by `&mut self` this
        // thread alone uses them; the heap made before is not used again (all callers are here).
        unsafe { H::new(self.start, len) }
    }
}

/// Why a replay ended early.
pub enum Stop {
    Full {
        /// Bytes live when there was no room.
        live: usize,
    },
    TooSlow,
}

/// What the replay knows of the block in a slot.
#[derive(Clone, Copy)]
pub struct Held {
    block: *mut u8,
    size: u32,
}

/// One [`Held`] for every slot of a trace.
pub fn table_of(trace: &Trace) -> Vec<Held> {
    vec![Held { block: null_mut(), size: 0 }; trace.slots()]
}

/// Performs one operation; false when there is no room. Both ends of a block are written, and its
/// first byte is checked when it is freed.
///
/// # Safety
///
/// `held` is the operation's slot in the table of a trace that is replayed on this heap from its
/// first operation, and this is the trace's next operation.
#[inline(always)]
pub unsafe fn step<H: Heap>(heap: &mut H, op: Op, held: &mut Held) -> bool {
    let tag = op.slot() as u8;
    let block = match op.kind() {
        Kind::Free => {
            // SAFETY: invariant 1; a trace frees only what it filled.
            let first = unsafe { held.block.read() };
            assert!(first == tag, "{}: a block was overwritten", H::NAME);
            // SAFETY: as above; the slot counts as empty from here on.
            unsafe { heap.deallocate(held.block, op.layout_of(held.size)) };
            return true;
        }
        // SAFETY: traces hold no empty blocks.
        Kind::Alloc => unsafe { heap.allocate(op.layout()) },
        // SAFETY: invariant 1; the old block's address is overwritten below.
        Kind::Realloc => unsafe { heap.reallocate(held.block, op.layout_of(held.size), op.size()) },
    };
    if block.is_null() {
        return false;
    }
    // SAFETY: the heap promises a block of `op.size()` bytes, which is not zero.
    unsafe {
        block.add(op.size() - 1).write(tag);
        block.write(tag);
    }
    *held = Held { block, size: op.size() as u32 };
    true
}

/// Replays the whole trace. A `SLOW` heap may take `patience`.
pub fn replay<H: Heap>(
    heap: &mut H,
    trace: &Trace,
    table: &mut [Held],
    patience: Duration,
) -> Result<(), Stop> {
    let started = Instant::now();
    for (i, &op) in trace.ops().iter().enumerate() {
        // SAFETY: the loop performs the trace's operations in their order.
        if !unsafe { step(heap, op, &mut table[op.slot()]) } {
            return Err(Stop::Full { live: live_before(trace, i) });
        }
        if H::SLOW && i & 63 == 0 && started.elapsed() > patience {
            return Err(Stop::TooSlow);
        }
    }
    Ok(())
}

/// Bytes live before operation `at`.
fn live_before(trace: &Trace, at: usize) -> usize {
    let mut held = vec![0usize; trace.slots()];
    for op in &trace.ops()[..at] {
        held[op.slot()] = op.live();
    }
    held.iter().sum()
}

/// Frees what an unbounded heap still holds after the whole trace was replayed on it.
pub fn sweep<H: Heap>(heap: &mut H, trace: &Trace, table: &[Held]) {
    if !H::UNBOUNDED {
        return;
    }
    let mut last = vec![None; trace.slots()];
    for &op in trace.ops() {
        last[op.slot()] = (op.kind() != Kind::Free).then_some(op);
    }
    for (held, op) in table.iter().zip(last) {
        let Some(op) = op else { continue };
        // SAFETY: invariant 1: the trace filled this slot and did not empty it.
        unsafe { heap.deallocate(held.block, op.layout_of(held.size)) };
    }
}

/// How long a `SLOW` heap may take for one replay.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The cost of `times` replays.
pub fn throughput<H: Heap>(
    meter: &Meter,
    buffer: &mut Buffer,
    trace: &Trace,
    times: usize,
) -> Outcome {
    let mut table = table_of(trace);
    let mut total = Sample::default();
    for _ in 0..times {
        let mut heap: H = buffer.heap(buffer.len());
        std::hint::black_box(&mut heap);
        let (result, part) = meter.measure(|| replay(&mut heap, trace, &mut table, PATIENCE));
        match result {
            Err(Stop::TooSlow) => return Outcome::TooSlow,
            Err(Stop::Full { .. }) => return Outcome::OutOfMemory,
            Ok(()) => {}
        }
        sweep(&mut heap, trace, &table);
        total += part;
    }
    Outcome::Done(times * trace.ops().len(), total)
}
