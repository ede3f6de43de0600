//! Names for the combinations that are used most: source × sharing, nearly all of best fit.

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
mod pages;
#[cfg(target_has_atomic = "ptr")]
mod shared;
#[cfg(all(feature = "allocator-api2-02", target_has_atomic = "ptr"))]
mod shared_upstream;
#[cfg(feature = "allocator-api2-02")]
mod upstream;

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
pub use pages::{ClassHeap, PageHeap, SharedPageHeap};
#[cfg(target_has_atomic = "ptr")]
pub use shared::SharedBufferHeap;
#[cfg(all(feature = "allocator-api2-02", target_has_atomic = "ptr"))]
pub use shared_upstream::SharedUpstreamHeap;
#[cfg(feature = "allocator-api2-02")]
pub use upstream::UpstreamHeap;

use allotrope_core::{BestFit, Buffer, Local};

/// Variable sizes in bytes of the user's own, for one thread.
pub type BufferHeap<'a> = Local<BestFit<Buffer<'a>>>;
