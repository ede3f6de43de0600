//! How much of a buffer a heap can use: fill factors and smallest buffers.

use bench_kit::report::{emit, left_out, missing};
use bench_kit::trace::Trace;

use crate::PROGRAM;
use crate::contestants::Heap;
use crate::replay::{Buffer, PATIENCE, Stop, replay, table_of};

const TOO_SLOW: &str = "it takes too long";
const TOO_SMALL: &str = "the whole buffer is too small";

/// Prints live payload over buffer size at the first failure, for traces that only grow.
pub fn fill<H: Heap>(buffer: &mut Buffer, len: usize, traces: &[Trace]) {
    if H::UNBOUNDED {
        return;
    }
    let name = traces[0].name();
    let metric = "fill factor at first failure";
    let mut sum = 0.0;
    for trace in traces {
        let mut heap: H = buffer.heap(len);
        match replay(&mut heap, trace, &mut table_of(trace), 2 * PATIENCE) {
            Err(Stop::Full { live }) => sum += live as f64 / len as f64,
            Err(Stop::TooSlow) => return left_out(PROGRAM, name, H::NAME, TOO_SLOW),
            Ok(()) => panic!("{name} never filled the buffer"),
        }
    }
    emit(PROGRAM, name, H::NAME, metric, sum / traces.len() as f64);
}

/// Prints the smallest buffer that completes the trace, over the trace's peak of live bytes.
pub fn smallest<H: Heap>(buffer: &mut Buffer, trace: &Trace) {
    if H::UNBOUNDED {
        return;
    }
    match smallest_len::<H>(buffer, trace) {
        Ok(Some(len)) => {
            let ratio = len as f64 / trace.peak_live() as f64;
            emit(PROGRAM, trace.name(), H::NAME, "smallest buffer / peak live bytes", ratio);
        }
        Ok(None) if H::WASTEFUL => left_out(PROGRAM, trace.name(), H::NAME, TOO_SMALL),
        Ok(None) => missing(PROGRAM, trace.name(), H::NAME, TOO_SMALL),
        Err(TooSlow) => left_out(PROGRAM, trace.name(), H::NAME, TOO_SLOW),
    }
}

struct TooSlow;

/// By steps of a quarter up from the peak of live bytes, then by halves down; in whole pages.
fn smallest_len<H: Heap>(buffer: &mut Buffer, trace: &Trace) -> Result<Option<usize>, TooSlow> {
    let (peak, most) = (trace.peak_live(), buffer.len());
    let mut table = table_of(trace);
    let mut fits = |len| match replay(&mut buffer.heap::<H>(len), trace, &mut table, PATIENCE) {
        Ok(()) => Ok(true),
        Err(Stop::Full { .. }) => Ok(false),
        Err(Stop::TooSlow) => Err(TooSlow),
    };
    let (mut low, mut high) = (peak, (peak + peak / 4 + 65536).min(most) & !4095);
    while !fits(high)? {
        if high == most {
            return Ok(None);
        }
        (low, high) = (high, (high + high / 4).min(most) & !4095);
    }
    while high - low > peak / 500 && high - low > 4096 {
        let middle = (low + (high - low) / 2) & !4095;
        if fits(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(Some(high))
}
