//! Unix: `write` and `abort` of the C library, neither of which allocates.

use core::ffi::c_void;

/// Writes `words` to standard error and aborts.
pub(super) fn end(words: &str) -> ! {
    // SAFETY: so many bytes are valid for reads; where the file is closed, the call fails.
    let _ =
        unsafe { libc::write(libc::STDERR_FILENO, words.as_ptr().cast::<c_void>(), words.len()) };
    // SAFETY: it may be called at any time.
    unsafe { libc::abort() }
}
