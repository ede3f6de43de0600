//! The allocators that are compared.
//!
//! To add one: a feature, with its optional dependency, in `Cargo.toml`; a line here; and its name
//! in the list of `xtask/src/compare/contestants.rs`.

#[cfg(feature = "allotrope-best-fit")]
use allotrope_core::BestFit;
#[cfg(any(feature = "allotrope-best-fit", feature = "allotrope-local-heap"))]
use allotrope_core::{Locked, OsPages};
#[cfg(feature = "allotrope-local-heap")]
use allotrope_heap::LocalHeap;

macro_rules! contestants {
    ($($feature:literal $(as $name:literal)? => $ty:ty = $init:expr;)*) => {
        $(
            #[cfg(feature = $feature)]
            #[global_allocator]
            static GLOBAL: $ty = $init;
        )*

        /// The name of this binary's allocator in the tables.
        pub const NAME: &str = {
            let names: &[&[&str]] = &[$(#[cfg(feature = $feature)] &[$($name,)? $feature],)*];
            if let [[name, ..]] = names { name } else { "system" }
        };
    };
}

contestants! {
    "system" => std::alloc::System = std::alloc::System;
    "limit-freelist" => bench_kit::limit::LimitFreeList = bench_kit::limit::LimitFreeList;

    "dlmalloc" => dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
    "rallocator" => rallocator::Rallocator = rallocator::Rallocator;
    "rlsf" => rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();
    "rusty-alloc" => rusty_alloc_api::RustyAlloc = rusty_alloc_api::RustyAlloc;
    "talc" => talc::TalcLock<
        spinning_top::RawSpinlock,
        talc::source::GlobalAllocSource<std::alloc::System>,
    > = talc::TalcLock::new(talc::source::GlobalAllocSource::new(std::alloc::System));

    "jemalloc" => tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
    "mimalloc-v2" => mimalloc::MiMalloc = mimalloc::MiMalloc;
    "mimalloc-v3" => mimalloc::MiMalloc = mimalloc::MiMalloc;
    "rpmalloc" => rpmalloc::RpMalloc = rpmalloc::RpMalloc;
    "snmalloc" => snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

    "allotrope-best-fit" => Locked<BestFit<OsPages>> = Locked::new(BestFit::new(OsPages::new()));
    "allotrope-local-heap" as "allotrope Locked<LocalHeap>" => Locked<LocalHeap<OsPages>> =
        Locked::new(LocalHeap::new(OsPages::new()));
}
