//! Names for the combinations that are used most: source × sharing, nearly all of best fit.

#[cfg(all(feature = "os-pages", target_os = "linux"))]
mod pages;
#[cfg(feature = "allocator-api2-02")]
mod upstream;

#[cfg(all(feature = "os-pages", target_os = "linux"))]
pub use pages::{ClassHeap, PageHeap, SharedPageHeap};
#[cfg(feature = "allocator-api2-02")]
pub use upstream::{SharedUpstreamHeap, UpstreamHeap};

use allotrope_core::{BestFit, Buffer, Local, Locked};

/// Variable sizes in bytes of the user's own, for one thread.
pub type BufferHeap<'a> = Local<BestFit<Buffer<'a>>>;

/// Variable sizes in bytes of the user's own, for many threads.
pub type SharedBufferHeap<'a> = Locked<BestFit<Buffer<'a>>>;
