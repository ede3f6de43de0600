//! The strategies of allotrope: where bytes come from, how they are cut, and who shares them.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[doc(hidden)]
pub mod api;
pub mod compat;
#[cfg(feature = "allocator-api2-02")]
mod compose;
mod error;
mod hook;
mod independent;
mod layout;
#[doc(hidden)]
pub mod parts;
#[doc(hidden)]
pub mod poison;
mod policy;
#[cfg(doctest)]
mod refused;
mod share;
mod slab;
mod source;
mod strategy;

#[cfg(all(feature = "allocator-api2-02", target_has_atomic = "ptr"))]
pub use allotrope_sync::SharedBudget;
#[cfg(target_has_atomic = "ptr")]
pub use allotrope_sync::SpinLock;
#[cfg(feature = "allocator-api2-02")]
pub use compose::{
    Affix, AlignTo, Ask, AskFirst, AskSecond, Budget, BySize, Fallback, Limit, LocalBudget, Null,
    Owns,
};
pub use error::AllocError;
pub use hook::{Delivery, Event, EventKind, Events, Hook, NoHook, Record};
pub use independent::Independent;
pub use policy::{ClassicPolicy, DefaultPolicy, Policy};
#[cfg(not(target_has_atomic = "ptr"))]
pub use share::NoLock;
#[cfg(target_has_atomic = "64")]
pub use share::SharedObjectPool;
pub use share::{Local, Locked, ObjectPool, Places, PoolBox};
#[cfg(all(
    feature = "os-pages",
    any(
        target_os = "linux",
        target_vendor = "apple",
        target_os = "freebsd",
        windows,
        all(target_arch = "wasm32", not(unix))
    )
))]
pub use source::OsPages;
#[cfg(feature = "allocator-api2-02")]
pub use source::Upstream;
pub use source::{Buffer, Contents, Movement, Region, Source};
pub use strategy::{BestFit, Broken, FixedSize, Segregated, Span, Strategy};
#[cfg(target_has_atomic = "64")]
pub use strategy::{Pool, SharedStrategy};
