//! talc for one thread, over the system allocator.

use std::alloc::System;

use bench_kit::compat::From04;
use talc::TalcCell;
use talc::source::GlobalAllocSource;

use crate::contestants::Home;

pub struct Contestant(TalcCell<GlobalAllocSource<System>>);

impl Home for Contestant {
    const NAME: &'static str = "talc";
    type Handle<'a> = From04<'a, TalcCell<GlobalAllocSource<System>>>;

    fn new() -> Self {
        Contestant(TalcCell::new(GlobalAllocSource::new(System)))
    }

    fn handle(&self) -> Self::Handle<'_> {
        From04(&self.0)
    }
}
