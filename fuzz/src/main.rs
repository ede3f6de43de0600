//! The engine's way in: one program for all targets, of which the environment names one.
//!
//! `ALLOTROPE_FUZZ_TARGET` is the name of the target. `ALLOTROPE_FUZZ_TRACE`, where it is set,
//! has every call printed before it is made. `cargo xtask fuzz` sets both.

#![no_main]

use std::env;
use std::panic;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use allotrope_fuzz::targets;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = env::var("ALLOTROPE_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = targets::find(&name) else {
            eprintln!("ALLOTROPE_FUZZ_TARGET is `{name}`: there is no such target");
            process::exit(2);
        };
        TARGET.get_or_init(|| target);
        first_panic_only();
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get()
            && let Err(found) = panic::catch_unwind(|| target(bytes)).unwrap_or_else(|_| {
                Err(String::from("the target panicked, as said above"))
            })
        {
            eprintln!("\n{found}\n");
            process::abort();
        }
    }
);

/// Replaces the engine's hook, which ends the program at the first panic: a panic of an allocator
/// is caught, and the calls that lead to it are minimised, with the same panic again and again.
/// Only the first is printed.
fn first_panic_only() {
    drop(panic::take_hook());
    let default = panic::take_hook();
    let seen = AtomicBool::new(false);
    panic::set_hook(Box::new(move |info| {
        if !seen.swap(true, Ordering::Relaxed) {
            default(info);
        }
    }));
}
