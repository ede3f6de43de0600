//! The worst single operations in a buffer that is filled to a given level.
//!
//! The buffer is as long as makes the most that is ever live the level's share of it. Where a heap
//! has no room, the trace goes on without the block, and the refusal is counted apart. So are
//! reallocations, without what copying the block costs. The first request, with which a heap takes
//! possession of the buffer, is not counted.

use std::alloc::Layout;
use std::ptr::null_mut;

use bench_kit::op_meter::OpMeter;
use bench_kit::report::emit;
use bench_kit::trace::{Kind, Op, Trace};

use crate::PROGRAM;
use crate::contestants::Heap;
use crate::replay::Buffer;

/// Of how many hundredths of the buffer the live bytes are the peak.
pub const LEVELS: [usize; 5] = [25, 50, 75, 90, 97];

/// The instructions of every operation on all traces.
#[derive(Default)]
struct Costs {
    alloc: Vec<u64>,
    free: Vec<u64>,
    realloc: Vec<u64>,
    refused: Vec<u64>,
}

/// Prints the instructions of the worst operations on all traces, where they can be counted.
pub fn worst<H: Heap>(buffer: &mut Buffer, traces: &[Trace], level: usize) {
    let Some(meter) = OpMeter::new() else { return };
    let mut costs = Costs::default();
    for trace in traces {
        let len = (trace.peak_live() * 100 / level).next_multiple_of(4096).min(buffer.len());
        costs.add::<H>(&meter, buffer.heap(len), trace);
    }
    let Costs { alloc, free, realloc, refused } = costs;
    let kinds = [("alloc", alloc), ("free", free), ("realloc", realloc), ("refused", refused)];
    for (what, mut costs) in kinds {
        costs.sort_unstable();
        let Some(last) = costs.len().checked_sub(1) else { continue };
        let workload = format!("{level} % full, {what}");
        for (name, at) in [("p99.99", (last as f64 * 0.9999).round() as usize), ("max", last)] {
            let metric = format!("instr of one op, {name}");
            emit(PROGRAM, &workload, H::NAME, &metric, costs[at] as f64);
        }
    }
}

/// A block, if the slot has one.
#[derive(Clone, Copy)]
struct Held {
    block: *mut u8,
    layout: Layout,
}

const NOTHING: Held = Held { block: null_mut(), layout: Layout::new::<()>() };

impl Costs {
    fn add<H: Heap>(&mut self, meter: &OpMeter, mut heap: H, trace: &Trace) {
        let mut table = vec![NOTHING; trace.slots()];
        let layout = Layout::new::<u64>();
        // SAFETY: the size is not zero, and what is freed was allocated.
        unsafe {
            let block = heap.allocate(layout);
            heap.deallocate(block, layout);
        }
        for &op in trace.ops() {
            // SAFETY: the table is of this heap and trace, whose operations come in their order.
            unsafe { self.step(meter, &mut heap, op, &mut table[op.slot()]) };
        }
    }

    /// Performs one operation, and counts it.
    ///
    /// # Safety
    ///
    /// `held` is the operation's slot in the table of this heap, and holds its block or nothing.
    unsafe fn step<H: Heap>(&mut self, meter: &OpMeter, heap: &mut H, op: Op, held: &mut Held) {
        let old = *held;
        if op.kind() != Kind::Alloc && old.block.is_null() {
            return;
        }
        match op.kind() {
            Kind::Alloc => {
                // SAFETY: traces hold no empty blocks.
                let allocate = || unsafe { heap.allocate(op.layout()) };
                let (block, n) = meter.count(allocate);
                if block.is_null() { &mut self.refused } else { &mut self.alloc }.push(n);
                *held = Held { block, layout: op.layout() };
            }
            Kind::Free => {
                // SAFETY: the slot's block (caller), not used again.
                let free = || unsafe { heap.deallocate(old.block, old.layout) };
                let ((), n) = meter.count(free);
                self.free.push(n);
                *held = NOTHING;
            }
            Kind::Realloc => {
                let size = op.size();
                // SAFETY: the slot's block (caller), whose address is replaced below.
                let reallocate = || unsafe { heap.reallocate(old.block, old.layout, size) };
                let (block, n) = meter.count(reallocate);
                if block.is_null() {
                    return self.refused.push(n);
                }
                let copied = if block == old.block { 0 } else { old.layout.size().min(size) };
                self.realloc.push(n.saturating_sub(copy_cost(meter, copied)));
                // SAFETY: the heap served a size with this alignment.
                let layout = unsafe { Layout::from_size_align_unchecked(size, old.layout.align()) };
                *held = Held { block, layout };
            }
        }
    }
}

/// What copying so many bytes costs.
fn copy_cost(meter: &OpMeter, bytes: usize) -> u64 {
    let from = vec![1u8; bytes];
    let mut to = vec![0u8; bytes];
    let ((), n) = meter.count(|| to.copy_from_slice(std::hint::black_box(&from)));
    if bytes == 0 { 0 } else { n }
}
