//! One case: a new upstream, a new allocator over it, a script, and the checks at the end.

#![forbid(unsafe_code)]

use std::alloc::Layout;
use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocator_api2::alloc::Allocator;

use crate::operation::Operation;
use crate::promise::{Broken, Promise};
use crate::runner::{Runner, Scene, Tally};
use crate::settings::Settings;
use crate::subject::Subject;
use crate::upstream::{Conditions, TestUpstream};

/// What a case found.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Broken>,
    pub(crate) tally: Tally,
    pub(crate) operations: Vec<Operation>,
    /// How many calls reached the upstream, and how many of these it refused.
    pub(crate) upstream_calls: u64,
    pub(crate) upstream_refusals: u64,
}

/// Runs `script` against a new allocator of `subject`.
///
/// `refill` is a size that has to be served once everything was freed.
pub(crate) fn run_case<S: Subject>(
    subject: &S,
    settings: &Settings,
    conditions: Conditions,
    refill: Option<usize>,
    script: &mut dyn FnMut(&mut Runner<'_>) -> Result<(), Broken>,
) -> Outcome {
    let upstream = TestUpstream::new(conditions);
    let allocator = subject.make(&upstream);
    upstream.arm();
    let invariants = || subject.check(&allocator);
    let scene =
        Scene { allocator: &allocator, invariants: &invariants, upstream: &upstream, settings };
    let mut runner = Runner::new(scene);
    runner.record = Some(Vec::new());
    let run = AssertUnwindSafe(|| {
        script(&mut runner)?;
        runner.free_all()?;
        settled(subject, &allocator)?;
        refill.map_or(Ok(()), |size| fills_again(&allocator, size))
    });
    let mut result = catch_unwind(run).unwrap_or_else(|payload| Err(unwound(payload)));
    let tally = runner.tally;
    let operations = mem::take(&mut runner.record).unwrap_or_default();
    if result.is_ok() {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(allocator)));
        result = dropped.map_err(unwound).and_then(|()| upstream.fault());
        result = result.and_then(|()| upstream.check_guards());
        if settings.gives_all_back {
            result = result.and_then(|()| upstream.check_settled());
        }
    } else {
        // A broken allocator may crash while it drops; what it holds is lost to the process.
        mem::forget(allocator);
    }
    Outcome {
        result,
        tally,
        operations,
        upstream_calls: upstream.calls(),
        upstream_refusals: upstream.refusals(),
    }
}

/// Checks that nothing is in use of an allocator whose blocks are all freed.
pub(crate) fn settled<S: Subject>(subject: &S, allocator: &S::Allocator<'_>) -> Result<(), Broken> {
    match subject.bytes_used(allocator) {
        None | Some(0) => Ok(()),
        Some(bytes) => {
            let detail = format!("all blocks are freed, but {bytes} bytes are in use");
            Err(Broken::new(Promise::NothingInUse, detail))
        }
    }
}

/// The largest size that a new allocator serves, where it is one that ends.
pub(crate) fn largest_block<S: Subject>(subject: &S, conditions: Conditions) -> Option<usize> {
    let upstream = TestUpstream::new(conditions);
    let allocator = subject.make(&upstream);
    upstream.arm();
    let (mut served, mut refused) = (0, 1);
    while try_size(&allocator, refused) {
        (served, refused) = (refused, refused * 2);
        if refused > LARGEST_PROBED {
            return None;
        }
    }
    while refused - served > 1 {
        let middle = served + (refused - served) / 2;
        *(if try_size(&allocator, middle) { &mut served } else { &mut refused }) = middle;
    }
    Some(served)
}

/// Where the search for the largest block gives up.
const LARGEST_PROBED: usize = 1 << (if usize::BITS == 64 { 32 } else { 30 });

fn fills_again(allocator: &dyn Allocator, size: usize) -> Result<(), Broken> {
    if try_size(allocator, size) {
        return Ok(());
    }
    let detail =
        format!("everything is free, but {size} bytes, which were served at first, are refused");
    Err(Broken::new(Promise::FillsAgain, detail))
}

fn try_size(allocator: &dyn Allocator, size: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(size, 1) else { return false };
    crate::probe::serves(allocator, layout)
}

/// A panic of the allocator, as a broken promise.
pub(crate) fn unwound(payload: Box<dyn Any + Send>) -> Broken {
    let message = payload
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with a payload that is no text".to_owned());
    Broken::new(Promise::Returns, format!("the allocator panicked: {message}"))
}
