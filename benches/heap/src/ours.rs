//! Our heap for one thread.

use allotrope_core::OsPages;
use allotrope_heap::LocalHeap;

use crate::contestants::Home;

pub struct Contestant(LocalHeap<OsPages>);

impl Home for Contestant {
    const NAME: &'static str = "allotrope LocalHeap";
    type Handle<'a> = &'a LocalHeap<OsPages>;

    fn new() -> Self {
        Contestant(LocalHeap::new(OsPages::new()))
    }

    fn handle(&self) -> Self::Handle<'_> {
        &self.0
    }
}
