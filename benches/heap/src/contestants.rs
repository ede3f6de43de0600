//! The heaps that are compared, each by the cheapest handle that it has: one for the whole process by
//! a handle of no size, one of its own by a reference.
//!
//! To add one: a feature, with its optional dependency, in `Cargo.toml`; a line or a module here; and
//! its name in the list of `xtask/src/compare/contestants.rs`.

use allocator_api2::alloc::Allocator;

/// A heap.
pub trait Home {
    /// Its name in the tables.
    const NAME: &'static str;
    /// Its handle.
    type Handle<'a>: Allocator + Copy
    where
        Self: 'a;

    /// A heap in which there is nothing.
    fn new() -> Self;

    /// A handle to it.
    fn handle(&self) -> Self::Handle<'_>;
}

/// Global allocators: there is one, and its handle needs no size.
macro_rules! process_wide {
    ($($name:literal if $is_chosen:meta => $ty:ty = $init:expr;)*) => {
        $(
            #[cfg($is_chosen)]
            mod chosen {
                use std::ops::Deref;

                use bench_kit::compat::FromGlobal;

                static GLOBAL: $ty = $init;

                #[derive(Clone, Copy)]
                pub struct Contestant;

                impl Deref for Contestant {
                    type Target = $ty;

                    #[inline(always)]
                    fn deref(&self) -> &$ty {
                        &GLOBAL
                    }
                }

                impl super::Home for Contestant {
                    const NAME: &'static str = $name;
                    type Handle<'a> = FromGlobal<Contestant>;

                    fn new() -> Self {
                        Contestant
                    }

                    fn handle(&self) -> Self::Handle<'_> {
                        FromGlobal(*self)
                    }
                }
            }
        )*
    };
}

process_wide! {
    "system" if not(any(
        feature = "limit-freelist", feature = "dlmalloc", feature = "rallocator", feature = "rlsf",
        feature = "rusty-alloc", feature = "talc", feature = "jemalloc", feature = "mimalloc-v2",
        feature = "mimalloc-v3", feature = "rpmalloc", feature = "snmalloc",
        feature = "allotrope-local-heap",
    )) => std::alloc::System = std::alloc::System;
    "limit-freelist" if feature = "limit-freelist" =>
        bench_kit::limit::LimitFreeList = bench_kit::limit::LimitFreeList;

    "rallocator" if feature = "rallocator" => rallocator::Rallocator = rallocator::Rallocator;
    "rlsf" if feature = "rlsf" => rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();
    "rusty-alloc" if feature = "rusty-alloc" =>
        rusty_alloc_api::RustyAlloc = rusty_alloc_api::RustyAlloc;

    "jemalloc" if feature = "jemalloc" =>
        tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
    "mimalloc-v2" if feature = "mimalloc-v2" => mimalloc::MiMalloc = mimalloc::MiMalloc;
    "mimalloc-v3" if feature = "mimalloc-v3" => mimalloc::MiMalloc = mimalloc::MiMalloc;
    "rpmalloc" if feature = "rpmalloc" => rpmalloc::RpMalloc = rpmalloc::RpMalloc;
    "snmalloc" if feature = "snmalloc" => snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;
}

#[cfg(feature = "allotrope-local-heap")]
#[path = "ours.rs"]
mod chosen;

#[cfg(feature = "dlmalloc")]
#[path = "dlmalloc.rs"]
mod chosen;

#[cfg(feature = "talc")]
#[path = "talc.rs"]
mod chosen;

pub use chosen::Contestant;
