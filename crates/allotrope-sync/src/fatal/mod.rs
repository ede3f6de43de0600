//! The end of the program: one sentence on standard error, and an abort.
//!
//! ```text
//! a promise of the caller's is broken ──▶ misuse(sentence, address) ─┐
//! user code unwinds into an allocator ──▶ AbortOnUnwind, dropped     ├─▶ one write, no allocation ──▶ abort
//! nothing sound is left to do ──────────▶ abort(sentence)           ─┘
//! ```
//!
//! None of this panics where there is another way. A panic runs the program's panic hook, which
//! allocates: in a global allocator it would come back to the lock that is held, and wait for ever,
//! or to a strategy that is in the middle of its work.
//!
//! | platform | the sentence goes to | the end is |
//! |---|---|---|
//! | Unix, with the feature `os` | file 2, by `write` | `abort`, which is `SIGABRT` |
//! | Windows, with the feature `os` | the standard error handle, by `WriteFile` | the exit code of std's `abort` |
//! | `wasm32` without a system | nowhere, there is no place for it | a trap |
//! | elsewhere | the panic handler, as a panic that cannot be caught | what the handler does |
//!
//! # Invariants
//!
//! 1. Nothing here allocates, takes a lock, or runs code of the program, save for the panic handler in
//!    the last row.
//! 2. The sentence is written in one piece, so that those of two threads do not mix.

use core::fmt::{self, Write};

#[cfg_attr(all(unix, feature = "os"), path = "unix.rs")]
#[cfg_attr(all(windows, feature = "os"), path = "windows.rs")]
#[cfg_attr(all(target_arch = "wasm32", not(unix)), path = "wasm.rs")]
mod platform;

/// Ends the program because a caller has broken a promise: `sentence` says how, and `address` where.
#[cold]
#[inline(never)]
pub fn misuse(sentence: &str, address: usize) -> ! {
    let mut words = Words::new();
    // What finds no room is left out.
    let _ = writeln!(words, "allotrope: {sentence} ({address:#x})");
    platform::end(words.as_str())
}

/// Ends the program because there is no sound way on.
#[cold]
#[inline(never)]
pub fn abort(sentence: &str) -> ! {
    let mut words = Words::new();
    // As above.
    let _ = writeln!(words, "allotrope: {sentence}");
    platform::end(words.as_str())
}

/// Checks what an `unsafe` caller has promised, where debug assertions are on; names what is wrong
/// and the address of the memory concerned.
#[doc(hidden)]
#[macro_export]
macro_rules! promised {
    ($is_kept:expr, $sentence:literal, $address:expr) => {
        if cfg!(debug_assertions) && !$is_kept {
            $crate::fatal::misuse($sentence, $address);
        }
    };
}
pub use promised;

/// Ends the program if it is dropped, which it is where something unwinds past it: an allocator must
/// not unwind into its caller, who may be in the middle of anything.
#[derive(Debug)]
pub struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        abort("a panic must not unwind out of an allocator");
    }
}

/// Runs `work`, which must not unwind; where it does, the program ends.
#[inline(always)]
pub fn no_unwinding<R>(work: impl FnOnce() -> R) -> R {
    let abort = AbortOnUnwind;
    let result = work();
    core::mem::forget(abort);
    result
}

/// Room for one sentence.
struct Words {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Words {
    const ROOM: usize = 256;

    const fn new() -> Self {
        Self { bytes: [0; Self::ROOM], len: 0 }
    }

    fn as_str(&self) -> &str {
        // What was added are whole `str`s, so this never fails.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_finds_no_room_is_cut_between_its_parts() {
        let mut words = Words::new();
        assert!(write!(words, "{:>1$}b", 'a', Words::ROOM - 2).is_ok());
        assert!(words.write_str("too long").is_err());
        assert_eq!(words.as_str().len(), Words::ROOM - 1);
        assert!(words.as_str().ends_with("ab"));
    }

    #[test]
    fn what_does_not_unwind_returns() {
        assert_eq!(no_unwinding(|| 7), 7);
    }
}
