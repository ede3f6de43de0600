//! Tells valgrind which memory is free.
//!
//! A *client request* is a sequence of instructions that do nothing, which valgrind knows and takes for
//! a call; see its manual, "The Client Request mechanism". Outside of valgrind it costs some ten
//! instructions.

use core::ptr::NonNull;

#[cfg_attr(target_arch = "x86_64", path = "valgrind_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "valgrind_aarch64.rs")]
mod machine;

/// What valgrind's memcheck is asked for, as `memcheck.h` numbers it.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Request {
    NoAccess = 0x4D43_0000,
    /// Not only accessible, but written as well: this is also said of memory that is in use already.
    Defined = 0x4D43_0002,
}

/// How much of `wanted` bytes is to be reserved ahead.
#[allow(dead_code, reason = "only pages are reserved ahead")]
#[inline(always)]
pub(crate) const fn reserve_size(wanted: usize) -> usize {
    wanted
}

/// Says that `size` bytes at `start` must not be accessed.
pub fn poison(start: NonNull<u8>, size: usize) {
    ask(Request::NoAccess, start, size);
}

/// Says that `size` bytes at `start` may be accessed.
pub fn unpoison(start: NonNull<u8>, size: usize) {
    ask(Request::Defined, start, size);
}

fn ask(request: Request, start: NonNull<u8>, size: usize) {
    machine::ask(&[request as usize, start.addr().get(), size, 0, 0, 0]);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn requests_do_nothing_outside_of_valgrind() {
        let bytes = [7_u8; 64];
        let start = NonNull::from_ref(&bytes).cast();
        poison(start, 64);
        unpoison(start, 64);
        assert_eq!(bytes, [7; 64]);
    }
}
