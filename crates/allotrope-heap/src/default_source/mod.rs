//! What heaps take their memory from unless told otherwise: the operating system, where there is
//! one, else a buffer.

#[cfg_attr(
    all(
        feature = "os-pages",
        any(
            target_os = "linux",
            target_vendor = "apple",
            target_os = "freebsd",
            windows,
            all(target_arch = "wasm32", not(unix))
        )
    ),
    path = "pages.rs"
)]
#[cfg_attr(
    not(all(
        feature = "os-pages",
        any(
            target_os = "linux",
            target_vendor = "apple",
            target_os = "freebsd",
            windows,
            all(target_arch = "wasm32", not(unix))
        )
    )),
    path = "none.rs"
)]
mod chosen;

pub(crate) use chosen::DefaultSource;
