//! Our homes.

use allotrope_core::{BestFit, Local, OsPages, Segregated};
use allotrope_heap::LocalHeap;
use allotrope_scope::Arena;

use crate::contestants::Home;

pub struct OurBestFit(Local<BestFit<OsPages>>);

impl Home for OurBestFit {
    const NAME: &'static str = "allotrope BestFit";
    type Handle<'a> = &'a Local<BestFit<OsPages>>;

    fn new() -> Self {
        OurBestFit(Local::new(BestFit::new(OsPages::new())))
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }
}

pub struct OurSegregated(Local<Segregated<OsPages>>);

impl Home for OurSegregated {
    const NAME: &'static str = "allotrope Segregated";
    type Handle<'a> = &'a Local<Segregated<OsPages>>;

    fn new() -> Self {
        OurSegregated(Local::new(Segregated::new(OsPages::new())))
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }
}

pub struct OurArena(Arena);

impl Home for OurArena {
    const NAME: &'static str = "allotrope Arena";
    type Handle<'a> = &'a Arena;

    fn new() -> Self {
        OurArena(Arena::new())
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

pub struct OurLocalHeap(LocalHeap<OsPages>);

impl Home for OurLocalHeap {
    const NAME: &'static str = "allotrope LocalHeap";
    type Handle<'a> = &'a LocalHeap<OsPages>;

    fn new() -> Self {
        OurLocalHeap(LocalHeap::new(OsPages::new()))
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }
}
