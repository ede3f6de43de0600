//! The strategies of allotrope: where bytes come from, how they are cut, and who shares them.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod api;
pub mod compat;
#[cfg(feature = "allocator-api2-02")]
mod compose;
mod error;
mod hook;
mod layout;
mod poison;
mod policy;
mod share;
mod slab;
mod source;
mod strategy;

#[cfg(feature = "allocator-api2-02")]
pub use allotrope_sync::SharedBudget;
pub use allotrope_sync::SpinLock;
#[cfg(feature = "allocator-api2-02")]
pub use compose::{
    Affix, AlignTo, Ask, AskFirst, AskSecond, Budget, BySize, Fallback, Limit, LocalBudget, Null,
    Owns,
};
pub use error::AllocError;
pub use hook::{Delivery, Event, EventKind, Events, Hook, NoHook, Record};
pub use policy::{ClassicPolicy, DefaultPolicy, Policy};
pub use share::{Local, Locked, ObjectPool, Places, PoolBox, SharedObjectPool};
#[cfg(all(feature = "os-pages", target_os = "linux"))]
pub use source::OsPages;
#[cfg(feature = "allocator-api2-02")]
pub use source::Upstream;
pub use source::{Buffer, Contents, Movement, Region, Source};
pub use strategy::{BestFit, Broken, FixedSize, Pool, Segregated, SharedStrategy, Span, Strategy};
