//! Poison: free memory that AddressSanitizer reports any access to.
//!
//! With `--cfg allotrope_asan` (which `cargo xtask asan` sets, together with the sanitizer that it
//! needs to link) strategies poison what is free, save for the few bytes that link free blocks.
//! Otherwise both functions are empty.
//!
//! A configuration and not a feature: a feature is for anybody to turn on, and without the
//! sanitizer this one would not link.

#[cfg_attr(allotrope_asan, path = "asan.rs")]
#[cfg_attr(not(allotrope_asan), path = "none.rs")]
mod chosen;

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
pub(crate) use chosen::reserve_size;
pub use chosen::{poison, unpoison};
