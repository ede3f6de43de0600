//! Poison: free memory that AddressSanitizer or valgrind reports any access to.
//!
//! With `--cfg allotrope_asan` (which `cargo xtask asan` sets, together with the sanitizer that it
//! needs to link) or the feature `valgrind`, strategies poison what is free, save for the few bytes that
//! link free blocks. Otherwise both functions are empty.
//!
//! The former is a configuration and not a feature: a feature is for anybody to turn on, and without the
//! sanitizer this one would not link.

#[cfg_attr(allotrope_asan, path = "asan.rs")]
#[cfg_attr(
    all(
        feature = "valgrind",
        not(allotrope_asan),
        not(miri),
        any(target_arch = "x86_64", target_arch = "aarch64")
    ),
    path = "valgrind.rs"
)]
#[cfg_attr(
    not(any(
        allotrope_asan,
        all(feature = "valgrind", not(miri), any(target_arch = "x86_64", target_arch = "aarch64"))
    )),
    path = "none.rs"
)]
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
