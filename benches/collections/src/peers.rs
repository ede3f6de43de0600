//! The system allocator, the arenas, talc, and the limit.

use std::alloc::System;

use bench_kit::compat::{From04, FromGlobal, Limit};
use bench_kit::limit::LimitBump;
use talc::TalcCell;
use talc::source::GlobalAllocSource;

use crate::contestants::Home;

pub struct SystemHandle;

impl Home for SystemHandle {
    const NAME: &'static str = "system";
    type Handle<'a> = FromGlobal<&'static System>;

    fn new() -> Self {
        SystemHandle
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        FromGlobal(&System)
    }
}

pub struct Bumpalo(bumpalo::Bump);

impl Home for Bumpalo {
    const NAME: &'static str = "bumpalo";
    type Handle<'a> = &'a bumpalo::Bump;

    fn new() -> Self {
        Bumpalo(bumpalo::Bump::new())
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }

    fn reset(&mut self) {
        self.0.reset()
    }
}

pub struct BumpScope(bump_scope::Bump);

impl Home for BumpScope {
    const NAME: &'static str = "bump-scope";
    type Handle<'a> = &'a bump_scope::Bump;

    fn new() -> Self {
        BumpScope(bump_scope::Bump::new())
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }

    fn reset(&mut self) {
        self.0.reset()
    }
}

pub struct Talc(TalcCell<GlobalAllocSource<System>>);

impl Home for Talc {
    const NAME: &'static str = "talc";
    type Handle<'a> = From04<'a, TalcCell<GlobalAllocSource<System>>>;

    fn new() -> Self {
        Talc(TalcCell::new(GlobalAllocSource::new(System)))
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        From04(&self.0)
    }
}

pub struct LimitHome(LimitBump);

impl Home for LimitHome {
    const NAME: &'static str = "limit-bump";
    type Handle<'a> = Limit<'a>;

    fn new() -> Self {
        LimitHome(LimitBump::new(1 << 30))
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        Limit(&self.0)
    }

    fn reset(&mut self) {
        self.0.reset()
    }
}
