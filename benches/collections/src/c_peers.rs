//! mimalloc as a handle.

use bench_kit::compat::FromGlobal;
use mimalloc::MiMalloc;

use crate::contestants::Home;

macro_rules! for_each_c_peer {
    ($m:ident) => {
        $m!(MimallocHandle);
    };
}
pub(crate) use for_each_c_peer;

pub struct MimallocHandle;

impl Home for MimallocHandle {
    const NAME: &'static str = "mimalloc";
    type Handle<'a> = FromGlobal<&'static MiMalloc>;

    fn new() -> Self {
        MimallocHandle
    }

    #[inline(always)]
    fn handle(&self) -> Self::Handle<'_> {
        FromGlobal(&MiMalloc)
    }
}
